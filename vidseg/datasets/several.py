"""Several data sets as one: their videos in turn, names and groups told apart where they clash."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from vidseg.datasets.base import ClassCount, Dataset, add_classes
from vidseg.errors import VidsegError
from vidseg.types import Image, Labels, Video, VideoInfo


@dataclass(frozen=True, eq=False)
class MemberVideo:
    """A video of one of several data sets; satisfies :class:`vidseg.types.Video`.

    What else the video has (its labelled frames, notes, frame hashes) is found on it.

    Attributes:
        name, group: of the video, behind the data set's name where another one has the same.
        video: as its data set has it.
        dataset: place of the data set among all.
    """

    name: str
    group: str
    video: Video = field(repr=False)
    dataset: int

    @property
    def image_key(self) -> str:
        """Hash of the frames."""
        return self.video.image_key

    @property
    def label_key(self) -> str:
        """Hash of the labels."""
        return self.video.label_key

    def probe(self) -> VideoInfo:
        """Return true length and size; see :meth:`vidseg.types.Video.probe`."""
        return self.video.probe()

    def frames(self, indices: Sequence[int]) -> Iterator[Image]:
        """Yield frames; see :meth:`vidseg.types.Video.frames`."""
        return self.video.frames(indices)

    def labels(self, index: int, source: str = "truth") -> Labels:
        """Return the labels of a frame; see :meth:`vidseg.types.Video.labels`."""
        return self.video.labels(index, source)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "video":  # a copy that is being made has no video yet
            raise AttributeError(name)
        return getattr(self.video, name)


class Several:
    """Several data sets as one; satisfies :class:`vidseg.datasets.base.Dataset`.

    A video keeps its name where it is the only one of it, and is ``DATASET/NAME`` where two data
    sets have videos of one name; so is a group: equal names of groups in two data sets do not say
    that they show one scene.

    Attributes:
        members: the data sets, two or more.
    """

    contract: ClassVar[int] = 1

    def __init__(self, members: Sequence[Dataset]) -> None:
        self.members = list(members)

    @property
    def name(self) -> str:
        """Names of the data sets."""
        return " + ".join(self._labels)

    def videos(self) -> list[Video]:
        """Return the videos of all data sets, in turn.

        Raises:
            VidsegError: what one of them refuses.
        """
        return [video for own in self._videos for video in own]

    def survey(self) -> list[Video | VidsegError]:
        """Return the videos, and the error in place of each that cannot be opened."""
        tried: list[list[Video | VidsegError]] = [
            list(getattr(member, "survey", member.videos)()) for member in self.members
        ]
        opened = [[each for each in own if not isinstance(each, VidsegError)] for own in tried]
        failed = [each for own in tried for each in own if isinstance(each, VidsegError)]
        return [*(video for own in self._told_apart(opened) for video in own), *failed]

    def notes(self) -> list[str]:
        """Return the notes of all data sets, under the names that their videos have here."""
        found: list[str] = []
        for label, member, own in zip(self._labels, self.members, self._videos, strict=True):
            named = {
                f"{video.video.name}: {note}": f"{video.name}: {note}"
                for video in own
                for note in (*getattr(video, "notes", ()), *_label_notes(video))
            }
            notes: Sequence[str] = getattr(member, "notes", list)()
            found += [named.get(note, f"{label}: {note}") for note in notes]
        return found

    def classes(self) -> list[ClassCount]:
        """Return the classes of all data sets; a name that several use alike is counted once."""
        return add_classes([getattr(member, "classes", tuple)() for member in self.members])

    @cached_property
    def _videos(self) -> list[list[MemberVideo]]:
        return self._told_apart([list(member.videos()) for member in self.members])

    @cached_property
    def _labels(self) -> list[str]:
        """Names of the data sets; a second one of a name gets ``-2``."""
        names = [member.name for member in self.members]
        places = [names[: place + 1].count(name) for place, name in enumerate(names)]
        return [f"{name}-{n}" if n > 1 else name for name, n in zip(names, places, strict=True)]

    def _told_apart(self, videos: Sequence[Sequence[Video]]) -> list[list[MemberVideo]]:
        names = Counter(name for own in videos for name in {video.name for video in own})
        groups = Counter(group for own in videos for group in {video.group for video in own})

        def told(known: Counter[str], text: str, place: int) -> str:
            return f"{self._labels[place]}/{text}" if known[text] > 1 else text

        return [
            [
                MemberVideo(
                    told(names, video.name, place), told(groups, video.group, place), video, place
                )
                for video in own
            ]
            for place, own in enumerate(videos)
        ]


def _label_notes(video: MemberVideo) -> Sequence[str]:
    found: Sequence[str] = getattr(video, "label_notes", tuple)()
    return found
