"""Which frames of an opened data set a cell is trained on, and which it is scored on."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

from vidseg import plugins
from vidseg.errors import DataError, PluginError
from vidseg.experiment.config import RunConfig, Setting
from vidseg.experiment.pseudo import Pipeline
from vidseg.experiment.splits import Fold, Part
from vidseg.experiment.training import Labelled, PreparedVideo, SamplingContext, TrainingFrames
from vidseg.experiment.training_labels import TrainingLabels
from vidseg.tasks.base import Task
from vidseg.tasks.registry import find_task
from vidseg.types import FrameRef
from vidseg.utils.hashing import digest
from vidseg.utils.random import seed_of


@dataclass
class FoldFrames:
    """The frames of each fold.

    Attributes:
        config: data set, extractor, sizes and limits; a cell's setting is given with it.
        materials: the videos by name.
        task: what is predicted, and how it is counted.
    """

    config: RunConfig
    materials: Mapping[str, PreparedVideo]
    task: Task = field(default_factory=find_task, kw_only=True)
    _refs: dict[str, list[FrameRef]] = field(default_factory=dict, init=False, repr=False)
    _labelled: dict[tuple[str, str, str, str], Labelled] = field(
        default_factory=dict, init=False, repr=False
    )

    @property
    def groups(self) -> dict[str, str]:
        """Group by video name."""
        return {name: material.group for name, material in self.materials.items()}

    def members(self, groups: Sequence[str]) -> list[PreparedVideo]:
        """Return the videos of ``groups``, in the data set's order."""
        return [material for material in self.materials.values() if material.group in groups]

    @cached_property
    def margin(self) -> float:
        """What counting needs to know of all videos, see :meth:`vidseg.tasks.base.Task.margin`."""
        return self.task.margin(list(self.materials.values()))

    def training_videos(self, setting: Setting, groups: Sequence[str]) -> list[PreparedVideo]:
        """Return the videos of ``groups`` that a setting trains on.

        Of several videos of a group the first ones come after every group has given one. The
        choice is seeded by (seed, fold), and nested: two videos are among the fold's four.

        Raises:
            DataError: there are fewer than the setting asks for.
        """
        members = self.members(groups)
        if setting.videos is None:
            return members
        if setting.videos > len(members):
            raise DataError(
                f"videos={setting.videos}, but a fold trains on {len(members)} videos",
                where=f"setting {setting.sampler}",
                hint="ask for fewer, or add videos",
            )
        ranked = sorted(
            members, key=lambda m: seed_of(setting.seed, "videos", *groups, m.video.name)
        )
        turns: Counter[str] = Counter()
        rounds: list[tuple[int, str]] = []
        for material in ranked:
            rounds.append((turns[material.group], material.video.name))
            turns[material.group] += 1
        chosen = sorted(rounds, key=lambda entry: entry[0])[: setting.videos]
        names = {name for _, name in chosen}
        return [material for material in members if material.video.name in names]

    def training(self, setting: Setting, fold: Fold) -> TrainingFrames:
        """Return the frames that a setting trains on, of the videos of the training groups.

        Raises:
            DataError: a video is too short for the sampler, or it takes no frame at all.
            PluginError: the sampler takes a frame that has no labels.
        """
        # the plan, the fit, the baselines and the report ask; a selector reads whole videos
        source = str(setting.labelling.source)
        place = digest([str(setting.sampler), setting.seed, setting.videos, fold.train, source])
        if place not in self._refs:
            self._refs[place] = self._sampled(setting, fold)
        refs = self._refs[place]
        if fold.part is not None:
            part = fold.part
            refs = [r for r in refs if not self.holds_out(part, r.video, r.index)]
            if (taken := len(self._refs[place])) and not refs:
                raise DataError(
                    f"every frame that it took, {taken} in all, is in the part that the split "
                    f"{part.kind}:k={part.k} holds out",
                    where=f"sampler {setting.sampler}",
                    hint="choose a sampler that takes more frames, or a split by group",
                )
        if not refs:
            raise DataError("the sampler took no frame", where=f"sampler {setting.sampler}")
        return TrainingFrames(self.materials, refs, self._labels(setting, {r.video for r in refs}))

    def _sampled(self, setting: Setting, fold: Fold) -> list[FrameRef]:
        """Return what a sampler takes, checked: frames of its videos, with training labels."""
        members = self.training_videos(setting, fold.train)
        frames = {
            material.video.name: self.trainable(setting, material.video.name)
            for material in members
        }
        ctx = SamplingContext(self.materials, setting.seed, fold.train, frames)
        sampler = plugins.create("sampler", setting.sampler)
        refs: list[FrameRef] = list(sampler.sample([one.video for one in members], ctx))
        there = {name: frozenset(own) for name, own in frames.items()}
        wrong = next((ref for ref in refs if ref.index not in there.get(ref.video, ())), None)
        if wrong is not None:
            raise PluginError(
                f"takes frame {wrong.index} of video {wrong.video}, which has no training labels",
                where=f"the {plugins.find('sampler', setting.sampler.name).blame}",
                hint="a sampler takes frames of ctx.labelled(video) of the videos that it is given",
            )
        return refs

    def trainable(self, setting: Setting, video: str) -> Sequence[int]:
        """Return the frames of a video that have training labels, ascending."""
        if setting.labelling.plain:
            return self.materials[video].labelled
        return self.labels_of(setting, video).frames

    def holds_out(self, part: Part, video: str, index: int) -> bool:
        """Return whether a frame is held out by a split by frame, which counts labelled frames.

        A frame that has training labels but no ground truth goes with the labelled one after it.
        """
        labelled = self.materials[video].labelled
        place = min(bisect_left(labelled, index), len(labelled) - 1)
        return part.holds(place, len(labelled))

    def _labels(self, setting: Setting, videos: Collection[str]) -> dict[str, Labelled]:
        """Return the training masks of videos where they are not the true ones."""
        if setting.labelling.plain:
            return {}
        return {video: self.labels_of(setting, video) for video in sorted(videos)}

    def labels_of(self, setting: Setting, video: str) -> Labelled:
        """Return a video with the training masks of a setting."""
        labelling, material = setting.labelling, self.materials[video]
        fits = hasattr(plugins.load(plugins.find("label", labelling.source.name)), "within")
        model = f"{setting.classifier} {setting.budget}" if fits else ""
        place = str(labelling.source), labelling.refine, video, model
        if place not in self._labelled:
            source = plugins.create("label", labelling.source, where="train_labels")
            if fits:
                source = source.within(self._pipeline(setting))
            labels = TrainingLabels(
                material.video,
                source.of(material.video),
                labelling.refine,
                partial(getattr, material, "mask_size"),
                material.store,
                self.task,
            )
            self._labelled[place] = Labelled(material, labels)
        return self._labelled[place]

    def _pipeline(self, setting: Setting) -> Pipeline:
        config = self.config
        limits = config.device, config.memory_budget, config.threads
        return Pipeline(self.materials, setting.classifier, setting.budget, *limits)

    def test_frames(self, fold: Fold, material: PreparedVideo) -> list[int]:
        """Return the frames of a test video that are scored: labelled ones, strides of these."""
        frames = material.labelled[:: self.config.test_stride]
        part, video = fold.part, material.video.name
        return [i for i in frames if part is None or self.holds_out(part, video, i)]
