"""Clips: every frame is the right one, and a clip that is not whole is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.movies import (
    count_up,
    encode,
    ffmpeg,
    need,
    number_of,
    numbered,
    plain_clip,
    reference_numbers,
)
from vidseg.errors import DataError
from vidseg.media.clip import ClipFrames
from vidseg.types import Size

MPEG2 = ("-c:v", "mpeg2video", "-g", 12, "-bf", 2, "-b:v", "2M")
H264 = ("-c:v", "libx264", "-g", 12, "-bf", 2, "-pix_fmt", "yuv420p")
OPEN = (*H264, "-x264-params", "open-gop=1")
AVI = ("-c:v", "mpeg4", "-g", 12, "-bf", 2, "-q:v", 3)


def numbers(file: Path) -> list[int]:
    clip = ClipFrames(file)
    length = clip.probe().length
    return [number_of(frame) for frame in clip.frames(range(length))]


@pytest.mark.parametrize(
    ("name", "words"),
    [("a.mpg", MPEG2), ("a.ts", MPEG2), ("a.mp4", H264), ("a.mkv", OPEN), ("a.avi", AVI)],
)
def test_every_frame_in_order(tmp_path, name, words):
    need(str(words[1]))
    assert numbers(count_up(tmp_path / name, 60, *words)) == list(range(60))


@pytest.mark.parametrize("name", ["v.mkv", "v.mp4"])
def test_variable_frame_rate_neither_drops_nor_doubles(tmp_path, name):
    need("libx264")
    uneven = r"setpts='(N+0.7*mod(N,3)+floor(N/10)*5)/25/TB'"
    file = count_up(tmp_path / name, 60, "-vf", uneven, "-fps_mode", "passthrough", *H264)
    assert numbers(file) == list(range(60))


@pytest.mark.parametrize(
    ("source", "cut", "words"),
    [
        ("a.mp4", "b.mp4", H264),
        ("a.mp4", "b.mp4", OPEN),
        ("a.mp4", "b.mkv", OPEN),
        ("a.mpg", "b.mpg", MPEG2),
        ("a.ts", "b.ts", MPEG2),
        ("a.avi", "b.avi", AVI),
    ],
)
def test_stream_copied_cut_shows_what_a_player_shows(tmp_path, source, cut, words):
    """Behind a cut stand frames that must not be shown and frames without their references."""
    need(str(words[1]))
    count_up(tmp_path / source, 100, *words)
    ffmpeg("-ss", 1.3, "-i", tmp_path / source, "-t", 1.5, "-c", "copy", tmp_path / cut)
    found = numbers(tmp_path / cut)
    assert found == reference_numbers(tmp_path / cut)
    assert found == sorted(set(found))
    # copying by decoding order loses the bidirectional frames before the last one
    assert found[:-1] == list(range(found[0], found[-2] + 1))
    assert len(found) > 30


def test_the_containers_count_is_no_fact(tmp_path):
    need("mpeg4")
    file = count_up(tmp_path / "a.avi", 60, *AVI)
    content = file.read_bytes()
    at = content.index(b"avih") + 8 + 16  # dwTotalFrames
    assert int.from_bytes(content[at : at + 4], "little") == 60
    header = content.index(b"strh") + 8 + 32  # dwLength
    for lie in (7, 600):
        told = lie.to_bytes(4, "little")
        file.write_bytes(
            content[:at] + told + content[at + 4 : header] + told + content[header + 4 :]
        )
        assert numbers(file) == list(range(60)), lie


def test_any_order_of_calls_gives_the_right_frames(tmp_path):
    file = plain_clip(tmp_path / "a.mp4", map(numbered, range(40)))
    clip, other = ClipFrames(file), ClipFrames(file)
    for indices in ([30], [3, 4, 9], [10], [9], [], [0, 39], [12], [13], [13], [39]):
        for each in (clip, other):
            assert [number_of(frame) for frame in each.frames(indices)] == indices
    first, second = clip.frames(range(0, 40, 2)), clip.frames(range(1, 40, 2))
    pairs = [(number_of(a), number_of(b)) for a, b in zip(first, second, strict=True)]
    assert pairs == [(i, i + 1) for i in range(0, 40, 2)]
    left = clip.frames(range(40))
    assert number_of(next(left)) == 0
    left.close()
    assert [number_of(frame) for frame in clip.frames([1])] == [1]


def test_what_a_clip_is(tmp_path):
    file = plain_clip(tmp_path / "a.mp4", map(numbered, range(5)))
    clip = ClipFrames(file)
    assert clip.probe() == (5, Size(96, 160), 25.0)
    for index, frame in enumerate(clip.frames(range(5))):
        assert frame.dtype == np.uint8
        assert frame.flags.c_contiguous
        assert np.abs(frame.astype(int) - numbered(index)).mean() < 8
    with pytest.raises(DataError, match=r"a\.mp4: has no frame 5, only 0 to 4"):
        list(clip.frames([4, 5]))


def test_colours_are_neither_darkened_nor_swapped(tmp_path):
    colours = np.zeros((96, 160, 3), np.uint8)
    colours[:, :40], colours[:, 40:80], colours[:, 80:] = (200, 40, 60), (40, 60, 200), 128
    (frame,) = ClipFrames(plain_clip(tmp_path / "a.mp4", [colours])).frames([0])
    for at in (20, 60, 120):
        difference = frame[8:88, at - 8 : at + 8].astype(float).mean(axis=(0, 1)) - colours[0, at]
        assert np.abs(difference).max() < 4


def test_rotation_of_a_phone_is_applied(tmp_path):
    need("libx264")
    upright = np.rot90(numbered(37))
    flat = encode(tmp_path / "flat.mp4", [numbered(37)] * 3, *H264)
    ffmpeg("-i", flat, "-c", "copy", "-metadata:s:v:0", "rotate=90", tmp_path / "turned.mp4")
    shown = ffmpeg("-i", tmp_path / "turned.mp4", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    wanted = np.frombuffer(shown, np.uint8).reshape(3, 160, 96, 3)
    clip = ClipFrames(tmp_path / "turned.mp4")
    assert clip.probe().size == Size(*upright.shape[:2])
    for frame, player in zip(clip.frames(range(3)), wanted, strict=True):
        assert np.abs(frame.astype(int) - player).mean() < 4


def test_keys_follow_content(tmp_path):
    a = plain_clip(tmp_path / "a.mp4", map(numbered, range(3)))
    (tmp_path / "b.avi").write_bytes(a.read_bytes())
    c = plain_clip(tmp_path / "c.mp4", map(numbered, range(4)))
    assert ClipFrames(a).key == ClipFrames(tmp_path / "b.avi").key != ClipFrames(c).key


def test_names_that_a_protocol_could_have(tmp_path):
    file = plain_clip(tmp_path / "a.mp4", map(numbered, range(3)))
    file = file.rename(tmp_path / "http:x %03d.mp4")
    assert numbers(file) == [0, 1, 2]


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9, 0.999])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.mp4", H264),
        ("fast.mp4", (*H264, "-movflags", "+faststart")),
        ("fragments.mp4", (*H264, "-movflags", "+frag_keyframe")),
        ("a.mkv", H264),
        ("a.avi", AVI),
    ],
)
def test_a_clip_that_was_cut_short_is_refused(tmp_path, name, words, share):
    need(str(words[1]))
    file = count_up(tmp_path / name, 60, *words)
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError) as caught:
        ClipFrames(file).probe()
    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ended", ["live.mkv", "live.mp4"])
def test_a_recording_without_a_known_size_is_read_to_its_end(tmp_path, ended):
    need("libx264")
    kind = ("-f", "matroska", "-live", 1) if ended.endswith("mkv") else ("-f", "mp4")
    piped = ("-movflags", "+frag_keyframe+empty_moov") if ended.endswith("mp4") else ()
    source = count_up(tmp_path / "a.mp4", 40, *H264)
    (tmp_path / ended).write_bytes(ffmpeg("-i", source, "-c", "copy", *kind, *piped, "-"))
    assert numbers(tmp_path / ended) == list(range(40))


@pytest.mark.parametrize(("name", "words"), [("a.mpg", MPEG2), ("a.ts", MPEG2), ("a.mkv", H264)])
def test_a_clip_with_damage_inside_is_refused(tmp_path, name, words):
    need(str(words[1]))
    file = count_up(tmp_path / name, 60, *words)
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = np.random.default_rng(1).bytes(400)
    file.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"frame \d+ is damaged|does not decode beyond"):
        ClipFrames(file).probe()
    with pytest.raises(DataError, match=r"frame \d+ is damaged|does not decode beyond"):
        list(ClipFrames(file).frames(range(60)))


def test_damage_of_the_last_frame_is_found_each_time(tmp_path):
    need("libx264")
    whole = count_up(tmp_path / "a.ts", 60, *H264)
    file = tmp_path / "b.ts"
    file.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    for _ in range(8):
        with pytest.raises(DataError, match=r"frame \d+ is damaged"):
            ClipFrames(file).probe()


def test_sound_alone_and_covers_are_no_clips(tmp_path):
    need("aac", "png")
    sound = ("-f", "lavfi", "-i", "sine=d=1")
    ffmpeg(*sound, tmp_path / "sound.mp4")
    ffmpeg(*sound, tmp_path / "sound.wav")
    ffmpeg("-f", "lavfi", "-i", "color=s=64x64:d=1", "-frames:v", 1, tmp_path / "cover.png")
    cover = ("-i", tmp_path / "cover.png", "-map", 0, "-map", 1, "-disposition:v:0", "attached_pic")
    ffmpeg(*sound, *cover, "-c:v", "copy", tmp_path / "album.mp4")
    for name in ("sound.mp4", "sound.wav", "album.mp4"):
        with pytest.raises(DataError, match=rf"{name}: holds sound only"):
            ClipFrames(tmp_path / name).probe()


@pytest.mark.parametrize("content", [b"", b"not a clip", bytes(5000), b"RIFF", b"\x1a\x45\xdf\xa3"])
def test_what_is_no_clip_is_named(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.mp4: is no clip that opens"):
        ClipFrames(tmp_path / "a.mp4").probe()
    with pytest.raises(DataError, match=r"b\.mp4: is no clip that opens \(No such file"):
        list(ClipFrames(tmp_path / "b.mp4").frames([0]))
    with pytest.raises(DataError, match=r"b\.mp4: cannot be read"):
        _ = ClipFrames(tmp_path / "b.mp4").key


def test_a_size_that_changes_is_refused(tmp_path):
    need("mpeg2video")
    a = count_up(tmp_path / "a.ts", 24, *MPEG2)
    b = encode(tmp_path / "b.ts", [numbered(i)[:, :128] for i in range(24)], *MPEG2)
    (tmp_path / "ab.ts").write_bytes(a.read_bytes() + b.read_bytes())
    with pytest.raises(DataError, match=r"frame \d+ is 128x96, the first is 160x96"):
        ClipFrames(tmp_path / "ab.ts").probe()


@pytest.mark.real
def test_real_clip_is_the_sequence_that_it_was_made_of(samples: Path) -> None:
    from vidseg.datasets.mot import Mot

    (sequence,) = Mot(str(samples / "mot17-mini/train/MOT17-04-FRCNN")).videos()
    clip = ClipFrames(samples / "video/mmtracking_demo.mp4")
    assert clip.probe() == (8, sequence.probe().size, 3.0)
    pictures = [picture[::4, ::4].astype(int) for picture in sequence.frames(range(8))]
    for index, frame in enumerate(clip.frames(range(8))):
        distances = [np.abs(frame[::4, ::4] - picture).mean() for picture in pictures]
        assert int(np.argmin(distances)) == index
        assert distances[index] < 3.5


@pytest.mark.parametrize(("suffix", "codec"), [(".mkv", "mpeg4"), (".ts", "mpeg2video")])
def test_a_clip_that_is_cut_within_its_header_is_refused(tmp_path, suffix, codec):
    """Its reader ends with an EOFError, which a command line takes for the user's wish to stop."""
    data = plain_clip(tmp_path / f"a{suffix}", map(numbered, range(12)), codec).read_bytes()
    file = tmp_path / f"b{suffix}"
    for length in range(0, 300, 7):
        file.write_bytes(data[:length])
        with pytest.raises(DataError, match=rf"b{suffix}"):
            ClipFrames(file).probe()
