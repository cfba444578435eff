"""The keys of a suite file, and the place of each in it, so that errors name file, line and key."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
)

from vidseg.errors import UsageError, VidsegError
from vidseg.experiment.options import CONDITIONS
from vidseg.plugins.spec import parse
from vidseg.tasks.registry import find_task
from vidseg.utils.suggest import did_you_mean
from vidseg.utils.text import reason
from vidseg.utils.yaml import CoreLoader


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


MOST_SEEDS = 1000
Seeds = (
    Annotated[int, Field(ge=1, le=MOST_SEEDS)]
    | Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
)
"""A number of seeds, from 0, or the seeds."""


def _each_once(seeds: list[int]) -> list[int]:
    twice = [seed for seed in seeds if seeds.count(seed) > 1]
    if twice:
        raise ValueError(f"the seed {twice[0]} stands twice")
    return seeds


class ArmFile(_Strict):
    """Which training frames: one arm, or a grid of arms."""

    sampler: Any
    videos: int | str | None = None
    split: Any = None
    train_labels: Any = None
    refine: str | None = None
    prior: float | str | None = None
    oracle: bool = False
    seeds: Seeds | None = None
    tuned_as: str | int | None = None
    pipelines: Annotated[list[str], Field(min_length=1)] | None = None
    matrix: dict[str, Annotated[list[Any], Field(min_length=1)]] | None = None

    @field_validator("seeds")
    @classmethod
    def _seeds_once(cls, seeds: int | list[int] | None) -> list[int] | None:
        """Return the seeds themselves."""
        return list(range(seeds)) if isinstance(seeds, int) else _each_once(seeds or []) or None


Grid = dict[str, Annotated[list[Any], Field(min_length=1)]]
"""Values of a parameter, by its name."""


class PipelineFile(_Strict):
    """What is trained on them; an optional one only where it is asked for."""

    extractor: Any = "timm"
    classifier: Any = "pixel_svm"
    init_from: str | None = None
    sensitivity: bool = False
    tune: Grid | None = None
    tune_from: str | None = None
    path: bool | Grid = False
    optional: bool = False

    @field_validator("init_from", "tune_from", mode="before")
    @classmethod
    def _may_be_none(cls, name: Any) -> Any:
        """Take ``none``, as ``--set`` can give it."""
        return None if name == "none" else name

    @field_validator("tune", "path", mode="before")
    @classmethod
    def _may_be_text(cls, grid: Any, info: ValidationInfo) -> Any:
        """Take ``"C=1,C=10"``, as ``--set`` can give it, and ``none``."""
        if not isinstance(grid, str) or grid == "none":
            nothing = False if info.field_name == "path" else None
            return nothing if grid in ("none", None) else grid
        try:
            given = parse(f"grid:{grid}").params
        except UsageError as error:
            raise ValueError(f"{error.what}; write C=1,C=10") from error
        return {name: one if isinstance(one, list) else [one] for name, one in given.items()}


class ComparisonFile(_Strict):
    """Two arms; the question is whether b is better than a."""

    a: str | int
    b: str | int
    question: str = ""
    lead: bool = False


class SuiteFile(_Strict):
    """The keys of a suite file, without the conditions of its runs.

    ``fold_seed`` shuffles ``k-fold``: every seed of a suite has the same folds, so that its scores
    are paired by group, and adding a seed changes no cell of the others. ``seconds_per_box`` and
    ``seconds_per_look``: what a box drawn and a frame looked at take a human; where either is
    given, the plan and the report have the minutes of each arm.
    """

    name: Annotated[str, Field(pattern=r"^[^/\\\s][^/\\]*$")]
    question: str
    about: str = ""
    primary: str = Field(default_factory=lambda: find_task().primary)
    delta: float = 0.01
    level: float = 0.95
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] = [0]
    fold_seed: Annotated[int, Field(ge=0)] = 0
    seconds_per_box: Annotated[float, Field(ge=0)] | None = None
    seconds_per_look: Annotated[float, Field(ge=0)] | None = None
    dataset: Any = None
    arms: Annotated[dict[str, ArmFile], Field(min_length=1)]
    pipelines: Annotated[dict[str, PipelineFile], Field(min_length=1)]
    comparisons: list[ComparisonFile] = []

    @field_validator("primary")
    @classmethod
    def _is_score(cls, primary: str) -> str:
        if primary not in find_task().scores:
            raise ValueError(
                f"no score has this name; it is one of {', '.join(find_task().scores)}"
            )
        return primary

    @field_validator("seeds", mode="before")
    @classmethod
    def _may_be_number(cls, seeds: Any) -> Any:
        """Take a number of seeds, as an arm may have it."""
        if not isinstance(seeds, int) or isinstance(seeds, bool):
            return seeds
        if not 1 <= seeds <= MOST_SEEDS:
            raise ValueError(f"a number of seeds is 1 to {MOST_SEEDS}; a list has the seeds, [7]")
        return list(range(seeds))

    @field_validator("seeds")
    @classmethod
    def _seeds_once(cls, seeds: list[int]) -> list[int]:
        return _each_once(seeds)

    @field_validator("delta", mode="before")
    @classmethod
    def _is_difference(cls, delta: Any) -> Any:
        if isinstance(delta, int | float) and not 0 < delta < 1:
            raise ValueError("a difference of scores lies between 0 and 1: 0.01 is one point")
        return delta

    @field_validator("level", mode="before")
    @classmethod
    def _is_level(cls, level: Any) -> Any:
        if isinstance(level, int | float) and not 0.5 < level < 1:
            raise ValueError("a level lies between 0.5 and 1: 0.95 is 95 %")
        return level

    @field_validator("comparisons")
    @classmethod
    def _one_lead(cls, comparisons: list[ComparisonFile]) -> list[ComparisonFile]:
        if sum(one.lead for one in comparisons) > 1:
            raise ValueError("one comparison at most is the lead")
        return comparisons

    @field_validator("pipelines")
    @classmethod
    def _one_counts(cls, pipelines: dict[str, PipelineFile]) -> dict[str, PipelineFile]:
        if all(one.sensitivity for one in pipelines.values()):
            raise ValueError("every pipeline is a sensitivity check, so none carries the verdicts")
        return pipelines

    @property
    def conditions(self) -> dict[str, Any]:
        """Return the options of a run that the file states for all of its settings."""
        given = {name: getattr(self, name) for name in CONDITIONS}
        return {name: value for name, value in given.items() if value is not None}


_FIELDS: dict[str, Any] = dict.fromkeys(CONDITIONS, (Any, None))
SCHEMA = create_model("SuiteFile", __base__=SuiteFile, **_FIELDS)
"""The keys of a suite file; the values of conditions are checked when they are resolved."""


@dataclass(frozen=True)
class Source:
    """Where a suite's values come from.

    Attributes:
        name: of the file, for messages.
        text: its content, or nothing.
        changed: dotted paths that the command line gave.
    """

    name: str
    text: str = ""
    changed: Collection[str] = field(default_factory=tuple)

    def place(self, keys: Sequence[str]) -> str:
        """Return ``"suite F.yaml:12 arms.20.sampler"``, or that the command line gave it."""
        path = ".".join(keys)
        if any(given == path or path.startswith(f"{given}.") for given in self.changed):
            return f"{path}, as the command line has it"
        return f"suite {self.name}{self._line(keys)}{f' {path}' if path else ''}"

    @contextlib.contextmanager
    def at(self, *keys: str) -> Iterator[None]:
        """Let every error of the family that is raised inside name the place of a key."""
        try:
            yield
        except VidsegError as error:
            place = self.place(keys)
            inner = f" ({error.where})" if error.where and error.where != keys[-1] else ""
            raise type(error)(error.what, where=place + inner, hint=error.hint) from error

    def refuse(self, error: ValidationError, data: Any) -> UsageError:
        """Return what to tell of a key that is unknown, missing, or has a wrong value."""
        # a key that is misspelt is missing as well: say the first
        found = error.errors()
        first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
        keys = _existing(first["loc"], data)
        what, hint = reason(first["msg"]), ""
        if first["type"] == "extra_forbidden":
            known = _known(keys)
            what = f"there is no key {keys[-1]!r}"
            hint = did_you_mean(keys[-1], known) or f"the keys are {', '.join(known)}"
        elif first["type"] == "missing":
            what, hint = "is missing", "add it"
        elif first["type"] not in ("model_type", "dict_type", "list_type"):
            what = f"{first['input']!r} is refused: {what}"
        return UsageError(what, where=self.place(keys), hint=hint)

    def _line(self, keys: Sequence[str]) -> str:
        """Return ``":12"`` for the deepest key of the path that stands in the file."""
        node, line = self._tree, ""
        for key in keys:
            if isinstance(node, yaml.MappingNode):
                found = [(k, v) for k, v in node.value if str(k.value) == key]
                if not found:
                    break
                line, node = f":{found[0][0].start_mark.line + 1}", found[0][1]
            elif isinstance(node, yaml.SequenceNode) and int(key) < len(node.value):
                node = node.value[int(key)]
                line = f":{node.start_mark.line + 1}"
        return line

    @cached_property
    def _tree(self) -> yaml.Node | None:
        return yaml.compose(self.text, Loader=CoreLoader) if self.text else None


def _existing(loc: Sequence[str | int], data: Any) -> list[str]:
    """Return the keys of a place, without the names of types that pydantic puts behind them."""
    keys = []
    for part in loc:
        if not isinstance(data, dict | list):
            break
        keys.append(str(part))
        try:
            data = data[part] if isinstance(data, dict) else data[int(part)]
        except (KeyError, IndexError, ValueError):
            break
    return keys


def _known(keys: Sequence[str]) -> list[str]:
    parts: dict[str, type[BaseModel]]
    parts = {"arms": ArmFile, "pipelines": PipelineFile, "comparisons": ComparisonFile}
    model = parts.get(keys[0], SCHEMA) if len(keys) > 1 else SCHEMA
    return list(model.model_fields)
