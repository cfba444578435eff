"""Scores many fitted models on test videos: one read of each frame, one forward of its features."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np

from vidseg.classifiers.linear.head import LinearHead, score_heads
from vidseg.errors import DataError, PluginError
from vidseg.experiment.training import PreparedVideo
from vidseg.tasks.base import Counts, Task
from vidseg.types import Features, Head, Model, Network, Scores, Size
from vidseg.utils.progress import ProgressBar
from vidseg.utils.stop import check_stop

BATCH_BYTES = 64 * 2**20
"""Of images and score maps that networks are given, and return, at a time."""
BATCH_FRAMES = 16

Name = TypeVar("Name", bound=Hashable)


def evaluate(
    models: Mapping[Name, Model],
    videos: Sequence[PreparedVideo],
    *,
    frames: Callable[[PreparedVideo], Sequence[int]],
    thresholds: Mapping[Name, float] | None = None,
    task: Task,
    margin: float,
    bar: ProgressBar,
    device: str = "cpu",
    stop: Callable[[], None] = check_stop,
) -> dict[Name, list[Counts]]:
    """Count frames of the test videos for every model.

    Args:
        models: fitted models by name; one that has several names is scored once.
        videos: the test videos.
        frames: which frames of a video are scored, ascending.
        thresholds: by model name; absent ones are 0.
        task: says how a frame is counted.
        margin: of the task, see :meth:`vidseg.tasks.base.Task.margin`.
        bar: advances by one a frame.
        device: where networks compute.
        stop: raises when the user asked to stop.

    Returns:
        For each model one :class:`vidseg.tasks.base.Counts` a video.
    """
    limits: Mapping[Name, float] = thresholds or {}
    owners = _owners(models, limits)
    distinct = {name: models[name] for name in owners.values()}
    result: dict[Name, list[Counts]] = {name: [] for name in models}
    for material in videos:
        counts = {name: task.counts(material.video.name, material.group) for name in distinct}
        for index, maps in _each_frame(distinct, material, frames(material), device, stop):
            reference = task.reference(material.mask(index), margin)
            for name, scores in maps.items():
                _finite(scores, name, material, index)
                counts[name].add(index, scores, reference, limits.get(name, 0.0))
            bar.advance()
        for name, owner in owners.items():
            result[name].append(counts[owner])
    return result


def _owners(models: Mapping[Name, Model], limits: Mapping[Name, float]) -> dict[Name, Name]:
    """Return for each name the first one of the same model with the same threshold."""
    first: dict[tuple[int, float], Name] = {}
    return {
        name: first.setdefault((id(model), limits.get(name, 0.0)), name)
        for name, model in models.items()
    }


def _finite(scores: Scores, name: Hashable, material: PreparedVideo, index: int) -> None:
    """Refuse scores that would silently count as background.

    Raises:
        DataError: a score is nan or infinite; names model, video and frame.
    """
    if not np.isfinite(scores).all():
        raise DataError(
            f"the model {name} gives scores that are not finite",
            where=f"video {material.video.name}, frame {index}",
            hint="fit it again with a smaller C or step",
        )


def frame_scores(
    models: Mapping[Name, Model], material: PreparedVideo, index: int, device: str = "cpu"
) -> dict[Name, Scores]:
    """Return every model's scores of one frame, ``float32 (h, w)`` at the mask size."""
    ((_, scores),) = _each_frame(models, material, [index], device, lambda: None)
    return scores


def _each_frame(
    models: Mapping[Name, Model],
    material: PreparedVideo,
    indices: Sequence[int],
    device: str,
    stop: Callable[[], None],
) -> Iterator[tuple[int, dict[Name, Scores]]]:
    """Yield each frame with every model's scores: features one by one, images in batches."""
    size = material.mask_size
    heads = {name: model for name, model in models.items() if isinstance(model, Head)}
    networks = {name: model for name, model in models.items() if isinstance(model, Network)}
    step = _batch_size(material, len(networks)) if networks else 1
    for start in range(0, len(indices), step):
        batch = indices[start : start + step]
        maps = _network_scores(networks, material, batch, device, stop) if networks else {}
        for place, index in enumerate(batch):
            stop()
            scores = _head_scores(heads, material.features(index), size) if heads else {}
            yield index, scores | {name: found[place] for name, found in maps.items()}


def _batch_size(material: PreparedVideo, networks: int) -> int:
    """Return how many images, as float32, and their score maps stay within ``BATCH_BYTES``."""
    image, scores = math.prod(material.image_size), math.prod(material.mask_size)
    return min(max(BATCH_BYTES // (4 * (3 * image + networks * scores)), 1), BATCH_FRAMES)


def _network_scores(
    networks: Mapping[Name, Network],
    material: PreparedVideo,
    batch: Sequence[int],
    device: str,
    stop: Callable[[], None],
) -> dict[Name, Scores]:
    """Return the scores of a batch, ``float32 (n, h, w)``.

    Raises:
        PluginError: a network returns another shape.
    """
    images, found = [], {}
    for index in batch:
        stop()
        images.append(material.image(index))
    for name, network in networks.items():
        stop()
        found[name] = network.batch_scores(images, material.mask_size, device)
        if found[name].shape != (len(batch), *material.mask_size):
            raise PluginError(
                f"the model {name} returns scores {found[name].shape} for {len(batch)} images, not "
                f"{(len(batch), *material.mask_size)}",
                where=type(network).__module__,
                hint="report this to the author of the classifier plugin",
            )
    return found


def _head_scores(heads: Mapping[Name, Head], features: Features, size: Size) -> dict[Name, Scores]:
    linear = {name: head for name, head in heads.items() if isinstance(head, LinearHead)}
    scores = {
        name: head.scores(features, size) for name, head in heads.items() if name not in linear
    }
    if linear:
        maps = score_heads(list(linear.values()), features, size)
        scores |= dict(zip(linear, maps, strict=True))
    return scores
