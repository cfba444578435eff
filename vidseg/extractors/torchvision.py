"""Networks of torchvision, SqueezeNet 1.1 by default; levels by node name."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar
from urllib.parse import urlparse

import torch
import torchvision
from pydantic import Field
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from vidseg.errors import UsageError
from vidseg.extractors import weights as files
from vidseg.extractors.backbone import (
    Backbone,
    Padding,
    level_shapes,
    without_inplace,
)
from vidseg.extractors.normalisation import IMAGENET_MEAN, IMAGENET_STD, Colours, Normalisation
from vidseg.types import Size
from vidseg.utils.suggest import nearest

_VGG16 = {
    "conv1_2": "features.3",
    "conv2_2": "features.8",
    "conv3_3": "features.15",
    "conv4_3": "features.22",
    "pool5": "features.30",
}
_RESNET = {name: name for name in ("relu", "layer1", "layer2", "layer3", "layer4")}
ALIASES = {
    "squeezenet1_1": {
        "conv1": "features.1",
        "fire3": "features.4.cat",
        "fire5": "features.7.cat",
        "fire9": "features.12.cat",
    },
    "vgg16": _VGG16,
    "resnet18": _RESNET,
    "resnet34": _RESNET,
    "resnet50": _RESNET,
}
"""The levels of known models, fine to coarse, by the names that papers use -> node names."""

_REFERENCE = Size(1024, 1024)
_OUT_OF_PLACE = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
}


class Torchvision(Backbone):
    """Levels of a torchvision network, after ImageNet normalisation.

    Node names are those of ``torchvision.models.feature_extraction``.

    Args:
        model: a name of ``torchvision.models``, such as squeezenet1_1 or resnet18.
        levels: node names, modules (their last node) or aliases (SqueezeNet 1.1: conv1, fire3,
            fire5, fire9); all aliases where the model has some.
        weights: imagenet (torchvision's default for the model), random, or a file with the
            model's state_dict (.safetensors or .pth).
        seed: of random weights.
        mean: of red, green and blue in 0..1 that the weights were trained with, one number or
            three; by default that of a .json file beside the weights file, else torchvision's.
        std: standard deviation of the same, likewise.
    """

    library: ClassVar[str] = "torchvision"
    packages: ClassVar[tuple[str, ...]] = ("torchvision",)

    def __init__(
        self,
        model: str = "squeezenet1_1",
        *,
        levels: str | tuple[str, ...] | None = None,
        weights: str = "imagenet",
        seed: Annotated[int, Field(ge=0, lt=2**63)] = 0,
        mean: Colours | None = None,
        std: Colours | None = None,
    ) -> None:
        chosen = (levels,) if isinstance(levels, str) else levels
        super().__init__(_known(model), _nodes(model, chosen), weights, seed, mean=mean, std=std)

    @classmethod
    def network(
        cls, model: str, nodes: tuple[str, ...] | None, padding: Padding | None = None
    ) -> nn.Module:
        """Return a network with random weights that returns these nodes; some must be named.

        Its padding is the model's own.
        """
        net = without_inplace(cls.classifier(model).eval())
        extractor: nn.Module = create_feature_extractor(net, list(nodes or ()))
        for training in (True, False):  # it holds one graph for each
            extractor.train(training)
            _compute_out_of_place(extractor)
        return extractor

    @classmethod
    def classifier(cls, model: str) -> nn.Module:
        """Return torchvision's whole network with random weights."""
        net: nn.Module = torchvision.models.get_model(model, weights=None)
        return net

    @classmethod
    def normalisation(cls, model: str) -> Normalisation:
        """Return that of torchvision's default weights; ImageNet's where there are none."""
        try:
            preset = torchvision.models.get_model_weights(model).DEFAULT.transforms()
            return tuple(preset.mean), tuple(preset.std)
        except (AttributeError, ValueError):
            return IMAGENET_MEAN, IMAGENET_STD

    @classmethod
    def fetched(cls, model: str) -> Path:
        """Return torchvision's own weights file, from torch's cache or its server."""
        try:
            url: str = torchvision.models.get_model_weights(model).DEFAULT.url
        except (AttributeError, ValueError):
            raise files.not_fetched(f"weights of {model}", "torchvision has none") from None
        name = Path(urlparse(url).path).name
        cached = Path(torch.hub.get_dir()) / "checkpoints" / name
        if not cached.is_file():
            files.require_reachable(url, wanted=url)
            try:
                torch.hub.load_state_dict_from_url(url, check_hash=True, progress=False)
            except Exception as error:
                raise files.not_fetched(url, str(error)) from error
        return cached

    def architecture(self) -> dict[str, object]:
        """Return the model and the nodes."""
        return {"model": self.model, "nodes": self.nodes}

    @property
    def levels(self) -> tuple[str, ...]:
        """Aliases where there are some, else node names."""
        names = {_node(self.model, alias): alias for alias in ALIASES.get(self.model, {})}
        return tuple(names.get(node, node) for node in self.nodes)

    @cached_property
    def channels(self) -> tuple[int, ...]:
        """Number of channels of each level."""
        return tuple(c for c, _, _ in level_shapes(self.skeleton, _REFERENCE))

    @cached_property
    def strides(self) -> tuple[int, ...]:
        """Nominal stride of each level."""
        shapes = level_shapes(self.skeleton, _REFERENCE)
        return tuple(round(_REFERENCE.height / h) for _, h, _ in shapes)


def _known(model: str) -> str:
    names = torchvision.models.list_models(module=torchvision.models)
    if model in names:
        return model
    near = nearest(model, names, 3) or ["squeezenet1_1"]
    raise UsageError(
        f"torchvision has no model {model!r}",
        where="model",
        hint=f"did you mean {', '.join(near)}?",
    )


def _nodes(model: str, levels: Sequence[str] | None) -> tuple[str, ...]:
    """Return the node names of ``levels``, in the order in which the network computes them."""
    aliases, existing = ALIASES.get(model, {}), _node_names(model)
    if not levels and not aliases:
        raise UsageError(
            f"{model} has no default levels",
            where="levels",
            hint=f"name some of its nodes, such as {', '.join(existing[len(existing) // 2 :][:3])}",
        )
    wanted = []
    for level in levels or aliases:
        node = _node(model, level)
        if node is None or node in wanted:
            near = nearest(level, [*aliases, *existing], 3)
            raise UsageError(
                f"{level!r} is twice" if node else f"{model} has no level {level!r}",
                where="levels",
                hint=f"choose from {', '.join(near or aliases or existing[:8])}",
            )
        wanted.append(node)
    return tuple(sorted(wanted, key=existing.index))


def _node(model: str, level: str) -> str | None:
    """Return the node that an alias, a node name, or a module's name (its last node) means."""
    name, existing = ALIASES.get(model, {}).get(level, level), _node_names(model)
    if name in existing:
        return name
    inside = [node for node in existing if node.startswith(f"{name}.")]
    return inside[-1] if inside else None


@lru_cache(maxsize=8)
def _node_names(model: str) -> tuple[str, ...]:
    with torch.device("meta"):
        net = torchvision.models.get_model(model, weights=None)
    return tuple(get_graph_node_names(net.eval())[1])


def _compute_out_of_place(extractor: Any) -> None:
    """Replace what a network does in place: a later node must not overwrite a level."""
    for node in extractor.graph.nodes:
        if node.kwargs.get("inplace"):
            node.kwargs = {**node.kwargs, "inplace": False}
        node.target = _OUT_OF_PLACE.get(node.target, node.target)
    extractor.recompile()
