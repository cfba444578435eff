"""What a selection found: the frames to label, and how redundant the videos are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidseg.curate.redundancy import OF, Spacing
from vidseg.types import Size

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]

Row = dict[str, Any]


@dataclass(frozen=True)
class ChosenFrame:
    """One frame that is worth labelling.

    Attributes:
        video: name of its video.
        index: counted from 0.
        seconds: from the video's start; None where its frame rate is not known.
        file: the picture, or the clip.
        place: the picture, or ``CLIP#INDEX``.
    """

    video: str
    index: int
    seconds: float | None
    file: Path
    place: str


@dataclass(frozen=True)
class ChosenVideo:
    """The frames of one video.

    Attributes:
        name: unique in the selection.
        path: the clip, or the folder.
        frames: how many it has.
        size: of its frames.
        fps: frames a second, None where unknown.
        chosen: the frames to label, ascending.
        covered: share of its frames that are near copies of a chosen one, 0..1.
    """

    name: str
    path: Path
    frames: int
    size: Size
    fps: float | None
    chosen: Sequence[ChosenFrame]
    covered: float


@dataclass(frozen=True)
class Selection:
    """Frames worth labelling.

    Attributes:
        sampler, extractor: resolved specs of what chose them.
        seed: of random samplers.
        videos: those that could be read, in order.
        spacings: what keeping every n-th frame would leave, over all videos.
        notes: what the user should know.
        faults: why videos have no frames here, one line each.
        files: what was written, by kind; empty where no folder was named.
    """

    sampler: str
    extractor: str
    seed: int
    videos: Sequence[ChosenVideo]
    spacings: Sequence[Spacing]
    notes: Sequence[str] = ()
    faults: Sequence[str] = ()
    files: Mapping[str, Path] = field(default_factory=dict)

    @property
    def frames(self) -> list[ChosenFrame]:
        """All chosen frames, video by video."""
        return [frame for video in self.videos for frame in video.chosen]

    def video_rows(self) -> list[Row]:
        """Return a row a video."""
        return [
            {
                "video": video.name,
                "frames": video.frames,
                "size": str(video.size),
                "fps": "-" if video.fps is None else f"{video.fps:g}",
                "chosen": len(video.chosen),
                "like a chosen one, %": video.covered,
            }
            for video in self.videos
        ]

    def spacing_rows(self) -> list[Row]:
        """Return a row a spacing: of 10,000 frames how many are kept, near copies, others."""
        return [
            {
                "keep every": spacing.every,
                "seconds": _seconds(spacing.seconds),
                "kept": round(OF * spacing.kept),
                "near copies": round(OF * spacing.near),
                "others": round(OF * spacing.other),
            }
            for spacing in self.spacings
        ]

    def to_pandas(self) -> pd.DataFrame:
        """Return a row a chosen frame: video, frame, seconds, file."""
        import pandas as pd

        rows = [(f.video, f.index, f.seconds, str(f.file)) for f in self.frames]
        return pd.DataFrame(rows, columns=["video", "frame", "seconds", "file"])

    def __repr__(self) -> str:
        return (
            f"Selection({self.sampler!r}, frames: {len(self.frames)}, videos: {len(self.videos)})"
        )


def _seconds(span: tuple[float, float] | None) -> str:
    if span is None:
        return "-"
    low, high = (f"{value:.2f}" if value < 10 else f"{value:.0f}" for value in span)
    return low if low == high else f"{low} to {high}"
