"""What the page is opened on: clips, folders, lists of frames; and the keys that its page names."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.annotate.served import LENGTH, Page, client_of, make_pictures, moving, session_of
from tests.conftest import ROOT
from tests.helpers.movies import count_up, ffmpeg, need, number_of, reference_numbers
from vidseg.annotate.frame_list import read_frame_list
from vidseg.annotate.pictures import NotYetError, Pictures, decode
from vidseg.api.annotate import annotate_on_page
from vidseg.curate.footage import find_footage
from vidseg.errors import DataError, StoreError, VidsegError
from vidseg.media.clip import ClipFrames
from vidseg.media.write_clip import write_clip
from vidseg.utils.progress import Quiet


def make_clip(file: Path, length: int = LENGTH) -> Path:
    file.parent.mkdir(exist_ok=True, parents=True)
    write_clip(moving().frames(range(length)), file, 25)
    return file


def refused(fault: type[VidsegError], said: str, *place: Path, **options: Any) -> None:
    with pytest.raises(fault, match=said), session_of(*place, **options):
        pass


# videos


def test_a_folder_of_videos_opens_each_when_it_is_asked_for(tmp_path: Path) -> None:
    make_pictures(tmp_path / "videos" / "b", 3)
    make_clip(tmp_path / "videos" / "a.mp4", 5)
    whole = (tmp_path / "videos" / "a.mp4").read_bytes()
    (tmp_path / "videos" / "c.mp4").write_bytes(whole[: len(whole) // 2])
    with session_of(tmp_path / "videos", tmp_path / "out") as session:
        client = client_of(session)
        names = [one["name"] for one in client.get("/api/session").json()["videos"]]
        assert names == ["a", "b", "c"]
        assert [p.name for p in (tmp_path / "out").iterdir()] == ["a"]
        assert client.get("/api/videos/1").json()["video"]["length"] == 3
        broken = client.get("/api/videos/2")
        assert broken.status_code == 400
        assert "c.mp4" in broken.json()["error"]
        assert client.get("/api/videos/3").status_code == 422
        page = Page(client, "first", video=1)
        assert page.edit(op="finished", frames=[[0, 2]]).status_code == 200


def test_a_broken_clip_before_others_is_passed_over(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "videos" / "b.mp4", 5).read_bytes()
    (tmp_path / "videos" / "a.mp4").write_bytes(whole[: len(whole) // 2])
    with session_of(tmp_path / "videos", tmp_path / "out") as session:
        found = client_of(session).get("/api/session").json()
        assert found["first"] == 1
        assert "a.mp4" in found["faults"][0]


def test_reading_a_clip_shows_progress_until_the_page_is_ready(tmp_path: Path) -> None:
    told: list[str] = []

    class Told(Quiet):
        @contextlib.contextmanager
        def task(self, description: str, total: float | None) -> Iterator[Quiet]:
            told.append(f"begin {description}")
            yield self
            told.append("end")

    def ready(url: str) -> None:
        told.append("ready")
        raise KeyboardInterrupt

    clip = make_clip(tmp_path / "a.mp4", 5)
    with pytest.raises(KeyboardInterrupt):
        annotate_on_page(clip, output=tmp_path / "out", port=0, ready=ready, progress=Told())
    assert told == ["begin reading the video", "end", "ready"]


def test_what_cannot_be_annotated_is_refused_in_a_line(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4")
    short = tmp_path / "short.mp4"
    short.write_bytes(clip.read_bytes()[:-2000])
    refused(DataError, "short.mp4", short, tmp_path / "out")
    refused(DataError, "no such file", tmp_path / "none", tmp_path / "out")
    refused(VidsegError, "no-such", clip, tmp_path / "out", tracker="no-such")
    (tmp_path / "file").touch()
    refused(StoreError, "cannot be written", clip, tmp_path / "file")


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(
            ("-vf", "setpts='(N+0.7*mod(N,3)+floor(N/10)*5)/25/TB'", "-fps_mode", "passthrough"),
            id="variable frame rate",
        ),
        pytest.param(("-x264-params", "open-gop=1"), id="stream copy"),
    ],
)
def test_the_page_shows_each_frame_that_a_player_shows(
    tmp_path: Path, words: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    need("libx264")
    made = count_up(tmp_path / "made.mp4", 60, "-c:v", "libx264", "-g", 12, "-bf", 2, *words)
    clip = tmp_path / "clip.mkv"
    cut = ("-ss", 0.9) if "stream copy" in request.node.name else ()
    ffmpeg(*cut, "-i", made, "-c", "copy", clip)
    wanted = reference_numbers(clip)
    with session_of(clip, tmp_path / "out") as session:
        video = session.open(0)
        assert video.info.length == len(wanted)
        shown = [number_of(decode(video.pictures.jpeg(i))) for i in range(len(wanted))]
    assert shown == wanted
    assert len(wanted) == 60 or 20 < len(wanted) < 60


def test_the_annotation_of_another_video_is_refused(tmp_path: Path) -> None:
    with session_of(make_clip(tmp_path / "one" / "a.mp4"), tmp_path / "out"):
        pass
    other = make_clip(tmp_path / "two" / "a.mp4", 9)
    refused(DataError, "another video", other, tmp_path / "out")


def test_a_second_session_on_one_annotation_is_refused(tmp_path: Path) -> None:
    video = make_pictures(tmp_path / "v", 3)
    with session_of(video, tmp_path / "out"):
        refused(StoreError, "edited by another", video, tmp_path / "out")


# frames of clips


class Slow(ClipFrames):
    """Stops before frame 3 until it may go on; breaks at frame 5."""

    def __init__(self) -> None:
        super().__init__(Path("slow.mp4"))
        self.on = threading.Event()

    def frames(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        for index in indices:
            if index == 3:
                self.on.wait(30)
            if index == 5:
                raise DataError("breaks at frame 5", where="slow.mp4")
            yield np.full((8, 8, 3), 10 * index, np.uint8)


def test_frames_come_as_they_are_decoded_and_a_break_is_said(tmp_path: Path) -> None:
    slow = Slow()
    pictures = Pictures(slow, 8, tmp_path)
    assert decode(pictures.jpeg(2, 30)).mean() == pytest.approx(20, abs=1)
    with pytest.raises(NotYetError):
        pictures.jpeg(3, 0.01)
    slow.on.set()
    assert decode(pictures.jpeg(4, 30)).mean() == pytest.approx(40, abs=1)
    with pytest.raises(DataError, match="frame 5"):
        pictures.jpeg(6)
    assert "frame 5" in pictures.error
    assert [round(image.mean() / 10) for image in pictures.frames([4, 0, 1])] == [4, 0, 1]
    pictures.close()
    assert list(tmp_path.iterdir()) == []


# lists


def test_the_list_and_the_csv_of_select_name_the_same_frames(tmp_path: Path) -> None:
    clip, folder = make_clip(tmp_path / "v" / "a.mp4"), make_pictures(tmp_path / "v" / "b", 4)
    videos, _ = find_footage([tmp_path / "v"])
    lines = [f"{clip}#7", f"{clip}#2", str(folder / "00003.png"), "/other.mp4#1"]
    (tmp_path / "frames.txt").write_text("\n".join(lines) + "\n")
    rows = [
        f"a,7,8,,{clip},",
        f"a,2,3,,{clip},",
        f"b,3,4,,{folder / '00003.png'},",
        "c,1,2,,/o.mp4,",
    ]
    head = "video,frame,frame_from_1,seconds,file,picture"
    (tmp_path / "frames.csv").write_text("\n".join([head, *rows]) + "\n")
    for name in ("frames.txt", "frames.csv"):
        assert read_frame_list(tmp_path / name, videos) == ([[2, 7], [3]], 1)
    with session_of(tmp_path / "v", tmp_path / "out", frames=tmp_path / "frames.txt") as session:
        assert [one["list"] for one in session.listing()] == [[2, 7], [3]]


@pytest.mark.parametrize("text", ["", "/elsewhere.mp4#3\n", "video,frame,file\na,x,{clip}\n"])
def test_a_list_of_no_frame_is_refused(tmp_path: Path, text: str) -> None:
    clip = make_clip(tmp_path / "a.mp4", 3)
    file = tmp_path / "list"
    file.write_text(text.format(clip=clip))
    with pytest.raises(DataError, match=str(file)):
        read_frame_list(file, find_footage([clip])[0])


def test_a_listed_frame_that_the_video_does_not_have_is_refused(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 3)
    (tmp_path / "list").write_text(f"{clip}#3\n")
    refused(DataError, "no frame 3", clip, tmp_path / "out", frames=tmp_path / "list")


# keys


def test_the_documented_keys_are_the_keys() -> None:
    source = (ROOT / "vidseg" / "annotate" / "page" / "keys.js").read_text(encoding="utf-8")
    keys = re.findall(r'^  \["\w+", "([^"]+)", "([^"]+)", "[^"]+"\],$', source, re.MULTILINE)
    arrows = {"ArrowLeft": "←", "ArrowRight": "→", "ArrowUp": "↑", "ArrowDown": "↓"}
    shown = arrows | {"Escape": "Esc"}
    rows = [
        f"| {' '.join(f'`{_named(key, shown)}`' for key in held.split())} | {text} |"
        for held, text in keys
    ]
    page = (ROOT / "docs" / "annotate.md").read_text(encoding="utf-8")
    assert len(rows) > 30
    assert [row for row in rows if row not in page] == []


def _named(key: str, shown: dict[str, str]) -> str:
    return "+".join(shown.get(part, part) for part in key.split("+")) if len(key) > 1 else key


def test_every_key_has_its_action() -> None:
    folder = ROOT / "vidseg" / "annotate" / "page"
    keys = (folder / "keys.js").read_text(encoding="utf-8")
    main = (folder / "main.js").read_text(encoding="utf-8")
    named = re.findall(r'^  \["\w+", "([^"]+)", "[^"]+", "([^"]+)"\],$', keys, re.MULTILINE)
    for held, names in named:
        assert len(held.split()) == len(names.split())
        for name in names.split():
            if not name.startswith("class"):
                assert re.search(rf"^  {name}\b", main, re.MULTILINE)
