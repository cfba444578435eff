"""The store: decoded once, computed once; killed, damaged, raced, full."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from vidseg.errors import DataError, StoreError, UsageError
from vidseg.media.resize import resize
from vidseg.store import Store, files
from vidseg.types import Image, Size, VideoInfo
from vidseg.utils.bytes import format_bytes, parse_bytes

if TYPE_CHECKING:
    from vidseg.extractors.frozen import FrozenExtractor

SIZE = Size(24, 32)
NATIVE = Size(40, 60)


class Clip:
    """A video of generated frames that counts what is asked of it."""

    group = label_key = "g"

    def __init__(self, length: int = 12, name: str = "clip", native: Size = NATIVE) -> None:
        self.name, self.length, self.native = name, length, native
        self.image_key = f"{name} {length} {native}"
        self.asked: list[list[int]] = []

    def probe(self) -> VideoInfo:
        return VideoInfo(self.length, self.native)

    def frame(self, index: int) -> Image:
        rng = np.random.default_rng(index)
        return rng.integers(0, 256, (*self.native, 3), dtype=np.uint8)

    def frames(self, indices: Sequence[int]) -> Iterator[Image]:
        self.asked.append(list(indices))
        for index in indices:
            yield self.frame(index)

    def labels(self, index: int, source: str = "truth") -> Any:
        raise AssertionError("the store reads no labels")


class Counter:
    """A progress task."""

    steps = 0.0

    def advance(self, steps: float = 1) -> None:
        self.steps += steps


@pytest.fixture
def clip() -> Clip:
    return Clip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


def extractor(octaves: int = 2, **options: Any) -> FrozenExtractor:
    # Not at the top: the killed processes import this module, and need no torch.
    from vidseg.extractors.filters import Filters
    from vidseg.extractors.frozen import FrozenExtractor

    return FrozenExtractor(Filters(octaves), **{"threads": 1, **options})


def entries(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def same(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> bool:
    return [x.tobytes() for x in a] == [x.tobytes() for x in b]


class TestFrames:
    def test_decoded_once_in_order(self, clip: Clip, root: Path) -> None:
        frames, task = Store(root).frames(clip, SIZE), Counter()
        assert frames.prepare([7, 2, 5, 2], task) == 3
        assert clip.asked == [[2, 5, 7]]
        assert task.steps == 4
        assert frames.prepare(range(6)) == 6
        assert clip.asked == [[2, 5, 7], [0, 1, 3, 4]]
        again = Store(root).frames(clip, SIZE)
        for index in range(6):
            np.testing.assert_array_equal(again.read(index), resize(clip.frame(index), SIZE))
        assert len(clip.asked) == 2

    def test_sizes(self, clip: Clip, root: Path) -> None:
        native = Store(root).frames(clip, None)
        assert (native.length, native.size, native.native) == (12, Size(40, 60), Size(40, 60))
        np.testing.assert_array_equal(native.read(3), clip.frame(3))
        assert native.key == Store(root).frames(clip, Size(40, 60)).key
        small = Store(root).frames(clip, SIZE)
        assert small.read(3).shape == (24, 32, 3)
        assert small.key != native.key

    def test_frames_that_another_code_resized_are_others(
        self, clip: Clip, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = Store(root).frames(clip, Size(20, 30)).key
        code = {"vidseg.media.resize": "changed"}
        monkeypatch.setattr("vidseg.store.frames.code_of", code.__getitem__)
        assert Store(root).frames(clip, Size(20, 30)).key != before

    def test_what_is_read_may_be_changed_without_harm(self, clip: Clip, root: Path) -> None:
        frames = Store(root).frames(clip, SIZE)
        frames.read(1)
        frames.read(1)[:] = 0
        np.testing.assert_array_equal(
            Store(root).frames(clip, SIZE).read(1), resize(clip.frame(1), SIZE)
        )

    @pytest.mark.parametrize("index", [-1, 12, 10**9])
    def test_frames_that_do_not_exist(self, clip: Clip, root: Path, index: int) -> None:
        frames = Store(root).frames(clip, SIZE)
        with pytest.raises(DataError, match=r"video clip: frame -?\d+ does not exist"):
            frames.read(index)
        with pytest.raises(DataError, match="the video has 12"):
            frames.prepare([0, index])

    def test_videos_that_break_their_word(self, root: Path) -> None:
        class Short(Clip):
            def frames(self, indices: Sequence[int]) -> Iterator[Image]:
                return super().frames(indices[:2])

        class Mixed(Clip):
            def frame(self, index: int) -> Image:
                return super().frame(index)[: 40 - index]

        with pytest.raises(DataError, match="video a, frame 2: the video ends before it"):
            Store(root).frames(Short(name="a"), SIZE).prepare(range(4))
        with pytest.raises(DataError, match=r"video b, frame 1: decoded to uint8 \(39, 60, 3\)"):
            Store(root).frames(Mixed(name="b"), SIZE).prepare(range(4))

    def test_what_came_before_a_damaged_frame_is_kept(self, clip: Clip, root: Path) -> None:
        class Damaged(Clip):
            def frame(self, index: int) -> Image:
                if index == 3:
                    raise DataError("truncated", where="000004.jpg")
                return super().frame(index)

        frames = Store(root).frames(Damaged(), SIZE)
        with pytest.raises(DataError, match=r"000004\.jpg"):
            frames.prepare(range(6))
        assert len(entries(root)) == 3

    def test_folders_stay_small(self, root: Path) -> None:
        frames = Store(root).frames(Clip(length=200_000, native=Size(8, 8)), None)
        places = {frames.path(index).parent for index in range(0, 200_000, 500)}
        assert len(places) == 200
        assert all(place.is_relative_to(root) for place in places)

    def test_keys_are_never_paths(self, root: Path) -> None:
        clip = Clip()
        clip.image_key = "../../../../etc/passwd"
        Store(root).frames(clip, SIZE).read(0)
        assert entries(root)
        assert entries(root.parent) == entries(root)


class TestResize:
    def test_shrinks_by_area(self) -> None:
        image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        means = image.reshape(10, 4, 20, 3, 3).mean((1, 3))
        np.testing.assert_allclose(resize(image, Size(10, 20)), means, atol=0.51)

    def test_enlarges_linearly(self) -> None:
        ramp = np.repeat(np.arange(0, 250, 10, dtype=np.uint8)[None, :, None], 3, 2)
        ramp = np.repeat(ramp, 10, 0)
        wide = resize(ramp, Size(20, 50))[5, :, 0].astype(int)
        np.testing.assert_allclose(wide[2:-2], np.arange(50)[2:-2] * 5 - 2.5, atol=1)

    def test_one_side_shrinks_by_area_while_the_other_grows(self) -> None:
        stripes = np.zeros((64, 8, 3), np.uint8)
        stripes[::2] = 200
        np.testing.assert_allclose(resize(stripes, Size(8, 16)), 100, atol=1)

    def test_same_size_is_the_same_image(self) -> None:
        image = np.zeros((8, 8, 3), np.uint8)
        assert resize(image, Size(8, 8)) is image


class TestFeatures:
    def test_computed_once(self, clip: Clip, root: Path) -> None:
        first, task = extractor(), Counter()
        store = Store(root)
        features = store.features(clip, first, store.frames(clip, SIZE))
        assert features.prepare([3, 1, 3], task) == 2
        assert (first.forwards, task.steps) == (2, 3)
        second = extractor()
        again = Store(root).features(clip, second, Store(root).frames(clip, SIZE))
        truth = extractor().extract(resize(clip.frame(3), SIZE))
        assert same(again.read(3), truth)
        assert [x.shape for x in again.read(3)] == list(again.shapes)
        assert all(x.dtype == np.float16 and x.flags.c_contiguous for x in again.read(3))
        assert second.forwards == 0
        assert same(again.read(8), extractor().extract(resize(clip.frame(8), SIZE)))
        assert second.forwards == 1

    def test_files_hold_the_levels_after_the_header(self, clip: Clip, root: Path) -> None:
        store, ours = Store(root), extractor()
        features = store.features(clip, ours, store.frames(clip, SIZE))
        found = features.read(4)
        raw = features.path(4).read_bytes()[features.offset :]
        assert raw == b"".join(level.tobytes() for level in found)
        assert features.offset % 4096 == 0

    def test_keep_nothing(self, clip: Clip, root: Path) -> None:
        store, ours = Store(root), extractor()
        features = store.features(clip, ours, store.frames(clip, SIZE), keep=False)
        task = Counter()
        assert features.prepare(range(5), task) == 0
        assert (task.steps, ours.forwards) == (5, 0)
        assert same(features.read(2), extractor().extract(resize(clip.frame(2), SIZE)))
        assert store.info().features.entries == 0

    def test_other_weights_levels_and_sizes_never_meet(self, clip: Clip, root: Path) -> None:
        store = Store(root)
        places = {
            store.features(clip, handle, store.frames(clip, size)).path(0)
            for size in (SIZE, Size(25, 32))
            for handle in (
                extractor(),
                extractor(3),
                extractor(levels=[1]),
                extractor(threads=2),
            )
        }
        assert len(places) == 8

    def test_not_finite_names_video_and_frame(self, clip: Clip, root: Path) -> None:
        broken = extractor()

        def extract(image: Image) -> Any:
            raise DataError("features reach to inf", where="extractor level fire9")

        broken.extract = extract  # type: ignore[method-assign]
        store = Store(root)
        features = store.features(clip, broken, store.frames(clip, SIZE))
        with pytest.raises(DataError, match="video clip, frame 5, extractor level fire9: features"):
            features.read(5)

    def test_frames_of_another_video(self, clip: Clip, root: Path) -> None:
        store = Store(root)
        with pytest.raises(ValueError, match="those of other, not of clip"):
            store.features(clip, extractor(), store.frames(Clip(name="other"), SIZE))


def damage(kind: str, path: Path) -> None:
    raw = bytearray(path.read_bytes())
    if kind == "truncated":
        raw = raw[:-1]
    elif kind == "empty":
        raw = bytearray()
    elif kind == "longer":
        raw += b"\0"
    elif kind == "zeroed tail":
        raw[-64:] = bytes(64)
    else:
        raw[{"payload": -7, "magic": 0, "header": 30, "padding": 4000}[kind]] ^= 4
    path.write_bytes(raw)


KINDS = (
    "truncated", "empty", "longer", "zeroed tail", "payload", "magic", "header", "padding"
)  # fmt: skip


class TestDamage:
    @pytest.mark.parametrize("kind", KINDS)
    def test_is_found_and_mended(self, clip: Clip, root: Path, kind: str) -> None:
        store = Store(root)
        features = store.features(clip, extractor(), store.frames(clip, SIZE))
        truth = [level.copy() for level in features.read(2)]
        sound = {path: path.read_bytes() for path in entries(root)}
        for path in sound:
            damage(kind, path)
        ours = extractor()
        later = Store(root)
        assert same(later.features(clip, ours, later.frames(clip, SIZE)).read(2), truth)
        assert ours.forwards == 1
        assert {path: path.read_bytes() for path in entries(root)} == sound

    def test_every_single_bit_of_the_header_and_some_of_the_payload(
        self, clip: Clip, root: Path
    ) -> None:
        frames = Store(root).frames(clip, SIZE)
        truth = frames.read(0).copy()
        path = frames.path(0)
        sound = path.read_bytes()
        rng = np.random.default_rng(0)
        for bit in [*range(0, 8 * 300, 5), *rng.integers(0, 8 * len(sound), 300)]:
            raw = bytearray(sound)
            raw[bit // 8] ^= 1 << bit % 8
            path.write_bytes(raw)
            asked = len(clip.asked)
            np.testing.assert_array_equal(Store(root).frames(clip, SIZE).read(0), truth)
            assert len(clip.asked) == asked + 1

    def test_an_entry_under_a_wrong_name(self, clip: Clip, root: Path) -> None:
        frames = Store(root).frames(clip, SIZE)
        frames.prepare([0, 1])
        frames.path(1).write_bytes(frames.path(0).read_bytes())
        np.testing.assert_array_equal(
            Store(root).frames(clip, SIZE).read(1), resize(clip.frame(1), SIZE)
        )

    def test_an_entry_replaced_meanwhile_is_checked_again(self, clip: Clip, root: Path) -> None:
        frames = Store(root).frames(clip, SIZE)
        frames.read(0)
        frames.read(0)
        raw = bytearray(frames.path(0).read_bytes())
        raw[-1] ^= 1
        bad = root / "bad"
        bad.write_bytes(raw)
        bad.replace(frames.path(0))
        np.testing.assert_array_equal(frames.read(0), resize(clip.frame(0), SIZE))


WORKER = """
import sys
sys.path[:0] = sys.argv[2:4]
import numpy as np
from pathlib import Path
from vidseg.store import Store
from vidseg.types import Size
from test_store import Clip
clip = Clip(length=400, native=Size(120, 160))
frames = Store(Path(sys.argv[1])).frames(clip, None)
print("ready", flush=True)
frames.prepare(range(400))
print(len(clip.asked and clip.asked[0]), flush=True)
"""


def worker(root: Path) -> subprocess.Popen[str]:
    here = Path(__file__)
    command = [sys.executable, "-c", WORKER, str(root), str(here.parent), str(here.parents[2])]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


class TestProcesses:
    def test_killed_while_writing_and_started_again(self, root: Path) -> None:
        """SIGKILL at random moments: every entry that is there is whole, and the work gets done."""
        rng, big = np.random.default_rng(1), Clip(length=400, native=Size(120, 160))
        for _ in range(4):
            process = worker(root)
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(rng.uniform(0.005, 0.1))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            for path in root.rglob(f"*{files.SUFFIX}"):
                assert path.stat().st_size == 4096 + 120 * 160 * 3
        frames = Store(root).frames(big, None)
        assert frames.prepare(range(400)) == 400
        for index in range(0, 400, 9):
            np.testing.assert_array_equal(frames.read(index), big.frame(index))
        store = Store(root)
        store.prune()
        assert store.info().temporary.entries == 0
        assert store.info().frames.entries == 400

    def test_two_at_once(self, root: Path) -> None:
        processes = [worker(root), worker(root)]
        outputs = [process.communicate(timeout=120)[0] for process in processes]
        assert [process.returncode for process in processes] == [0, 0]
        assert all(output.startswith("ready\n") for output in outputs)
        big = Clip(length=400, native=Size(120, 160))
        frames = Store(root).frames(big, None)
        for index in range(0, 400, 9):
            np.testing.assert_array_equal(frames.read(index), big.frame(index))
        assert big.asked == []
        assert len(entries(root)) == 400


def entry_bytes(root: Path, clip: Clip) -> int:
    Store(root / "probe").frames(clip, SIZE).read(0)
    return entries(root / "probe")[0].stat().st_size


class TestLimit:
    def test_the_longest_unused_leave_first(self, root: Path) -> None:
        old, new = Clip(name="old"), Clip(name="new")
        one = entry_bytes(root, old)
        kept = Store(root).frames(old, SIZE)
        kept.prepare(range(6))
        for age, index in enumerate([3, 0, 4, 1, 5, 2]):
            os.utime(kept.path(index), (age, age))
        store = Store(root, limit=one * 6)
        store.frames(old, SIZE).read(3)  # used by this process now: the oldest no more
        store.frames(new, SIZE).prepare(range(3))
        left = {index for index in range(6) if kept.path(index).exists()}
        assert left == {3, 5, 2}
        assert store.info().nbytes <= one * 6
        assert store.notes == []

    def test_what_this_process_uses_stays_and_the_rest_is_computed(
        self, clip: Clip, root: Path
    ) -> None:
        store = Store(root, limit=entry_bytes(root, Clip()) * 5)
        frames, task = store.frames(clip, SIZE), Counter()
        assert frames.prepare(range(12), task) == 5
        assert task.steps == 12
        for index in (0, 11, 3, 11):
            np.testing.assert_array_equal(frames.read(index), resize(clip.frame(index), SIZE))
        assert clip.asked == [list(range(12)), [11], [11]]
        assert len(store.notes) == 1
        assert "VIDSEG_STORE_LIMIT" in store.notes[0]

    def test_features_that_do_not_fit_are_not_computed_in_vain(
        self, clip: Clip, root: Path
    ) -> None:
        ours = extractor()
        measured = Store(root / "probe")
        features = measured.features(clip, ours, measured.frames(clip, SIZE))
        size = features.nbytes + features.offset
        store, task = Store(root, limit=size * 3 + 12 * entry_bytes(root, clip)), Counter()
        features = store.features(clip, ours, store.frames(clip, SIZE))
        assert features.prepare(range(12), task) == 3
        assert task.steps == 12
        assert ours.forwards == 4
        assert same(features.read(11), extractor().extract(resize(clip.frame(11), SIZE)))

    def test_room_made_by_others_is_found(
        self, clip: Clip, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = Store(root, limit=entry_bytes(root, clip) * 2)
        frames = store.frames(clip, SIZE)
        assert frames.prepare(range(4)) == 2
        Store(root).prune(max_bytes=0)
        real = time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: real() + 60)
        assert frames.prepare(range(2, 4)) == 2

    def test_the_sum_of_two_processes_is_what_counts(self, root: Path) -> None:
        clip, other = Clip(name="a"), Clip(name="b", length=300)
        one = entry_bytes(root, clip)
        mine, theirs = Store(root, limit=one * 200), Store(root)
        mine.frames(clip, SIZE).read(0)
        theirs.frames(other, SIZE).prepare(range(195))
        mine.frames(clip, SIZE).prepare(range(1, 12))
        assert mine.info().nbytes <= one * 200

    @pytest.mark.parametrize(
        ("text", "expected"),
        [("20GB", 20e9), ("500 mb", 5e8), ("1.5GiB", 1.5 * 2**30), ("10000", 1e4), ("2T", 2e12)],
    )
    def test_amounts(self, text: str, expected: float, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("VIDSEG_STORE_LIMIT", text)
        assert Store().info().limit == expected

    @pytest.mark.parametrize("text", ["8GB", "1.05MB", "999KB", "1B", "0B", "1.5TB"])
    def test_amounts_are_written_as_they_are_read(self, text: str) -> None:
        assert format_bytes(parse_bytes(text, where="here")) == text

    @pytest.mark.parametrize("text", ["much", "-1GB", "10 PB", "GB", "1e9", "I", "1 I"])
    def test_amounts_that_are_none(self, text: str) -> None:
        with pytest.raises(UsageError, match=r"VIDSEG_STORE_LIMIT: .* is not an amount of disk"):
            parse_bytes(text, where="VIDSEG_STORE_LIMIT")

    @pytest.mark.parametrize("text", ["20", " 9999", "1.5"])
    def test_a_small_number_has_a_unit(self, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("VIDSEG_STORE_LIMIT", text)
        bare = text.strip()
        expected = f"no unit; write {bare}GB or {bare}MB; {bare}B if bytes are meant"
        with pytest.raises(UsageError, match=f"^VIDSEG_STORE_LIMIT: .*{expected}"):
            Store()
        assert parse_bytes("1B", where="here") == 1
        assert parse_bytes("0", where="here") == 0

    def test_default_limit_is_half_of_the_free_disk(
        self, clip: Clip, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Store(root).frames(clip, SIZE).prepare(range(4))
        held = Store(root).info().nbytes
        monkeypatch.setattr("vidseg.store.quota.free_space", lambda path: 10**9)
        assert Store(root).info().limit == (10**9 + held) // 2


class TestDisk:
    def full_after(self, monkeypatch: pytest.MonkeyPatch, writes: int, code: int) -> None:
        """Let the disk fill up: the nth write to an entry fails half-way."""
        left, real = [writes], files._create

        class Failing(io.BufferedWriter):
            def write(self, data: Any) -> int:
                left[0] -= 1
                if left[0] < 0:
                    super().write(memoryview(data)[: len(data) // 2])
                    raise OSError(code, os.strerror(code))
                return super().write(data)

        def create(path: Path) -> io.BufferedWriter:
            return Failing(real(path).detach())

        monkeypatch.setattr(files, "_create", create)

    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
    def test_full(self, clip: Clip, root: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
        self.full_after(monkeypatch, 5, code)
        with pytest.raises(StoreError, match="the disk is full") as caught:
            Store(root).frames(clip, SIZE).prepare(range(12))
        message = str(caught.value)
        assert all(
            word in message for word in (str(root), "VIDSEG_STORE", "--store", "vidseg store prune")
        )
        assert "\n" not in message
        assert [path.suffix for path in entries(root)] == [files.SUFFIX] * 2
        monkeypatch.undo()
        np.testing.assert_array_equal(
            Store(root).frames(clip, SIZE).read(5), resize(clip.frame(5), SIZE)
        )

    def test_full_but_old_entries_can_go(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        Store(root).frames(Clip(name="old"), SIZE).prepare(range(4))
        real, room = files.write, [0]

        def write(path: Path, pieces: Sequence[memoryview], place: Path) -> None:
            if len(entries(root)) >= 4:
                room[0] += 1
                raise files.DiskFull
            real(path, pieces, place)

        monkeypatch.setattr(files, "write", write)
        new = Clip(name="new")
        assert Store(root).frames(new, SIZE).prepare(range(2)) == 2
        assert room[0] == 2

    def test_root_is_a_file(self, clip: Clip, root: Path) -> None:
        root.write_text("mine")
        with pytest.raises(StoreError, match="VIDSEG_STORE or --store") as caught:
            Store(root).frames(clip, SIZE).read(0)
        assert str(root) in str(caught.value)
        with pytest.raises(StoreError, match="is a file"):
            Store(root).info()
        with pytest.raises(StoreError, match="is a file"):
            Store(root).prune(max_bytes=0)
        assert root.read_text() == "mine"

    def test_root_under_a_file(self, clip: Clip, root: Path) -> None:
        root.write_text("mine")
        with pytest.raises(StoreError, match="cannot be used"):
            Store(root / "deeper").frames(clip, SIZE).read(0)

    @pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EIO])
    def test_cannot_be_written(
        self, clip: Clip, root: Path, monkeypatch: pytest.MonkeyPatch, code: int
    ) -> None:
        Store(root).frames(clip, SIZE).read(0)

        def refuse(*args: object, **kwargs: object) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(files, "_create", refuse)
        monkeypatch.setattr(os, "utime", refuse)
        frames = Store(root).frames(clip, SIZE)
        frames.read(0)  # what is there can be used without writing
        assert len(clip.asked) == 1
        with pytest.raises(StoreError, match=f"{root}: .*{os.strerror(code)}; choose another"):
            frames.read(1)

    def test_folders_pruned_while_writing(self, clip: Clip, root: Path) -> None:
        """Removing empty folders may hit the moment between making and filling one."""
        frames = Store(root).frames(clip, SIZE)
        path = frames.path(0)
        real, raced = Path.open, []

        def racing(self: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
            if mode == "xb" and not raced:
                raced.append(self)
                files.remove_empty_folders(root)
            return real(self, mode, *args, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "open", racing)
            frames.read(0)
        assert raced
        assert path.exists()


class TestHousekeeping:
    def test_info(self, clip: Clip, root: Path) -> None:
        store = Store(root)
        assert (store.info().entries, store.info().nbytes) == (0, 0)
        assert not root.exists()
        store.features(clip, extractor(), store.frames(clip, SIZE)).prepare(range(3))
        info = store.info()
        assert (info.frames.entries, info.features.entries, info.entries) == (3, 3, 6)
        assert info.nbytes == sum(path.stat().st_size for path in entries(root))
        assert info.root == root

    def test_environment_names_the_root(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("VIDSEG_STORE", str(tmp_path / "named"))
        assert Store().root == tmp_path / "named"
        monkeypatch.delenv("VIDSEG_STORE")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        assert Store().root.name == "store"
        assert "vidseg" in Store().root.parts

    def test_prune_by_age_and_by_size(self, clip: Clip, root: Path) -> None:
        store = Store(root)
        frames = store.frames(clip, SIZE)
        frames.prepare(range(6))
        one = frames.path(0).stat().st_size
        for days in range(6):
            then = time.time() - days * 86400 - 60
            os.utime(frames.path(days), (then, then))
        assert store.prune() == (0, 0)
        assert store.prune(older_than=4 * 86400) == (2, 2 * one)
        assert store.prune(max_bytes=3 * one) == (1, one)
        assert [i for i in range(6) if frames.path(i).exists()] == [0, 1, 2]
        assert store.prune(max_bytes=0) == (3, 3 * one)
        assert list(root.rglob("*/*")) == []
        np.testing.assert_array_equal(frames.read(0), resize(clip.frame(0), SIZE))

    def test_prune_removes_nothing_of_others(self, clip: Clip, root: Path) -> None:
        store = Store(root)
        frames = store.frames(clip, SIZE)
        frames.read(0)
        foreign = [root / "thesis.tex", root / "frames" / "notes.txt", frames.path(0).parent / "a"]
        for path in foreign:
            path.write_text("mine")
        outside = root.parent / "outside"
        outside.mkdir()
        (outside / f"1{files.SUFFIX}").write_text("mine")
        (root / "frames" / "link").symlink_to(outside)
        store.prune(max_bytes=0)
        assert all(path.read_text() == "mine" for path in foreign)
        assert (outside / f"1{files.SUFFIX}").exists()
        assert not frames.path(0).exists()

    def test_temporary_files_leave_with_their_writer(self, clip: Clip, root: Path) -> None:
        store = Store(root)
        frames = store.frames(clip, SIZE)
        frames.read(0)
        folder = frames.path(0).parent
        done = subprocess.Popen([sys.executable, "-c", ""])
        done.wait()
        gone = folder / f"1.{files._HOST}.{done.pid}.abcd{files.TEMPORARY}"
        here = folder / f"2.{files._HOST}.{os.getpid()}.abcd{files.TEMPORARY}"
        far = folder / f"3.00000000.{done.pid}.abcd{files.TEMPORARY}"
        ancient = folder / f"4.00000000.1.abcd{files.TEMPORARY}"
        for path in (gone, here, far, ancient):
            path.write_bytes(b"half")
        os.utime(ancient, (0, 0))
        assert store.info().temporary == (4, 16)
        assert store.prune() == (2, 8)
        assert [path.exists() for path in (gone, here, far, ancient)] == [False, True, True, False]
