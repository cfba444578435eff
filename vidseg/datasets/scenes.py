"""One scene under several names: found by content, so that no split puts it on both sides.

Real collections do this: MOT16-09 and ADL-Rundle-6 are the same frames, and MOT17 holds every
sequence three times. Videos that share a frame are merged into one group; so are videos that show
one place, as copies and takes of a fixed camera do, unless a person's groups say otherwise. Videos
that may show one place are listed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vidseg.datasets.alike import Alike, find_alike
from vidseg.datasets.descriptors import is_flat
from vidseg.datasets.looks import Decode, Looks
from vidseg.datasets.near_duplicates import SURE_CELLS
from vidseg.errors import DataError
from vidseg.types import Memory, Video
from vidseg.utils.progress import Progress, Quiet
from vidseg.utils.stop import check_stop

AS_GROUPED = "left in two groups, as the groups file says"
"""How the note on two videos ends that show one place, where a person's file keeps them apart."""


@dataclass(frozen=True)
class SceneReport:
    """What the content check found.

    Attributes:
        groups: final group by video name; videos of one scene have one group.
        copies: one line for each video that shares frames with one of another group.
        likely: one line for each video that was merged because it shows the same place.
        notes: one line for each two videos that look alike and were left apart.
    """

    groups: dict[str, str]
    copies: tuple[str, ...] = ()
    likely: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """All that a user should see."""
        return (*self.copies, *self.likely, *self.notes)


def check_scenes(
    videos: Sequence[Video],
    decode: Decode | None = None,
    memory: Memory | None = None,
    *,
    groups: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> SceneReport:
    """Find videos that show one scene under several names.

    Videos share a scene when they have one ``group``, equal ``image_key``, one frame file in
    common (where a video has ``frame_hashes``), one decoded frame in common among the frames
    0, 1, 2, 4, ... 64 and those at 10, 50 and 90 %, or when the last three show one place
    (:mod:`vidseg.datasets.near_duplicates`). Frames without content (black, fade-ins) are left
    out. All of it is transitive; the first video's group names the rest.

    Args:
        videos: all videos of the experiment, whatever data set they come from.
        decode: returns the frames of a video by ascending index, such as the frame store does;
            ``video.frames`` by default. At most 11 frames of a video are asked for, and 3 more of
            one that shares a file with another.
        memory: keeps what a video's frames look like, and which videos look alike, so that
            nothing is decoded or compared the next time.
        groups: a person's group of every video: used instead of the videos' own, and instead of
            merging videos that show one place. Videos with identical frames are merged even so.
        progress: where to tell how far it is.

    Raises:
        DataError: two videos have one name, or a frame cannot be read.
    """
    names = [video.name for video in videos]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"two videos are called {twice[0]!r}", hint="rename one of the folders")
    progress = progress or Quiet()
    read = decode or (lambda video, indices: video.frames(indices))
    looks = Looks(read, memory)
    sets = _Sets([groups[v.name] if groups else v.group for v in videos])
    copies = _merge_copies(videos, looks, read, sets, progress)
    found = find_alike(videos, lambda a, b: sets.find(a) != sets.find(b), looks, memory, progress)
    likely = () if groups else _merge_likely(names, found, sets)
    notes = _notes(names, found, sets)
    return SceneReport(
        {name: sets.name(i) for i, name in enumerate(names)}, tuple(copies), tuple(likely), notes
    )


class _Sets:
    """Disjoint sets of videos; a set is named by the group of its first video."""

    def __init__(self, groups: Sequence[str]) -> None:
        self._groups = groups
        first: dict[str, int] = {}
        self._root = [first.setdefault(group, video) for video, group in enumerate(groups)]

    def find(self, video: int) -> int:
        while self._root[video] != video:
            video = self._root[video]
        return video

    def join(self, one: int, other: int) -> bool:
        """Merge the sets of two videos; return False where they are one already."""
        low, high = sorted((self.find(one), self.find(other)))
        self._root[high] = low
        return low != high

    def name(self, video: int) -> str:
        return self._groups[self.find(video)]


def _merge_copies(
    videos: Sequence[Video], looks: Looks, read: Decode, sets: _Sets, progress: Progress
) -> list[str]:
    """Merge videos that share a frame; return a line for each that was."""
    hashes = []
    with progress.task("looking for scenes that are there twice", len(videos)) as bar:
        for video in videos:
            check_stop()
            hashes.append(looks.hashes(video))
            bar.advance()
    return [
        f"{videos[second].name} shows the same pictures as {videos[first].name} ({proof}): "
        f"both are in group {sets.name(first)}"
        for first, second, proof in _shared(videos, hashes, read)
        if sets.join(first, second)
    ]


def _merge_likely(names: Sequence[str], found: Sequence[Alike], sets: _Sets) -> list[str]:
    """Merge videos that show one place; return a line for each that was."""
    return [
        f"{_both(names, pair)} show one place ({pair.likeness}): both are in group "
        f"{sets.name(pair.one)}; a groups file can say otherwise"
        for pair in found
        if pair.likeness.same_place and sets.join(pair.one, pair.other)
    ]


def _notes(names: Sequence[str], found: Sequence[Alike], sets: _Sets) -> tuple[str, ...]:
    """Return a line for the most similar videos of every two groups that were left apart."""
    best: dict[tuple[int, int], Alike] = {}
    for pair in found:
        one, other = sorted((sets.find(pair.one), sets.find(pair.other)))
        if one != other:
            held = best.setdefault((one, other), pair)
            best[one, other] = max(held, pair, key=lambda each: each.likeness.rank)
    return tuple(f"{_both(names, pair)} {_advice(pair)}" for pair in best.values())


def _both(names: Sequence[str], pair: Alike) -> str:
    one, other = (
        f"{names[video]} (frame {frame})"
        for video, frame in zip((pair.one, pair.other), pair.frames, strict=True)
    )
    return f"{one} and {other}"


def _advice(pair: Alike) -> str:
    if pair.likeness.same_place:
        return f"show one place ({pair.likeness}): {AS_GROUPED}"
    if pair.likeness.cells < SURE_CELLS:
        return f"look alike ({pair.likeness}): left in two groups, may be a shared caption or logo"
    return (
        f"look alike ({pair.likeness}): left in two groups, check that they are not one scene; "
        "a groups file can merge them"
    )


def _shared(
    videos: Sequence[Video], hashes: Sequence[Sequence[str]], read: Decode
) -> Iterator[tuple[int, int, str]]:
    """Yield pairs of videos with content in common, and what it is."""
    files: list[Sequence[str]] = [getattr(video, "frame_hashes", ()) for video in videos]
    for first, second in _common([[video.image_key] for video in videos]):
        if hashes[first]:
            yield first, second, "all frames are identical"
    for (first, second), common in _common(files).items():
        if _has_content(videos[first], files[first], common, read):
            yield first, second, f"identical frame files: {len(common)} of {len(files[second])}"
    for (first, second), common in _common(hashes).items():
        compared = len(hashes[second])
        yield first, second, f"identical frames: {len(common)} of {compared} compared"


def _common(hashes: Sequence[Sequence[str]]) -> dict[tuple[int, int], set[str]]:
    """Return, for each video that holds a hash after another did: (the first one, it)."""
    owner: dict[str, int] = {}
    pairs: dict[tuple[int, int], set[str]] = defaultdict(set)
    for video, own in enumerate(hashes):
        for each in own:
            first = owner.setdefault(each, video)
            if first != video:
                pairs[first, video].add(each)
    return pairs


def _has_content(video: Video, files: Sequence[str], common: set[str], read: Decode) -> bool:
    """Tell whether one of up to three shared frames is more than a flat picture."""
    where = [index for index, file in enumerate(files) if file in common]
    chosen = sorted({where[0], where[len(where) // 2], where[-1]})
    return any(not is_flat(image) for image in read(video, chosen))
