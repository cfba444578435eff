"""Frames worth labelling from videos without labels, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vidseg.curate.choose import choose, choose_total
from vidseg.curate.exports import check_output, export
from vidseg.curate.footage import Footage, find_footage
from vidseg.curate.looked import Looked, Tools
from vidseg.curate.redundancy import covered, redundancy
from vidseg.curate.selection import ChosenFrame, ChosenVideo, Selection
from vidseg.datasets.scenes import check_scenes
from vidseg.errors import DataError
from vidseg.plugins.spec import Spec
from vidseg.utils.stop import check_stop


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    Attributes:
        paths: clips and folders.
        sampler: resolved; without a number of frames where ``total`` is given.
        total: frames of all videos together; None: as many of each as the sampler takes.
        seed: of random samplers.
        fps: frames a second of videos that do not state them.
        output: new folder of the files; None: nothing is written.
        exports: of :data:`vidseg.curate.exports.EXPORTS`.
    """

    paths: Sequence[Path]
    sampler: Spec
    total: int | None
    seed: int
    fps: float | None
    output: Path | None
    exports: Sequence[str]


def select(wanted: Wanted, tools: Tools) -> Selection:
    """Choose frames; a video that cannot be read is left out, and named in ``faults``.

    Raises:
        DataError: no video can be read.
        VidsegError: what the sampler, the store or the output refuses.
    """
    if wanted.output is not None:
        check_output(wanted.output)
    footage, broken = find_footage(wanted.paths, wanted.fps)
    faults = [str(error) for error in broken]
    looked, first = _look(footage, tools, faults)
    if not looked:
        raise first or broken[0]
    notes = _scenes(looked, tools)
    if wanted.total is None:
        chosen, refused = choose(looked, wanted.sampler, wanted.seed)
    else:
        chosen, refused = choose_total(looked, wanted.sampler, wanted.seed, wanted.total)
    faults += [str(error) for error in refused.values()]
    if not any(chosen.values()):
        raise next(iter(refused.values()), None) or DataError(
            "took no frame", where=f"sampler {wanted.sampler}", hint="choose another with --by"
        )
    selection = Selection(
        sampler=str(wanted.sampler),
        extractor=tools.spec,
        seed=wanted.seed,
        videos=[_video(one, chosen[one.name]) for one in looked if one.name in chosen],
        spacings=redundancy([one.plain for one in looked], [one.info.fps for one in looked]),
        notes=[*notes, *_short(looked, chosen, wanted), *tools.store.notes],
        faults=faults,
    )
    if wanted.output is None:
        return selection
    files = export(selection, footage, wanted.output, wanted.exports, tools.progress)
    return replace(selection, files=files)


def _look(
    footage: Sequence[Footage], tools: Tools, faults: list[str]
) -> tuple[list[Looked], DataError | None]:
    """Return the videos that can be read whole, and the first error; ``faults`` gets all."""
    found: list[Looked] = []
    first: DataError | None = None
    for video in footage:
        check_stop()
        looked = Looked(video, tools)
        try:
            video.remember(tools.store.fact_cache)
            with tools.progress.task(f"{video.name}: length", None):
                _ = looked.info
            looked.look()
        except DataError as error:
            first = first or error
            faults.append(f"{video.name} is left out: {error}")
            continue
        found.append(looked)
    return found, first


def _scenes(videos: Sequence[Looked], tools: Tools) -> list[str]:
    """Return a line for each two videos that show one scene, or may."""
    if len(videos) < 2:
        return []
    footage, memory = [one.footage for one in videos], tools.store.fact_cache
    scenes = check_scenes(footage, memory=memory, progress=tools.progress)
    return [
        *(f"{_pair(line)}: frames of one of them are enough" for line in scenes.copies),
        *(f"{_pair(line)}: they are one scene, not two" for line in scenes.likely),
        *scenes.notes,
    ]


def _pair(line: str) -> str:
    """Return what a line says of two videos, without what it says of groups."""
    return line.partition(": both are in group")[0]


def _short(videos: Sequence[Looked], chosen: dict[str, list[int]], wanted: Wanted) -> list[str]:
    """Return a line for each video that has fewer frames than were asked for."""
    asked = wanted.sampler.params.get("n")
    if wanted.total is not None or not isinstance(asked, int):
        return []
    return [
        f"{one.name} has {one.length} frames, fewer than {asked}: all are taken"
        for one in videos
        if one.length < asked and len(chosen.get(one.name, ())) == one.length
    ]


def _video(looked: Looked, frames: Sequence[int]) -> ChosenVideo:
    footage, info = looked.footage, looked.info
    chosen = [
        ChosenFrame(
            looked.name,
            index,
            index / info.fps if info.fps else None,
            footage.file(index),
            footage.place(index),
        )
        for index in frames
    ]
    return ChosenVideo(
        looked.name,
        footage.path,
        info.length,
        info.size,
        info.fps,
        chosen,
        covered(looked.plain, frames),
    )
