"""Suite files: read, overridden from the command line, checked, with errors that name the line."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vidseg import plugins
from vidseg.config import RunConfig, Setting, make_config
from vidseg.errors import UsageError
from vidseg.specs import CoreLoader, Spec, scalar
from vidseg.splits import resolve_split

FILES = Path(__file__).parent / "files"
CONDITIONS = (
    "image_size",
    "mask_size",
    "split",
    "test_stride",
    "threshold",
    "budget",
    "epochs",
    "max_time",
    "memory_budget",
    "device",
    "threads",
)
"""Options of a run that a suite states once for all of its settings."""

Score = Literal["iou", "gscore", "accuracy", "precision", "recall", "f1", "biased_accuracy", "ap"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


class ArmFile(_Strict):
    """Which training frames: one arm, or a grid of arms."""

    sampler: Any
    videos: int | str | None = None
    split: Any = None
    pipelines: list[str] | None = None
    matrix: dict[str, list[Any]] | None = None


class PipelineFile(_Strict):
    """What is trained on them."""

    extractor: Any = "timm"
    classifier: Any = "pixel_svm"


class ComparisonFile(_Strict):
    """Two arms; the question is whether b is better than a."""

    a: str | int
    b: str | int
    question: str = ""


class SuiteFile(_Strict):
    """The keys of a suite file."""

    name: str
    question: str
    about: str = ""
    primary: Score = "iou"
    delta: Annotated[float, Field(gt=0, lt=1)] = 0.01
    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] = [0]
    dataset: Any = None
    image_size: str | None = None
    mask_size: str | None = None
    split: Any = None
    test_stride: int | None = None
    threshold: float | None = None
    budget: str | None = None
    epochs: int | None = None
    max_time: float | None = None
    memory_budget: str | int | None = None
    device: str | None = None
    threads: int | None = None
    arms: Annotated[dict[str, ArmFile], Field(min_length=1)]
    pipelines: Annotated[dict[str, PipelineFile], Field(min_length=1)]
    comparisons: list[ComparisonFile] = []


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
    """

    name: str
    sampler: Spec
    videos: int | None
    split: Spec
    pipelines: tuple[str, ...]
    axes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Suite:
    """A checked suite.

    Attributes:
        file: what was read, overrides applied; its YAML form repeats the suite.
        arms: grids expanded, in the file's order.
        pipelines: run configurations by name; their sampler is not used.
        comparisons: (a, b, question) by arm names.
    """

    file: SuiteFile
    arms: tuple[Arm, ...]
    pipelines: dict[str, RunConfig]
    comparisons: tuple[tuple[str, str, str], ...]

    @property
    def name(self) -> str:
        """Name of the suite."""
        return self.file.name

    @property
    def settings(self) -> list[tuple[Arm, str]]:
        """(arm, pipeline) of every setting, pipelines in turn."""
        return [
            (arm, name) for name in self.pipelines for arm in self.arms if name in arm.pipelines
        ]

    def setting(self, arm: Arm, pipeline: str, seed: int) -> Setting:
        """Return what one setting trains with one seed."""
        config = self.pipelines[pipeline]
        return Setting(arm.sampler, config.classifier, seed, arm.videos, config.budget)

    def mapping(self) -> dict[str, Any]:
        """Return the resolved suite as plain data."""
        first = next(iter(self.pipelines.values()))
        common = {k: v for k, v in first.mapping().items() if k in (*CONDITIONS, "dataset")}
        return {
            **self.file.model_dump(include={"name", "question", "primary", "delta", "level"}),
            "seeds": self.file.seeds,
            **common,
            "arms": {arm.name: _arm_mapping(arm, first.split) for arm in self.arms},
            "pipelines": {
                name: {
                    "extractor": config.extractor.mapping(),
                    "classifier": config.classifier.mapping(),
                }
                for name, config in self.pipelines.items()
            },
            "comparisons": [
                {"a": a, "b": b, "question": question} for a, b, question in self.comparisons
            ],
        }


def shipped() -> dict[str, Path]:
    """Return the suites that come with vidseg, by name."""
    return {path.stem: path for path in sorted(FILES.glob("*.yaml"))}


def find_suite(name: str) -> Path:
    """Return the file of a shipped suite, or the file that ``name`` is.

    Raises:
        UsageError: there is neither.
    """
    path = Path(name).expanduser()
    if name in shipped():
        return shipped()[name]
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return path
    near = difflib.get_close_matches(name, shipped(), n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise UsageError(
        f"there is no suite and no YAML file {name!r}",
        hint=f"{hint}`vidseg suite list` shows {', '.join(shipped())}",
    )


def load_suite(name: str, overrides: Mapping[str, Any] | None = None) -> Suite:
    """Read, override and check a suite.

    Args:
        name: a shipped suite or a YAML file.
        overrides: values by dotted path, such as ``{"pipelines.sgd.classifier": "sgd:C=1"}``.

    Raises:
        UsageError: names the file, the line and the key.
    """
    path = find_suite(name)
    text = _read(path)
    data = _parse(text, path)
    for key, value in (overrides or {}).items():
        _override(data, key, value)
    try:
        file = SuiteFile.model_validate(_text_keys(data))
    except ValidationError as error:
        raise _refused(error, text, path) from error
    return _checked(file, path)


def parse_overrides(items: Sequence[str]) -> dict[str, Any]:
    """Read ``--set key=value`` options; values are YAML scalars or specs.

    Raises:
        UsageError: an item without ``=``.
    """
    found = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"{item!r} is not key=value", where="--set", hint="write delta=0.02")
        found[key.strip()] = _override_value(value.strip())
    return found


def _override_value(text: str) -> Any:
    if text.startswith("[") and text.endswith("]"):
        return [scalar(part.strip()) for part in text[1:-1].split(",") if part.strip()]
    return scalar(text)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot be read: {error}", where=f"suite {path}") from error


def _parse(text: str, path: Path) -> dict[str, Any]:
    try:
        data = yaml.load(text, Loader=CoreLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise UsageError(
            str(getattr(error, "problem", None) or "not YAML"), where=f"suite {path}{line}"
        ) from error
    if not isinstance(data, dict):
        raise UsageError("does not hold a mapping", where=f"suite {path}")
    return data


def _text_keys(data: Any) -> Any:
    """Return the data with every key as text: an arm may be called 20."""
    if isinstance(data, dict):
        return {str(key): _text_keys(value) for key, value in data.items()}
    return [_text_keys(one) for one in data] if isinstance(data, list) else data


def _override(data: dict[str, Any], key: str, value: Any) -> None:
    """Set one value by its dotted path; ``*`` stands for every key of a mapping.

    Raises:
        UsageError: the path leads through something that is not there or not a mapping.
    """
    *parents, last = key.split(".")
    places: list[Any] = [data]
    for parent in parents:
        places = [_below(place, name, key) for place in places for name in _matching(place, parent)]
    for place in places:
        names = {str(name): name for name in place}
        place[names.get(last, last)] = value


def _matching(place: Any, name: str) -> list[str]:
    return [str(key) for key in place] if name == "*" and isinstance(place, dict) else [name]


def _below(place: Any, name: str, key: str) -> Any:
    names = {str(one): one for one in place} if isinstance(place, dict) else {}
    if name not in names or not isinstance(place[names[name]], dict):
        raise UsageError(
            f"there is no {key!r} in the suite",
            where="--set",
            hint=f"at {name!r} there is {', '.join(names) or 'nothing'}",
        )
    return place[names[name]]


def _refused(error: ValidationError, text: str, path: Path) -> UsageError:
    first = error.errors()[0]
    keys = [str(part) for part in first["loc"]]
    what = str(first["msg"])
    hint = ""
    if first["type"] == "extra_forbidden":
        known = _known(keys)
        near = difflib.get_close_matches(keys[-1], known, n=1)
        what = f"there is no key {keys[-1]!r}"
        hint = f"did you mean {near[0]!r}?" if near else f"the keys are {', '.join(known)}"
    return UsageError(
        f"{'.'.join(keys)}: {what}", where=f"suite {path}{_line(text, keys)}", hint=hint
    )


def _known(keys: Sequence[str]) -> list[str]:
    model: type[BaseModel] = SuiteFile
    parts: dict[str, type[BaseModel]]
    parts = {"arms": ArmFile, "pipelines": PipelineFile, "comparisons": ComparisonFile}
    if len(keys) > 1 and keys[0] in parts:
        model = parts[keys[0]]
    return list(model.model_fields)


def _line(text: str, keys: Sequence[str]) -> str:
    """Return ``":12"`` for the deepest key of the path that stands in the file."""
    node = yaml.compose(text, Loader=CoreLoader)
    line = ""
    for key in keys:
        if isinstance(node, yaml.MappingNode):
            found = [(k, v) for k, v in node.value if str(k.value) == key]
            if not found:
                break
            line, node = f":{found[0][0].start_mark.line + 1}", found[0][1]
        elif isinstance(node, yaml.SequenceNode) and key.isdigit() and int(key) < len(node.value):
            node = node.value[int(key)]
            line = f":{node.start_mark.line + 1}"
    return line


def _checked(file: SuiteFile, path: Path) -> Suite:
    where = f"suite {path}"
    options = {name: getattr(file, name) for name in CONDITIONS}
    options = {name: value for name, value in options.items() if value is not None}
    if file.dataset is not None:
        options["dataset"] = file.dataset
    pipelines = {
        name: make_config(
            {**options, "extractor": pipeline.extractor, "classifier": pipeline.classifier}
        )
        for name, pipeline in file.pipelines.items()
    }
    split = next(iter(pipelines.values())).split
    arms: list[Arm] = []
    for name, arm in file.arms.items():
        arms.extend(_arms(name, arm, split, tuple(pipelines), f"{where} arm {name}"))
    twice = [arm.name for arm in arms if sum(other.name == arm.name for other in arms) > 1]
    if twice:
        raise UsageError(f"two arms are named {twice[0]!r}", where=where, hint="rename one")
    return Suite(file, tuple(arms), pipelines, _comparisons(file, arms, where))


def _comparisons(
    file: SuiteFile, arms: Sequence[Arm], where: str
) -> tuple[tuple[str, str, str], ...]:
    names = [arm.name for arm in arms]
    for comparison in file.comparisons:
        for side in (str(comparison.a), str(comparison.b)):
            if side not in names:
                near = difflib.get_close_matches(side, names, n=1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise UsageError(
                    f"a comparison names the arm {side!r}, which does not exist",
                    where=where,
                    hint=f"{hint}the arms are {', '.join(names)}",
                )
    return tuple((str(c.a), str(c.b), c.question) for c in file.comparisons)


def _arms(
    name: str, arm: ArmFile, split: Spec, pipelines: tuple[str, ...], where: str
) -> list[Arm]:
    if arm.pipelines is not None:
        unknown = [one for one in arm.pipelines if one not in pipelines]
        if unknown:
            raise UsageError(
                f"there is no pipeline {unknown[0]!r}",
                where=where,
                hint=f"the pipelines are {', '.join(pipelines)}",
            )
        pipelines = tuple(one for one in pipelines if one in arm.pipelines)
    own = split if arm.split is None else resolve_split(arm.split)
    base = Arm(name, Spec("all"), None, own, pipelines)
    grid = arm.matrix or {}
    return [
        replace(
            base,
            name=_filled(name, axes, where),
            sampler=plugins.resolve("sampler", _filled(arm.sampler, axes, where), where=where),
            videos=_videos(_filled(arm.videos, axes, where), where),
            axes=axes,
        )
        for axes in (
            dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())
        )
    ]


def _filled(value: Any, axes: Mapping[str, Any], where: str) -> Any:
    """Put a grid's values into ``{name}`` places."""
    if not isinstance(value, str) or not axes:
        return value
    try:
        return value.format(**axes)
    except (KeyError, IndexError, ValueError) as error:
        raise UsageError(
            f"{value!r} names {error}, which is not in the matrix",
            where=where,
            hint=f"the matrix has {', '.join(axes)}",
        ) from error


def _videos(value: Any, where: str) -> int | None:
    number = scalar(value) if isinstance(value, str) else value
    if number is None or number == "all":
        return None
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise UsageError(f"videos: {value!r} is refused", where=where, hint="videos is int (>= 1)")
    return number


def _arm_mapping(arm: Arm, split: Spec) -> dict[str, Any]:
    mapping: dict[str, Any] = {"sampler": arm.sampler.mapping()}
    if arm.videos is not None:
        mapping["videos"] = arm.videos
    if arm.split != split:
        mapping["split"] = arm.split.mapping()
    return {**mapping, "pipelines": list(arm.pipelines)}
