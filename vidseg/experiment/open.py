"""Opens a data set once, checks its scenes, and binds it to an extractor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from vidseg import plugins
from vidseg.datasets.base import ClassCount, Dataset
from vidseg.datasets.groups_file import Groups, read_groups
from vidseg.datasets.scenes import check_scenes
from vidseg.datasets.several import Several
from vidseg.errors import DataError
from vidseg.experiment.config import RunConfig
from vidseg.experiment.experiment import Experiment
from vidseg.experiment.ledger import Ledger
from vidseg.experiment.training import PreparedVideo
from vidseg.extractors.frozen import FrozenExtractor
from vidseg.plugins.spec import Spec, Specs
from vidseg.store import Store
from vidseg.tasks.base import Task
from vidseg.tasks.registry import find_task
from vidseg.types import Memory, Question, Video, labelled_frames
from vidseg.utils.progress import Progress
from vidseg.utils.stop import check_stop
from vidseg.utils.text import is_printable, plural


@dataclass(frozen=True)
class OpenDataset:
    """A data set, or several as one, whose scenes were checked.

    Attributes:
        spec: what opened it, one spec or several.
        videos: its videos.
        groups: group by video name, after the content check.
        notes: facts that the user should see.
        count_classes: returns the classes of its labels; see :meth:`classes`.
    """

    spec: Specs
    videos: tuple[Video, ...]
    groups: dict[str, str]
    notes: tuple[str, ...]
    count_classes: Callable[[], Sequence[ClassCount]] = field(default=tuple, repr=False)

    def classes(self) -> Sequence[ClassCount]:
        """Return the classes of its labels and how often each occurs; none where unknown."""
        return self.count_classes()

    def __repr__(self) -> str:
        groups = len(set(self.groups.values()))
        return f"OpenDataset({str(self.spec)!r}, videos: {len(self.videos)}, groups: {groups})"


def create_dataset(specs: Sequence[Spec]) -> Dataset:
    """Return the data set of a spec; of several specs one that has the videos of all.

    Raises:
        VidsegError: what a data set refuses.
    """
    members: list[Dataset] = [plugins.create("dataset", spec, where="dataset") for spec in specs]
    return members[0] if len(members) == 1 else Several(members)


def open_dataset(
    spec: Spec | Specs,
    progress: Progress,
    memory: Memory | None = None,
    *,
    unanswered: bool = False,
    groups: str | None = None,
) -> OpenDataset:
    """Open a data set, or several as one, and find scenes that stand in it under several names.

    Args:
        spec: the data set, or several.
        progress: where to tell how far it is.
        memory: keeps what costs a decoding to find, such as ``store.fact_cache``.
        unanswered: open it although its labels leave questions; they are notes then.
        groups: CSV file with a person's group of every video.

    Raises:
        VidsegError: what the data set refuses, two videos of one name, or a question that its
            labels leave open.
    """
    specs = spec if isinstance(spec, Specs) else Specs([spec])
    dataset = create_dataset(specs)
    videos: list[Video] = list(dataset.videos())
    _check_names(videos, str(specs))
    questions = open_questions(videos)
    if questions and not unanswered:
        refuse_unanswered(questions)
    if memory is not None:
        for video in videos:
            if callable(remember := getattr(video, "remember", None)):
                remember(memory)
    given = read_groups(groups, [video.name for video in videos]) if groups else Groups({}, ())
    scenes = check_scenes(videos, memory=memory, groups=given.by_video, progress=progress)
    kept, left = (videos, []) if unanswered else _labelled_videos(videos, str(specs))
    asked = [f"{name}: {what}; {hint}" for name, (what, hint) in questions]
    notes = (*asked, *left, *given.notes, *getattr(dataset, "notes", list)(), *scenes.lines)
    for note in notes:
        progress.say(note)
    found = {video.name: scenes.groups[video.name] for video in kept}
    classes = getattr(dataset, "classes", tuple)
    return OpenDataset(specs, tuple(kept), found, notes, classes)


def _labelled_videos(videos: Sequence[Video], where: str) -> tuple[list[Video], list[str]]:
    """Return the videos with labelled frames, and a note for each that has none.

    Raises:
        DataError: none has.
    """
    kept = [video for video in videos if labelled_frames(video)]
    if not kept:
        raise DataError("no frame of any video is labelled", where=f"dataset {where}")
    left = [video.name for video in videos if video not in kept]
    return kept, [f"{name}: no frame is labelled, so the video is left out" for name in left]


def open_experiment(
    config: RunConfig,
    dataset: OpenDataset,
    *,
    store: Store,
    ledger: Ledger,
    progress: Progress,
    stop: Callable[[], None] = check_stop,
    extractor: FrozenExtractor | None = None,
    task: Task | None = None,
) -> Experiment:
    """Bind a data set to an extractor and sizes.

    Args:
        config: extractor, sizes and limits; its classifier chooses the levels.
        dataset: of :func:`open_dataset`.
        store, ledger, progress, stop: see :class:`vidseg.experiment.experiment.Experiment`.
        extractor: of :func:`open_extractor`; made when it is None.
        task: what is predicted; None: the default one.

    Raises:
        VidsegError: what a plugin refuses, or videos of different native sizes without a mask size.
    """
    extractor, task = extractor or open_extractor(config), task or find_task()
    materials = {
        video.name: PreparedVideo(
            video,
            dataset.groups[video.name],
            store,
            config.image_size,
            config.mask_size,
            extractor,
            task,
        )
        for video in dataset.videos
    }
    _check_sizes(materials, config)
    return Experiment(
        config,
        materials,
        extractor.handle,
        ledger,
        progress,
        stop,
        [*dataset.notes, *_said(extractor.handle, progress)],
        task=task,
    )


def _said(handle: object, progress: Progress) -> list[str]:
    """Return the notes of an extractor, after they were shown."""
    notes: list[str] = getattr(handle, "notes", list)()
    for note in notes:
        progress.say(note)
    return notes


def open_extractor(config: RunConfig) -> FrozenExtractor:
    """Return the extractor with the levels that the configuration's classifier uses.

    Raises:
        PluginError: what the extractor or the classifier refuses.
        DataError: the extractor's weights are damaged, or of another architecture.
    """
    handle = plugins.create("extractor", config.extractor, where="extractor")
    getattr(handle, "check", lambda: None)()
    classifier = plugins.create("classifier", config.classifier, where="classifier")
    return FrozenExtractor(
        handle, device=config.device, threads=config.threads, levels=classifier.levels(handle)
    )


def open_questions(videos: Sequence[Video]) -> list[tuple[str, Question]]:
    """Return what the labels of videos leave open, each with the name of its video."""
    return [(v.name, Question(*q)) for v in videos for q in getattr(v, "questions", ())]


def refuse_unanswered(questions: Sequence[tuple[str, Question]]) -> None:
    """Raise the first question as an error, and count the other videos that have one.

    Raises:
        DataError: always.
    """
    name, first = questions[0]
    others = len({video for video, _ in questions}) - 1
    more = "" if not others else f" and {others} more {plural('video', others)}"
    raise DataError(first.what, where=f"{name}{more}", hint=first.hint)


def _check_names(videos: Sequence[Video], where: str) -> None:
    names = [video.name for video in videos]
    if not names:
        raise DataError("holds no video", where=f"dataset {where}", hint="name another folder")
    for name in names:
        if not is_printable(name):
            raise DataError(
                f"the name of a video, {name!r}, holds a line break or another control character",
                where=f"dataset {where}",
                hint="rename its folder or file",
            )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            f"two videos are named {twice[0]!r}", where=f"dataset {where}", hint="rename one"
        )


def _check_sizes(materials: Mapping[str, PreparedVideo], config: RunConfig) -> None:
    """Masks of one experiment have one size, so that margins and priors mean one thing."""
    if config.image_size or config.mask_size:
        return
    sizes = {str(material.image_size): name for name, material in materials.items()}
    if len(sizes) > 1:
        found = ", ".join(f"{name} {size}" for size, name in sizes.items())
        raise DataError(
            f"image_size=native with videos of different sizes ({found})",
            where="mask_size",
            hint="give one mask size for all, such as --mask-size 320x240",
        )
