"""What the key of a cell is made of: the same content, configuration and code, the same key.

Code is the import closure (:mod:`vidseg.utils.sources`) of the plugins of a cell, nested ones
included, and of :mod:`vidseg.experiment.experiment`, from which both stages are done. A change of
what a fit runs fits again; a change of what only scoring runs (:data:`SCORING`) scores again.
Left out (:data:`AROUND`) is what reads the configuration, whose values stand in the key itself, and
what names, keeps and shows results without computing any; and the package's own ``__init__``.
Whatever else is imported counts: a module that is new is in the key until it is named here.
"""

from __future__ import annotations

import contextlib
import functools
import typing
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from importlib import metadata
from typing import Any

from vidseg import plugins
from vidseg.errors import PluginError, UsageError, VidsegError
from vidseg.experiment.config import RunConfig, Setting
from vidseg.experiment.options import INNER
from vidseg.experiment.splits import Fold
from vidseg.experiment.training import PreparedVideo
from vidseg.plugins import registry
from vidseg.plugins.registry import PACKAGE, Plugin
from vidseg.plugins.signature import hint
from vidseg.plugins.spec import Spec, parse
from vidseg.utils.hashing import digest
from vidseg.utils.sources import Package, closure, locate

PACKAGES = (
    "av",
    "liblinear-official",
    "numba",
    "numpy",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
    "opencv-python",
    "opencv-python-headless",
    "pillow",
    "scikit-learn",
    "scipy",
    "timm",
    "torch",
    "torchvision",
)
"""What computes. OpenCV comes under four names, each the same library."""

OWN = Package("vidseg", (str(PACKAGE),), near=True)
ENTRY = "vidseg.experiment.experiment"
AROUND = frozenset(
    {
        "vidseg",
        "vidseg.experiment.config",
        "vidseg.experiment.keys",
        "vidseg.experiment.ledger",
        "vidseg.experiment.live",
        "vidseg.experiment.locks",
        "vidseg.experiment.options",
        "vidseg.experiment.stages",
        "vidseg.plugins.describe",
        "vidseg.store.files",
        "vidseg.store.fact_cache",
        "vidseg.store.quota",
        "vidseg.tasks.segmentation.contact_sheet",
        "vidseg.tasks.segmentation.overlays",
        "vidseg.utils.bytes",
        "vidseg.utils.cache",
        "vidseg.utils.files",
        "vidseg.utils.progress",
        "vidseg.utils.scratch",
        "vidseg.utils.sources",
        "vidseg.utils.stop",
        "vidseg.utils.suggest",
        "vidseg.utils.text",
        "vidseg.utils.yaml",
    }
)
"""Modules that no result depends on."""

SCORING = frozenset(
    {
        "vidseg.experiment.evaluate",
        "vidseg.experiment.inner",
        "vidseg.experiment.score",
        "vidseg.experiment.threshold",
        "vidseg.experiment.tuning",
        "vidseg.tasks.means",
        "vidseg.tasks.segmentation.baselines",
        "vidseg.tasks.segmentation.counts",
        "vidseg.tasks.segmentation.histogram",
        "vidseg.tasks.segmentation.margin",
        "vidseg.tasks.segmentation.scores",
        "vidseg.tasks.segmentation.thresholds",
    }
)
"""Modules that a fit runs only where inner folds choose, or where its plugins import them."""


def fit_inputs(
    config: RunConfig,
    setting: Setting,
    fold: Fold,
    members: Sequence[PreparedVideo],
    labels: Sequence[str],
    init: str | None = None,
    follow: str | None = None,
) -> dict[str, Any]:
    """Return what the fit stage depends on.

    Args:
        config: data set, extractor, sizes and limits.
        setting: what is trained.
        fold: which frames are held out, where it is by frame.
        members: the training videos.
        labels: key of the training labels of each.
        init: key of the cell whose model the fit starts from.
        follow: key of the cell whose choice from the grid the fit takes.
    """
    budget, used = setting.budget, used_plugins(config, setting)
    chooses = config.threshold == INNER or setting.chooses
    left = AROUND if chooses else AROUND | SCORING
    return {
        "stage": "fit",
        "task": members[0].task.name,
        "videos": [
            [material.video.name, material.video.image_key, key, *_sparse(material)]
            for material, key in zip(members, labels, strict=True)
        ],
        "groups": [material.group for material in members],
        "train": list(fold.train),
        "held_out": None if fold.part is None else astuple(fold.part),
        "sampler": str(setting.sampler),
        "extractor": members[0].extractor.key,
        "classifier": str(setting.classifier),
        "image_size": str(config.image_size),
        "mask_size": str(config.mask_size),
        "prior": setting.labelling.prior,
        # a threshold that is chosen belongs to the fit; one that is given, to its scores
        "threshold": INNER if config.threshold == INNER else None,
        "seed": setting.seed,
        "init": init,
        **_tuning(config, setting, follow),
        "budget": [budget.rule, budget.base, budget.max_time],
        "memory_budget": config.memory_budget,
        "device": config.device,
        "threads": config.threads,
        "sources": _sources(left, used, OWN),
        "versions": package_versions() | plugin_versions(used),
    }


def _tuning(config: RunConfig, setting: Setting, follow: str | None) -> dict[str, Any]:
    """Return the grid, and who chooses from it at which threshold; nothing without one."""
    if setting.tune is None:
        return {}
    if follow is not None:
        return {"tune": setting.tune.mapping(), "tune_from": follow}
    return {"tune": setting.tune.mapping(), "tune_threshold": config.threshold}


def score_inputs(
    config: RunConfig, key: str, fold: Fold, members: Sequence[PreparedVideo], margin: float
) -> dict[str, Any]:
    """Return what the score stage depends on.

    Args:
        config: how test frames are chosen and scored.
        key: of the fit.
        fold: which frames are held out, where it is by frame.
        members: the test videos.
        margin: half-width of the near band.
    """
    return {
        "stage": "score",
        "fit": key,
        "videos": [_content(material) for material in members],
        "groups": [material.group for material in members],
        "held_out": None if fold.part is None else astuple(fold.part),
        "test_stride": config.test_stride,
        "threshold": config.threshold,
        "margin": margin,
        "sources": _sources(AROUND, (), OWN),
    }


def score_stage(inputs: dict[str, Any]) -> str:
    """Return the name of a score stage in the ledger."""
    return f"score-{digest(inputs, 16)}"


def used_plugins(config: RunConfig, setting: Setting) -> tuple[Plugin, ...]:
    """Return the plugins that a cell is made with, nested ones included."""
    used = {
        "sampler": setting.sampler,
        "extractor": config.extractor,
        "classifier": setting.classifier,
        "label": setting.labelling.source,
    }
    specs = [*(("dataset", spec) for spec in config.dataset), *used.items()]
    found = (plugin for kind, spec in specs for plugin in _plugins_of(kind, spec))
    return tuple(sorted(set(found), key=lambda plugin: (plugin.kind, plugin.name)))


def _plugins_of(kind: str, spec: Spec) -> Iterator[Plugin]:
    plugin = plugins.find(kind, spec.name)
    yield plugin
    for name, value in spec.params.items():
        for one in value if isinstance(value, list) else [value]:
            if (inner := _nested(plugin, name, one)) is not None:
                yield from _plugins_of(kind, inner)


def _nested(plugin: Plugin, parameter: str, value: Any) -> Spec | None:
    """Return the spec that a value is or, as ``base=1by20`` and ``base=20``, may be."""
    if isinstance(value, Spec):
        return value
    name = str(value).partition(":")[0].strip()
    if (plugin.kind, name) not in _names(registry.all_plugins()):
        return None
    if not isinstance(value, str):
        wanted = hint(plugins.load(plugin), parameter)
        return Spec(name) if str in typing.get_args(wanted) else None  # else it is a count
    with contextlib.suppress(UsageError):
        return parse(value)
    return None


@functools.lru_cache(maxsize=1)
def _names(known: tuple[Plugin, ...]) -> frozenset[tuple[str, str]]:
    return frozenset((plugin.kind, plugin.name) for plugin in known)


@functools.cache
def _sources(left: frozenset[str], used: tuple[Plugin, ...], own: Package) -> str:
    code = closure(ENTRY, {own}, left)
    for plugin in used:
        code |= plugin_code(plugin, own)
    return digest(code)


@functools.cache
def plugin_code(plugin: Plugin, own: Package = OWN) -> dict[str, str]:
    """Return the hashes of a plugin's import closure, in its own package and in vidseg.

    Raises:
        PluginError: its source is not found, or cannot be read.
    """
    name = plugin.target.partition(":")[0]
    try:
        module, package = (name, own) if name.startswith("vidseg.") else locate(name)
        return closure(module, {own, package}, AROUND)
    except VidsegError as error:
        raise PluginError(error.what, where=f"the {plugin.blame}", hint=error.hint) from error


def _content(material: PreparedVideo) -> list[str]:
    video = material.video
    return [video.name, video.image_key, video.label_key, *_sparse(material)]


def _sparse(material: PreparedVideo) -> list[str]:
    """Return a hash of which frames are labelled; nothing where all are."""
    labelled = material.labelled
    return [] if len(labelled) == material.length else [digest(list(labelled))]


def plugin_versions(used: Sequence[Plugin]) -> dict[str, str]:
    """Return the versions of the packages that plugins come from, but for vidseg's own."""
    return {plugin.package: plugin.version for plugin in used if plugin.package != "vidseg"}


@functools.cache
def package_versions() -> dict[str, str]:
    """Return the versions of the packages that decide numbers, of those that are installed."""
    found: dict[str, str] = {}
    for package in PACKAGES:
        name = "opencv" if package.startswith("opencv-") else package
        try:
            found[name] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
