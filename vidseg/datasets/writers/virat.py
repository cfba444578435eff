"""VIRAT: ``NNgt/`` with ``size.txt``, ``nbtrack.txt`` and a file for each track; ``NN/`` frames."""

from __future__ import annotations

from pathlib import Path

from vidseg.datasets.writers.base import Writer, WrittenVideo, text_of
from vidseg.datasets.writers.regions import boxes_of
from vidseg.types import Labels

_PREFIX = "virat-"

Box = list[float]


class ViratWriter(Writer):
    """Writes VIRAT annotation beside folders of frames."""

    dataset = "virat"

    def folder_name(self, name: str) -> str:
        """Return the name without ``virat-``, which reading puts in front."""
        return name.removeprefix(_PREFIX) or name

    def read_name(self, folder: str) -> str:
        """Return ``virat-NN``."""
        return f"{_PREFIX}{folder}"

    def picture(self, video: str, index: int) -> Path:
        """Return ``NN/000000``."""
        return Path(video, f"{index:06d}")

    def start(self, video: WrittenVideo) -> None:
        """Begin without tracks."""
        self._video = video
        self._tracks: list[tuple[int, list[Box]]] = []
        self._open: dict[int, tuple[int, list[Box]]] = {}
        self._seen: set[int] = set()

    def frame(self, index: int, labels: Labels) -> None:
        """Go on with the tracks of a frame; one that pauses begins anew."""
        where = f"{self._video.name}, frame {index}"
        boxes, ids, _ = boxes_of(labels, self.losses, where, with_ignored=False)
        before, self._open = self._open, {}
        for box, number in zip(boxes.tolist(), ids.tolist(), strict=True):
            if box[2] <= 0 or box[3] <= 0:
                self.losses.add("box", "has no area and is left out")
                continue
            self._follow(index, number, box, before)

    def _follow(
        self, index: int, number: int, box: Box, before: dict[int, tuple[int, list[Box]]]
    ) -> None:
        track = before.get(number)
        if number < 0 or number in self._open:
            self.losses.add("box", "has no track, it is one of its own")
            self._tracks.append((index, [box]))
            return
        if track is None or track[0] + len(track[1]) != index:
            if number in self._seen:
                self.losses.add("pause", "ends a track, another number goes on")
            self._seen.add(number)
            track = (index, [])
            self._tracks.append(track)
        track[1].append(box)
        self._open[number] = track

    def end(self) -> None:
        """Write the files of the tracks."""
        video = self._video
        folder = self.root / f"{video.name}gt"
        folder.mkdir()
        (folder / "size.txt").write_text(f"{video.info.length}\n")
        (folder / "nbtrack.txt").write_text(f"{len(self._tracks)}\n")
        for number, (start, boxes) in enumerate(self._tracks):
            lines = [str(start), str(len(boxes)), *(text_of(side) for box in boxes for side in box)]
            (folder / f"{number}.txt").write_text("\n".join(lines) + "\n")
        self.left += sum(len(boxes) for _, boxes in self._tracks)
        self.losses.add(
            "frame", "not labelled, which VIRAT cannot say: reads as empty", video.unlabelled
        )
