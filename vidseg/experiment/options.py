"""The conditions of a run, each stated once: name, kind, range, default and help.

From here come the options of ``vidseg run`` and ``vidseg suite run``, the keys of configuration and
suite files, and what :func:`vidseg.experiment.config.make_config` checks; the tests hold MLproject
and the documentation to it. Imported for every ``--help``, so it imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from vidseg.errors import UsageError
from vidseg.utils.suggest import did_you_mean

INNER: Final = "inner"
NATIVE: Final = "native"


@dataclass(frozen=True)
class Option:
    """One condition of a run.

    Attributes:
        name: its key in files; the command line writes ``-`` for ``_``.
        kind: a kind of plugin (its value is a spec), ``split``, ``file``, ``size``, ``bytes``,
            ``flag``, ``integer``, ``number``, or the values of a choice: ``auto|cpu|cuda``.
        default: as a configuration file holds it.
        help: one sentence.
        shown: the default as a user reads it, where it is not ``default`` itself.
        metavar: what the value is called in ``--help``; none leaves it to the kind.
        ge, gt, lt: bounds of a number.
        words: texts that stand for a value of another kind, and that value.
        shared: whether a suite states it once for all of its settings.
    """

    name: str
    kind: str
    default: Any
    help: str
    shown: str = ""
    metavar: str | None = None
    ge: int | None = None
    gt: float | None = None
    lt: float | None = None
    words: Mapping[str, Any] = field(default_factory=dict)
    shared: bool = True

    @property
    def choices(self) -> tuple[str, ...]:
        """Return the values of a choice, none of another kind."""
        return tuple(self.kind.split("|")) if "|" in self.kind else ()

    @property
    def flag(self) -> str:
        """Return ``--image-size``."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def default_text(self) -> str:
        """Return the default as a user reads it, ``""`` where there is nothing to say."""
        if self.shown or self.default is None:
            return self.shown
        if self.kind == "flag":
            return self.name if self.default else f"no-{self.name}"
        return f"{self.default:g}" if self.kind == "number" else str(self.default)

    @property
    def allowed(self) -> str:
        """Return what an error says of the values: ``"int (>= 1)"``, ``"auto, cpu or cuda"``."""
        if self.choices:
            return f"{', '.join(self.choices[:-1])} or {self.choices[-1]}"
        bounds = [(">=", self.ge), (">", self.gt), ("<", self.lt)]
        limits = ", ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)
        plain = {"integer": "int", "flag": "true or false"}.get(self.kind)
        plain = plain or f"a {self.metavar or 'number'}".lower()
        return " or ".join([f"{plain} ({limits})" if limits else plain, *self.words])


_ALL = (
    Option("dataset", "dataset", "synthetic", "Annotated videos; may be repeated.", shared=False),
    Option("sampler", "sampler", "20", "Which training frames.", shared=False),
    Option("extractor", "extractor", "filters", "Image features.", shared=False),
    Option("classifier", "classifier", "pixel_svm", "What learns.", shared=False),
    Option("train_labels", "label", "truth", "What training labels are; tests are on the truth."),
    Option("refine", "box|ellipse|grabcut", "box", "What a box becomes in a training mask."),
    Option(
        "prior",
        "number",
        None,
        "Weigh classes as if this share of the pixels were foreground.",
        shown="no weights",
        metavar="SHARE",
        gt=0,
        lt=1,
        words={"none": None},
    ),
    Option(
        "split",
        "split",
        "leave-one-group-out",
        "leave-one-group-out, k-fold:k=, or fixed:test=a,test=b.",
    ),
    Option(
        "groups",
        "file",
        None,
        "CSV of video,group: which videos are one scene.",
        shown="by content",
        metavar="FILE.csv",
    ),
    Option(
        "image_size", "size", "320x240", "What the extractor sees, or native.", words={NATIVE: None}
    ),
    Option(
        "mask_size",
        "size",
        None,
        "Where masks and scores are compared.",
        shown="the image size",
        words={"same": None},
    ),
    Option("seed", "integer", 0, "Seed of all draws.", ge=0, shared=False),
    Option("test_stride", "integer", 1, "Score every n-th test frame.", shown="1, all", ge=1),
    Option(
        "threshold",
        "number",
        0.0,
        "Scores above it are foreground; inner chooses it on held-out training groups.",
        words={INNER: INNER},
    ),
    Option(
        "budget",
        "paper|equal-steps|equal-epochs",
        "paper",
        "How epochs depend on the number of frames.",
    ),
    Option(
        "epochs", "integer", None, "Epochs at one frame per video.", shown="the classifier's", ge=1
    ),
    Option("max_time", "number", None, "Seconds for one fit.", shown="no limit", gt=0),
    Option("memory_budget", "bytes", "8GB", "Memory that a fit may take."),
    Option("device", "auto|cpu|cuda", "auto", "Where features and networks are computed."),
    Option("threads", "integer", None, "Threads of the extractor.", shown="physical cores", ge=1),
    Option("refit", "flag", True, "Fit the model that is logged on all groups.", shared=False),
)

OPTIONS: Final = {option.name: option for option in _ALL}
"""Every condition of a run by name, in the order of ``config.yaml`` and of ``--help``."""

DEFAULTS: Final = {name: option.default for name, option in OPTIONS.items()}
"""Every key of a configuration file, with its default."""

CONDITIONS: Final = tuple(name for name, option in OPTIONS.items() if option.shared)
"""Options of a run that a suite states once for all of its settings."""


def check_names(names: Iterable[object], *, where: str = "") -> None:
    """Refuse a name that no option has.

    Raises:
        UsageError: names the nearest one.
    """
    for name in names:
        if name not in OPTIONS:
            near = did_you_mean(str(name), OPTIONS)
            raise UsageError(
                f"there is no option {name!r}",
                where=where,
                hint=near or f"it takes {', '.join(OPTIONS)}",
            )
