"""The arms of a suite file: grids expanded, their values checked."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from vidseg import plugins
from vidseg.errors import UsageError
from vidseg.experiment.config import LabelConfig, RunConfig, make_label_config
from vidseg.experiment.splits import resolve_split
from vidseg.plugins.spec import Spec
from vidseg.suites.schema import ArmFile, Source
from vidseg.tasks.registry import find_task
from vidseg.utils.suggest import did_you_mean
from vidseg.utils.yaml import scalar


@dataclass(frozen=True)
class Arm:
    """One arm of a suite.

    Attributes:
        name: as in the file; of a grid, its template filled in.
        sampler: resolved spec.
        videos: train on so many videos, None on all.
        split: resolved spec; usually the suite's.
        pipelines: names of the pipelines that run it.
        axes: the values of its grid, such as ``{"frames": 5}``.
        labelling: training masks and class weights; usually the suite's.
        oracle: its sampler chooses frames by their labels: it is compared, and never advised.
        seeds: over which its scores are averaged; None: the suite's.
        tuned_as: name of the arm whose choices from a grid it takes; None: it chooses itself.
    """

    name: str
    sampler: Spec
    videos: int | None
    split: Spec
    pipelines: tuple[str, ...]
    axes: dict[str, Any] = field(default_factory=dict)
    labelling: LabelConfig = field(default_factory=LabelConfig)
    oracle: bool = False
    seeds: tuple[int, ...] | None = None
    tuned_as: str | None = None


def setting_name(arm: Arm, pipeline: str) -> str:
    """Return ``"20 liblinear"``, as the paper names settings."""
    return f"{arm.name} {pipeline}"


def expand_arm(
    name: str, arm: ArmFile, configs: Mapping[str, RunConfig], source: Source
) -> list[Arm]:
    """Return the arms of one entry of a suite file, one for each point of its grid.

    Args:
        name: of the entry; of a grid, a template such as ``"{frames} frames"``.
        arm: the entry.
        configs: the suite's pipelines by name.
        source: names the place of each value in errors.

    Raises:
        UsageError: names the file, the line and the key.
    """
    where, first = ("arms", name), next(iter(configs.values()))
    pipelines = tuple(configs)
    if arm.pipelines is not None:
        unknown = [one for one in arm.pipelines if one not in pipelines]
        if unknown:
            raise UsageError(
                f"there is no pipeline {unknown[0]!r}",
                where=source.place([*where, "pipelines"]),
                hint=f"the pipelines are {', '.join(pipelines)}",
            )
        pipelines = tuple(one for one in pipelines if one in arm.pipelines)
    with source.at(*where, "split"):
        own = first.split if arm.split is None else resolve_split(arm.split)
    grid = arm.matrix or {}
    made = []
    for values in itertools.product(*grid.values()):
        axes = dict(zip(grid, values, strict=True))
        with source.at(*where):
            filled = str(_filled(name, axes))
        with source.at(*where, "sampler"):
            sampler = plugins.resolve("sampler", _filled(arm.sampler, axes))
        with source.at(*where, "videos"):
            videos = _videos(_filled(arm.videos, axes))
        labelling = _labelling(arm, axes, first.labelling, where, source)
        with source.at(*where, "prior"):
            for one in pipelines:
                find_task().check_prior(configs[one].classifier, labelling.prior)
        oracle = arm.oracle or needs_labels(sampler)
        seeds = tuple(arm.seeds) if isinstance(arm.seeds, list) else None
        with source.at(*where, "tuned_as"):
            like = None if arm.tuned_as is None else str(_filled(arm.tuned_as, axes))
        made.append(
            Arm(filled, sampler, videos, own, pipelines, axes, labelling, oracle, seeds, like)
        )
    return made


def check_tuned_as(arms: Sequence[Arm], source: Source) -> None:
    """Refuse an arm whose choices cannot be those of another.

    Raises:
        UsageError: there is no such arm, it has another split, or takes its choices from a third.
    """
    by_name = {arm.name: arm for arm in arms}
    for arm in arms:
        if arm.tuned_as is None:
            continue
        where, other = source.place(["arms", arm.name, "tuned_as"]), by_name.get(arm.tuned_as)
        if other is None:
            hint = f"{did_you_mean(arm.tuned_as, by_name)}the arms are {', '.join(by_name)}"
            raise UsageError(f"there is no arm {arm.tuned_as!r}", where=where, hint=hint)
        if other.tuned_as is not None:
            hint = "name an arm that chooses itself"
            raise UsageError(f"{other.name!r} is tuned as another arm too", where=where, hint=hint)
        if other.split != arm.split:
            hint = "name an arm of the same split"
            raise UsageError(f"{other.name!r} has another split", where=where, hint=hint)


def needs_labels(sampler: Spec) -> bool:
    """Return whether a sampler chooses by labels, as its class says (``oracle = True``)."""
    if getattr(plugins.load(plugins.find("sampler", sampler.name)), "oracle", False):
        return True
    return any(needs_labels(value) for value in sampler.params.values() if isinstance(value, Spec))


def _labelling(
    arm: ArmFile,
    axes: Mapping[str, Any],
    common: LabelConfig,
    where: Sequence[str],
    source: Source,
) -> LabelConfig:
    """Return the suite's labelling with what the arm says otherwise."""
    made = common
    for key in ("train_labels", "refine", "prior"):
        value = getattr(arm, key)
        if value is not None:
            with source.at(*where, key):
                filled = _filled(value, axes)
                filled = scalar(filled) if key == "prior" and isinstance(filled, str) else filled
                made = make_label_config({**made.mapping(), key: filled})
    return made


def priced(arm: Arm, box: float | None, look: float | None) -> Arm:
    """Return an arm whose training labels, where they spend a budget, have the suite's prices.

    Args:
        arm: the arm.
        box, look: seconds that a box drawn and a frame looked at take; None: not stated.
    """
    source = arm.labelling.source
    prices = {"seconds_per_box": box, "seconds_per_look": look}
    given = {
        name: value
        for name, value in prices.items()
        if value is not None and name in source.params and source.params[name] is None
    }
    if not given:
        return arm
    spec = Spec(source.name, source.positional, {**source.params, **given})
    return replace(arm, labelling=replace(arm.labelling, source=spec))


def _filled(value: Any, axes: Mapping[str, Any]) -> Any:
    """Put a grid's values into ``{name}`` places."""
    if not axes:
        return value
    if isinstance(value, Mapping):
        return {key: _scalar(one, _filled(one, axes)) for key, one in value.items()}
    if isinstance(value, list):
        return [_scalar(one, _filled(one, axes)) for one in value]
    if not isinstance(value, str):
        return value
    try:
        return value.format(**axes)
    except (LookupError, ValueError, AttributeError, TypeError) as error:
        raise UsageError(
            f"{value!r} names {error}, which is not in the matrix",
            hint=f"the matrix has {', '.join(axes)}",
        ) from error


def _scalar(before: Any, after: Any) -> Any:
    """Return a number that was put into a mapping as the number."""
    return scalar(after) if isinstance(after, str) and after != before else after


def _videos(value: Any) -> int | None:
    number = scalar(value) if isinstance(value, str) else value
    if number is None or number == "all":
        return None
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise UsageError(f"{value!r} is refused", hint="videos is int (>= 1) or all")
    return number


def arm_mapping(arm: Arm, common: RunConfig) -> dict[str, Any]:
    """Return the YAML form of an arm, without what the suite states for all."""
    mapping: dict[str, Any] = {"sampler": arm.sampler.mapping()}
    if arm.videos is not None:
        mapping["videos"] = arm.videos
    if arm.split != common.split:
        mapping["split"] = arm.split.mapping()
    shared = common.labelling.mapping()
    mapping |= {
        key: "none" if value is None else value
        for key, value in arm.labelling.mapping().items()
        if value != shared[key]
    }
    if arm.oracle:
        mapping["oracle"] = True
    if arm.seeds is not None:
        mapping["seeds"] = list(arm.seeds)
    if arm.tuned_as is not None:
        mapping["tuned_as"] = arm.tuned_as
    if arm.axes:  # a grid of one point, so that the resolved file still knows its axes
        mapping["matrix"] = {name: [value] for name, value in arm.axes.items()}
    return {**mapping, "pipelines": list(arm.pipelines)}
