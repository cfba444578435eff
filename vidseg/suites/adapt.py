"""What another classifier, given on the command line, means for the other keys of a pipeline.

A grid stays where the new classifier has its parameter and does not state it; a pipeline takes
another one's choice as long as there is one; and pipelines that a change made the same are one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vidseg import plugins
from vidseg.errors import VidsegError
from vidseg.plugins.spec import Spec, parse
from vidseg.suites.schema import PipelineFile, SuiteFile


@dataclass(frozen=True)
class Adapted:
    """A suite file after the changes of the command line were thought through.

    Attributes:
        file: the suite file.
        notes: a line for each key that was dropped, and each set of pipelines that is one now.
        renamed: by name of a pipeline that is no more, the one that stands for it.
    """

    file: SuiteFile
    notes: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)


def adapt(file: SuiteFile, changed: Collection[str]) -> Adapted:
    """Return a suite file whose grids fit its changed classifiers, without twins.

    Args:
        file: the suite file, values of the command line put in.
        changed: dotted paths that the command line gave.
    """
    given = _Given(changed)
    if not any(given.of(name, "classifier", "extractor", "tune") for name in file.pipelines):
        return Adapted(file)
    try:
        classifiers = {
            name: plugins.resolve("classifier", one.classifier)
            for name, one in file.pipelines.items()
        }
        extractors = {
            name: plugins.resolve("extractor", one.extractor)
            for name, one in file.pipelines.items()
        }
    except VidsegError:  # told where pipelines are made, with file and line
        return Adapted(file)
    pipelines, notes = _grids(file.pipelines, given, classifiers)
    pipelines, more = _followers(pipelines, given, classifiers)
    specs = {name: (str(extractors[name]), str(classifiers[name])) for name in pipelines}
    renamed = _twins(pipelines, given, specs)
    whole = file.model_copy(update={"pipelines": pipelines})
    return Adapted(_merged(whole, renamed), [*notes, *more, *_told(renamed)], renamed)


@dataclass(frozen=True)
class _Given:
    """What the command line gave."""

    changed: Collection[str]

    def of(self, name: str, *keys: str) -> bool:
        """Return whether one of the keys of a pipeline was given."""
        paths = [f"pipelines.{name}.{key}" for key in keys]
        return any(one == p or one.startswith(f"{p}.") for one in self.changed for p in paths)


def _grids(
    pipelines: Mapping[str, PipelineFile], given: _Given, classifiers: Mapping[str, Spec]
) -> tuple[dict[str, PipelineFile], list[str]]:
    """Drop the grids that a changed classifier cannot take."""
    made, notes = dict(pipelines), []
    for name, one in pipelines.items():
        if one.tune and not given.of(name, "tune") and given.of(name, "classifier"):
            parameter = next(iter(one.tune))
            if reason := _unfit(one, parameter, classifiers[name]):
                made[name] = one.model_copy(update={"tune": None})
                notes.append(f"{name} is not tuned: {reason}")
        made[name] = _on_path(made[name], name, given, classifiers[name])
    return made, notes


def _on_path(pipeline: PipelineFile, name: str, given: _Given, classifier: Spec) -> PipelineFile:
    """Drop the path where the grid that it goes along, or the parameter, is gone."""
    path, dropped = pipeline.path, False
    if path is True:
        dropped = not pipeline.tune and not given.of(name, "path")
    elif isinstance(path, dict) and given.of(name, "classifier") and not given.of(name, "path"):
        dropped = bool(_unfit(pipeline, next(iter(path), ""), classifier))
    return pipeline.model_copy(update={"path": False}) if dropped else pipeline


def _unfit(pipeline: PipelineFile, parameter: str, classifier: Spec) -> str:
    """Return why a classifier is not tuned, "" where it can be."""
    if parameter not in classifier.params:
        return f"its classifier {classifier.name} has no {parameter}"
    if parameter in _stated(pipeline.classifier):
        return f"its classifier states {parameter}={classifier.params[parameter]}"
    return ""


def _stated(given: Any) -> Collection[str]:
    """Return the parameters that a classifier was given by name."""
    if isinstance(given, str):
        return parse(given).params
    return given if isinstance(given, Mapping) else ()


def _followers(
    pipelines: Mapping[str, PipelineFile], given: _Given, classifiers: Mapping[str, Spec]
) -> tuple[dict[str, PipelineFile], list[str]]:
    """Drop the edges to pipelines that are not tuned any more, or whose choice is of no use."""
    made, notes = dict(pipelines), []
    for name, one in pipelines.items():
        leader = pipelines.get(one.tune_from or "")
        if leader is None or given.of(name, "tune_from"):
            continue
        if leader.tune is None and given.of(str(one.tune_from), "classifier", "tune"):
            reason = ", which is not tuned"
        elif leader.tune and given.of(name, "classifier"):
            unfit = _unfit(one, next(iter(leader.tune)), classifiers[name])
            reason = unfit and f": {unfit}"
        else:
            reason = ""
        if reason:
            made[name] = one.model_copy(update={"tune_from": None})
            notes.append(f"{name} does not take the choice of {one.tune_from}{reason}")
    return made, notes


def _twins(
    pipelines: Mapping[str, PipelineFile], given: _Given, specs: Mapping[str, tuple[str, str]]
) -> dict[str, str]:
    """Return by pipeline the earlier one that trains the same since the change."""
    found: dict[str, str] = {}
    for place, name in enumerate(pipelines):
        for first in list(pipelines)[:place]:
            same = specs[first] == specs[name]
            same &= pipelines[first].init_from == pipelines[name].init_from
            if first not in found and same and _one_change(pipelines, given, first, name):
                found[name] = first
                break
    return found


def _one_change(
    pipelines: Mapping[str, PipelineFile], given: _Given, first: str, second: str
) -> bool:
    """Return whether two pipelines of one classifier are told apart by nothing that was meant."""
    names = (first, second)
    if not any(given.of(name, "classifier") for name in names):
        return False
    if all(given.of(name, "classifier") and not given.of(name, "tune") for name in names):
        return True
    grids = [_grid(pipelines, name) for name in names]
    return grids[0] == grids[1]


def _grid(pipelines: Mapping[str, PipelineFile], name: str) -> dict[str, list[Any]] | None:
    leader = pipelines.get(pipelines[name].tune_from or "")
    return leader.tune if leader is not None else pipelines[name].tune


def _told(renamed: Mapping[str, str]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for name, first in renamed.items():
        groups.setdefault(first, [first]).append(name)
    return [
        f"{', '.join(names)} train the same now: they are one pipeline, {first}"
        for first, names in groups.items()
    ]


def _merged(file: SuiteFile, renamed: Mapping[str, str]) -> SuiteFile:
    """Return the file with one pipeline for each set of twins."""
    if not renamed:
        return file
    pipelines = {}
    for name, one in file.pipelines.items():
        if name in renamed:
            continue
        all_ = [one, *(file.pipelines[twin] for twin, first in renamed.items() if first == name)]
        pipelines[name] = one.model_copy(
            update={
                "sensitivity": all(twin.sensitivity for twin in all_),
                "optional": all(twin.optional for twin in all_),
                "init_from": renamed.get(one.init_from or "", one.init_from),
                "tune_from": renamed.get(one.tune_from or "", one.tune_from),
            }
        )
    arms = {
        name: arm.model_copy(update={"pipelines": _renamed(arm.pipelines, renamed)})
        for name, arm in file.arms.items()
    }
    return file.model_copy(update={"pipelines": pipelines, "arms": arms})


def _renamed(names: Sequence[str] | None, renamed: Mapping[str, str]) -> list[str] | None:
    return None if names is None else list(dict.fromkeys(renamed.get(one, one) for one in names))
