"""The configuration of a run: every option resolved and checked, before anything heavy starts."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from vidseg import plugins
from vidseg.classifiers.base import Budget
from vidseg.errors import UsageError
from vidseg.experiment.options import DEFAULTS, NATIVE, OPTIONS, Option, check_names
from vidseg.experiment.splits import resolve_split
from vidseg.plugins.spec import Spec, Specs
from vidseg.tasks.registry import find_task
from vidseg.types import Size
from vidseg.utils.bytes import parse_bytes
from vidseg.utils.suggest import did_you_mean
from vidseg.utils.yaml import read_yaml

LABELLING = ("train_labels", "refine", "prior")
"""The options of a :class:`LabelConfig`, in the order of its fields."""
CHOSEN = "tune_index"
"""The fact of a fit that holds which value of a grid was chosen, -1 where none could be."""
Threshold = float | Literal["inner"]
"""A number, or ``"inner"``: chosen on held-out training groups."""


@dataclass(frozen=True)
class LabelConfig:
    """What training masks are made of, and how their classes weigh. Tests are on the truth.

    Attributes:
        source: resolved spec of the training labels.
        refine: what a foreground box becomes.
        prior: class weights make foreground this share of the training pixels, in (0, 1); None
            leaves every pixel its weight.
    """

    source: Spec = field(default_factory=lambda: Spec("truth"))
    refine: str = "box"
    prior: float | None = None

    @property
    def plain(self) -> bool:
        """Whether the training masks are the true ones as they are."""
        return self.source.name == "truth" and self.refine == "box"

    def mapping(self) -> dict[str, Any]:
        """Return the YAML form, which :func:`make_label_config` reads back."""
        return {
            "train_labels": self.source.mapping(),
            "refine": self.refine,
            "prior": self.prior,
        }


Scalar = str | int | float | bool


@dataclass(frozen=True)
class Tuning:
    """A grid of one parameter of a classifier, from which each cell takes its best.

    Attributes:
        parameter: its name.
        values: at least two; numbers ascend, so that ties go to the smaller.
    """

    parameter: str
    values: tuple[Scalar, ...]

    def candidate(self, classifier: Spec, index: int) -> Spec:
        """Return the classifier with one value of the grid."""
        return replace(classifier, params={**classifier.params, self.parameter: self.values[index]})

    def mapping(self) -> dict[str, list[Scalar]]:
        """Return the YAML form."""
        return {self.parameter: list(self.values)}

    def __str__(self) -> str:
        """Return the grid in words: ``"C of 0.1, 1, 10"``."""
        return f"{self.parameter} of {', '.join(map(str, self.values))}"


@dataclass(frozen=True)
class Setting:
    """What is trained: which frames of how many videos, by which classifier.

    Attributes:
        sampler, classifier: resolved plugin specs.
        seed: seeds the sampler and the classifier.
        videos: train on so many of the training videos, None on all. Nested: the videos of a
            smaller number are among those of a larger one; seeded by ``seed``.
        budget: how long classifiers with epochs may train.
        labelling: training masks and class weights.
        init: whose fitted model the classifier starts from.
        tune: the grid of which each cell takes its best; None: ``classifier`` as it is.
        follow: whose choice from that grid is taken, instead of one in inner folds of its own.
        twin: what chooses from a grid and may come to this classifier: its fit is taken then.
    """

    sampler: Spec
    classifier: Spec
    seed: int = 0
    videos: int | None = None
    budget: Budget = field(default_factory=Budget)
    labelling: LabelConfig = field(default_factory=LabelConfig)
    init: Start | None = None
    tune: Tuning | None = None
    follow: Start | None = None
    twin: Setting | None = None

    @property
    def before(self) -> Start | None:
        """What has to be fitted before it."""
        return self.init or self.follow

    @property
    def chooses(self) -> bool:
        """Whether a fit chooses from the grid itself, in inner folds."""
        return self.tune is not None and self.follow is None

    def fitted_classifier(self, facts: Mapping[str, float]) -> Spec:
        """Return the classifier that a cell was fitted with, tuning's choice put in.

        Args:
            facts: of the fit.
        """
        index = int(facts.get(CHOSEN, -1))
        if self.tune is None:
            return self.classifier
        if index >= 0:
            return self.tune.candidate(self.classifier, index)
        if self.follow is None:
            return self.classifier
        own = self.follow.setting.classifier.params[self.tune.parameter]
        params = {**self.classifier.params, self.tune.parameter: own}
        return replace(self.classifier, params=params)


@dataclass(frozen=True)
class Start:
    """The cell of the same fold whose fitted model another one starts from, or whose C it takes.

    Attributes:
        name: how messages name it, such as ``"20 svm"``.
        pipeline: name of its pipeline.
        setting: what it trains.
    """

    name: str
    pipeline: str
    setting: Setting


@dataclass(frozen=True)
class RunConfig:
    """One pipeline on one frame setting of one data set.

    Attributes:
        dataset: resolved spec of the data set, or of several.
        sampler, extractor, classifier: resolved plugin specs.
        split: resolved spec of :mod:`vidseg.experiment.splits`.
        groups: CSV file with a person's group of every video; None: found by content.
        image_size: what the extractor sees; None is each video's native size.
        mask_size: where scores and masks are compared; None is the image size.
        seed: seeds samplers, shuffles and ``k-fold``.
        test_stride: every how many frames a test video is scored; 1 is all.
        threshold: scores above it are foreground; ``"inner"`` chooses one for each fit.
        budget: how long classifiers with epochs may train.
        labelling: training masks and class weights.
        memory_budget: bytes of anonymous memory that a fit may take.
        device: ``cpu`` or ``cuda``.
        threads: threads of the extractor; part of the features' key.
        refit: whether a model of all groups is fitted for serving.
    """

    dataset: Specs
    sampler: Spec
    extractor: Spec
    classifier: Spec
    split: Spec
    groups: str | None = None
    image_size: Size | None = None
    mask_size: Size | None = None
    seed: int = 0
    test_stride: int = 1
    threshold: Threshold = 0.0
    budget: Budget = field(default_factory=Budget)
    labelling: LabelConfig = field(default_factory=LabelConfig)
    memory_budget: int = 8 * 10**9
    device: str = "cpu"
    threads: int = 1
    refit: bool = True

    @property
    def name(self) -> str:
        """Return ``"20 sgd"``: the setting and the pipeline, as the paper names them."""
        return f"{self.sampler_name} {self.classifier_name}"

    @property
    def sampler_name(self) -> str:
        """Return the sampler's name and what differs from its defaults."""
        return _short_name("sampler", self.sampler)

    @property
    def classifier_name(self) -> str:
        """Return the classifier's name and what differs from its defaults."""
        return _short_name("classifier", self.classifier)

    @property
    def setting(self) -> Setting:
        """Return what is trained."""
        return Setting(self.sampler, self.classifier, self.seed, None, self.budget, self.labelling)

    def mapping(self) -> dict[str, Any]:
        """Return the YAML form, which :func:`make_config` reads back."""
        values = {
            **vars(self),
            **self.labelling.mapping(),
            "image_size": self.image_size or NATIVE,
            "budget": self.budget.rule,
            "epochs": self.budget.base,
            "max_time": self.budget.max_time,
        }
        return {name: _recorded(values[name]) for name in OPTIONS}

    def params(self) -> dict[str, str | int | float | bool]:
        """Return flat parameters under dotted names, such as ``sampler.n``."""
        flat: dict[str, str | int | float | bool] = {"setting": self.name}
        for key, value in self.mapping().items():
            if isinstance(value, list):
                flat[f"{key}.name"] = self.dataset.name
                for place, one in enumerate(value, start=1):
                    flat |= _flat_spec(f"{key}.{place}", one)
            elif isinstance(value, Mapping):
                flat |= _flat_spec(key, value)
            else:
                flat[f"run.{key}"] = _flat(value)
        return flat


def read_config(path: Path) -> dict[str, Any]:
    """Return the options in a YAML file.

    Raises:
        UsageError: unreadable, not YAML, not a mapping, or an unknown key (names the nearest).
    """
    loaded = read_yaml(path, where="--config")
    if not isinstance(loaded, dict):
        raise UsageError("the file does not hold a mapping", where=f"--config {path}")
    check_names(loaded, where=f"--config {path}")
    return loaded


def make_config(options: Mapping[str, Any]) -> RunConfig:
    """Check and resolve options; those that are absent have their default.

    Raises:
        UsageError: a name that is none (names the nearest), or a value that cannot be meant
            (names the option).
    """
    check_names(options)
    given = {name: check_option(name, value) for name, value in {**DEFAULTS, **options}.items()}
    budget = Budget(given.pop("budget"), given.pop("epochs"), given.pop("max_time"))
    labelling = LabelConfig(*(given.pop(name) for name in LABELLING))
    find_task().check_prior(given["classifier"], labelling.prior)
    given["device"] = choose_device(given["device"])
    given["threads"] = given["threads"] or _cores()
    return RunConfig(**given, budget=budget, labelling=labelling)


def make_label_config(given: Mapping[str, Any]) -> LabelConfig:
    """Check and resolve ``train_labels``, ``refine`` and ``prior``.

    Raises:
        UsageError: a value that cannot be meant; names the option.
    """
    return LabelConfig(*(check_option(name, given[name]) for name in LABELLING))


def check_option(name: str, value: Any) -> Any:
    """Return an option's value as a run takes it: a resolved spec, a size, bytes, a number, ...

    Raises:
        UsageError: a value that cannot be meant; names the option.
    """
    option = OPTIONS[name]
    if isinstance(value, str) and value in option.words:
        return option.words[value]
    if value is None and option.default is None:
        return None
    match option.kind:
        case "split":
            return resolve_split(value)
        case "file":
            return str(value)
        case "size":
            return Size.parse(str(value), where=name)
        case "bytes":
            return _bytes(value, name)
        case "dataset":
            return plugins.resolve_several("dataset", value, where=name)
        case kind if kind in plugins.KINDS:
            return plugins.resolve(kind, value, where=name)
    return _plain(option, value)


def _plain(option: Option, value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    try:
        return _adapter(option.name).validate_python(value)
    except ValidationError as error:
        near = did_you_mean(str(value), option.choices)
        hint = f"{near}{option.name} is {option.allowed}"
        raise UsageError(f"{value!r} is refused", where=option.name, hint=hint) from error


@functools.cache
def _adapter(name: str) -> TypeAdapter[Any]:
    option = OPTIONS[name]
    types = {"flag": bool, "integer": int, "number": float}
    kind: Any = Literal[option.choices] if option.choices else types[option.kind]
    bounds = Field(ge=option.ge, gt=option.gt, lt=option.lt)
    config = ConfigDict(strict=True, allow_inf_nan=False)
    return TypeAdapter(Annotated[kind, bounds], config=config)


def _bytes(value: object, name: str) -> int:
    amount = parse_bytes(str(value), where=name)
    if amount < 1:
        raise UsageError(f"{value!r} is refused", where=name, hint="write an amount such as 8GB")
    return amount


def choose_device(value: object) -> str:
    """Return ``cpu`` or ``cuda``; ``auto`` takes a GPU where torch sees one.

    Raises:
        UsageError: no device of that name, or torch sees no GPU.
    """
    if check_option("device", value) == "cpu":
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if value == "cuda":
        raise UsageError(
            "torch sees no GPU", where="device", hint="choose cpu, or install a driver"
        )
    return "cpu"


def _cores() -> int:
    import psutil

    return int(psutil.cpu_count(logical=False) or psutil.cpu_count() or 1)


def _recorded(value: Any) -> Any:
    if isinstance(value, Spec | Specs):
        return value.mapping()
    return str(value) if isinstance(value, Size) else value


def _flat_spec(key: str, value: Mapping[str, Any]) -> dict[str, str | int | float | bool]:
    rest = {f"{key}.{k}": _flat(v) for k, v in value.items() if k != "use"}
    return {f"{key}.name": str(value["use"]), **rest}


def _flat(value: Any) -> str | int | float | bool:
    if isinstance(value, bool | int | float | str):
        return value
    return "null" if value is None else str(value)


def _short_name(kind: str, spec: Spec) -> str:
    """Return the plugin's name and what differs from its defaults."""
    defaults = plugins.defaults(plugins.find(kind, spec.name))
    changed = {k: v for k, v in spec.params.items() if k != "short" and v != defaults.get(k, ...)}
    return str(Spec(spec.name, None, changed))
