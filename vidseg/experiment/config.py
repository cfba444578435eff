"""The configuration of a run: every option resolved and checked, before anything heavy starts."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

from vidseg import plugins
from vidseg.classifiers.base import Budget, BudgetRule
from vidseg.errors import UsageError
from vidseg.experiment.splits import resolve_split
from vidseg.labels.refine import Refine
from vidseg.plugins.spec import Spec
from vidseg.tasks.segmentation.class_weights import check_weighable
from vidseg.types import Size
from vidseg.utils.bytes import parse_bytes
from vidseg.utils.yaml import read_yaml

NATIVE = "native"
INNER: Final = "inner"
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
    refine: Refine = "box"
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
    """

    sampler: Spec
    classifier: Spec
    seed: int = 0
    videos: int | None = None
    budget: Budget = field(default_factory=Budget)
    labelling: LabelConfig = field(default_factory=LabelConfig)


@dataclass(frozen=True)
class RunConfig:
    """One pipeline on one frame setting of one data set.

    Attributes:
        dataset, sampler, extractor, classifier: resolved plugin specs.
        split: resolved spec of :mod:`vidseg.experiment.splits`.
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

    dataset: Spec
    sampler: Spec
    extractor: Spec
    classifier: Spec
    split: Spec
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
        return (
            f"{_short_name('sampler', self.sampler)} {_short_name('classifier', self.classifier)}"
        )

    @property
    def setting(self) -> Setting:
        """Return what is trained."""
        return Setting(self.sampler, self.classifier, self.seed, None, self.budget, self.labelling)

    def mapping(self) -> dict[str, Any]:
        """Return the YAML form, which :func:`make_config` reads back."""
        return {
            "dataset": self.dataset.mapping(),
            "sampler": self.sampler.mapping(),
            "extractor": self.extractor.mapping(),
            "classifier": self.classifier.mapping(),
            **self.labelling.mapping(),
            "split": self.split.mapping(),
            "image_size": str(self.image_size or NATIVE),
            "mask_size": str(self.mask_size) if self.mask_size else None,
            "seed": self.seed,
            "test_stride": self.test_stride,
            "threshold": self.threshold,
            "budget": self.budget.rule,
            "epochs": self.budget.base,
            "max_time": self.budget.max_time,
            "memory_budget": self.memory_budget,
            "device": self.device,
            "threads": self.threads,
            "refit": self.refit,
        }

    def params(self) -> dict[str, str | int | float | bool]:
        """Return flat parameters under dotted names, such as ``sampler.n``."""
        flat: dict[str, str | int | float | bool] = {"setting": self.name}
        for key, value in self.mapping().items():
            if isinstance(value, Mapping):
                flat[f"{key}.name"] = str(value["use"])
                rest = {k: v for k, v in value.items() if k != "use"}
                flat |= {f"{key}.{k}": _flat(v) for k, v in rest.items()}
            else:
                flat[f"run.{key}"] = _flat(value)
        return flat


DEFAULTS: dict[str, Any] = {
    "dataset": "synthetic",
    "sampler": "20",
    "extractor": "filters",
    "classifier": "pixel_svm",
    "train_labels": "truth",
    "refine": "box",
    "prior": None,
    "split": "leave-one-group-out",
    "image_size": "320x240",
    "mask_size": None,
    "seed": 0,
    "test_stride": 1,
    "threshold": 0.0,
    "budget": "paper",
    "epochs": None,
    "max_time": None,
    "memory_budget": "8GB",
    "device": "auto",
    "threads": None,
    "refit": True,
}
"""Every key of a configuration file, with its default."""


def read_config(path: Path) -> dict[str, Any]:
    """Return the options in a YAML file.

    Raises:
        UsageError: unreadable, not YAML, not a mapping, or an unknown key (names the nearest).
    """
    loaded = read_yaml(path, where="--config")
    if not isinstance(loaded, dict):
        raise UsageError("the file does not hold a mapping", where=f"--config {path}")
    for key in loaded:
        if key not in DEFAULTS:
            near = difflib.get_close_matches(str(key), DEFAULTS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(DEFAULTS)}"
            raise UsageError(f"there is no option {key!r}", where=f"--config {path}", hint=hint)
    return loaded


def make_config(options: Mapping[str, Any]) -> RunConfig:
    """Check and resolve options; those that are absent have their default.

    Raises:
        UsageError: a value that cannot be meant; names the option.
    """
    given = DEFAULTS | dict(options)
    image = given["image_size"]
    rule = given["budget"]
    if rule not in get_args(BudgetRule):
        raise UsageError(
            f"{rule!r} is no budget rule", where="budget", hint=" or ".join(get_args(BudgetRule))
        )
    budget = Budget(
        rule,
        None if given["epochs"] is None else _integer(given["epochs"], "epochs", 1),
        None if given["max_time"] is None else _number(given["max_time"], "max_time", 0.0),
    )
    labelling = make_label_config(given)
    classifier = plugins.resolve("classifier", given["classifier"], where="classifier")
    check_weighable(classifier, labelling.prior)
    return RunConfig(
        dataset=plugins.resolve("dataset", given["dataset"], where="dataset"),
        sampler=plugins.resolve("sampler", given["sampler"], where="sampler"),
        extractor=plugins.resolve("extractor", given["extractor"], where="extractor"),
        classifier=classifier,
        split=resolve_split(given["split"]),
        image_size=None if image == NATIVE else Size.parse(str(image), where="image_size"),
        mask_size=_mask_size(given["mask_size"]),
        seed=_integer(given["seed"], "seed", 0),
        test_stride=_integer(given["test_stride"], "test_stride", 1),
        threshold=_threshold(given["threshold"]),
        budget=budget,
        labelling=labelling,
        memory_budget=_bytes(given["memory_budget"], "memory_budget"),
        device=choose_device(given["device"]),
        threads=_threads(given["threads"]),
        refit=_truth(given["refit"], "refit"),
    )


def make_label_config(given: Mapping[str, Any]) -> LabelConfig:
    """Check and resolve ``train_labels``, ``refine`` and ``prior``.

    Raises:
        UsageError: a value that cannot be meant; names the option.
    """
    refine, prior = given["refine"], given["prior"]
    if refine not in get_args(Refine):
        raise UsageError(
            f"{refine!r} refines nothing", where="refine", hint=" or ".join(get_args(Refine))
        )
    share = None if prior in (None, "none") else _share(prior, "prior")
    source = plugins.resolve("label", given["train_labels"], where="train_labels")
    return LabelConfig(source, refine, share)


def _share(value: object, name: str) -> float:
    share = _number(value, name, None)
    if not 0 < share < 1:
        raise UsageError(
            f"{value!r} is refused", where=name, hint=f"{name} is a share, more than 0, less than 1"
        )
    return share


def _threshold(value: object) -> Threshold:
    if value == INNER:
        return INNER
    if isinstance(value, str):
        raise UsageError(
            f"{value!r} is refused", where="threshold", hint=f"threshold is a number or {INNER}"
        )
    return _number(value, "threshold", None)


def _bytes(value: object, name: str) -> int:
    amount = parse_bytes(str(value), where=name)
    if amount < 1:
        raise UsageError(f"{value!r} is refused", where=name, hint="write an amount such as 8GB")
    return amount


def _mask_size(value: object) -> Size | None:
    return None if value in (None, "same") else Size.parse(str(value), where="mask_size")


def choose_device(value: object) -> str:
    """Return ``cpu`` or ``cuda``; ``auto`` takes a GPU where torch sees one.

    Raises:
        UsageError: no device of that name, or torch sees no GPU.
    """
    if value not in ("auto", "cpu", "cuda"):
        raise UsageError(f"{value!r} is no device", where="device", hint="choose auto, cpu or cuda")
    if value == "cpu":
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if value == "cuda":
        raise UsageError(
            "torch sees no GPU", where="device", hint="choose cpu, or install a driver"
        )
    return "cpu"


def _threads(value: object) -> int:
    if value is not None:
        return _integer(value, "threads", 1)
    import psutil

    return int(psutil.cpu_count(logical=False) or psutil.cpu_count() or 1)


def _integer(value: object, name: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(f"{value!r} is refused", where=name, hint=f"{name} is int (>= {least})")
    return value


def _number(value: object, name: str, above: float | None) -> float:
    wrong = isinstance(value, bool) or not isinstance(value, int | float) or value != value
    if wrong or (above is not None and float(str(value)) <= above):
        raise UsageError(
            f"{value!r} is refused",
            where=name,
            hint=f"{name} is a number" + ("" if above is None else f" (> {above:g})"),
        )
    return float(str(value))


def _truth(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{value!r} is refused", where=name, hint=f"{name} is true or false")
    return value


def _flat(value: Any) -> str | int | float | bool:
    if isinstance(value, bool | int | float | str):
        return value
    return "null" if value is None else str(value)


def _short_name(kind: str, spec: Spec) -> str:
    """Return the plugin's name and what differs from its defaults."""
    defaults = plugins.defaults(plugins.find(kind, spec.name))
    changed = {k: v for k, v in spec.params.items() if k != "short" and v != defaults.get(k, ...)}
    return str(Spec(spec.name, None, changed))
