"""Networks of timm, VGG16 with the paper's five levels by default."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, ClassVar

import timm
from pydantic import Field
from torch import nn

from vidseg.errors import UsageError
from vidseg.extractors import weights as files
from vidseg.extractors.backbone import (
    Backbone,
    Padding,
    skeleton,
    without_inplace,
)
from vidseg.extractors.normalisation import IMAGENET_MEAN, IMAGENET_STD, Colours, Normalisation
from vidseg.utils.suggest import nearest

PAPER_LEVELS = (0, 1, 2, 3, 5)
"""Of VGG16: conv1_2, conv2_2, conv3_3, conv4_3, each after its ReLU, and pool5."""

_VGG16_NAMES = {
    "features.3": "conv1_2",
    "features.8": "conv2_2",
    "features.15": "conv3_3",
    "features.22": "conv4_3",
    "features.29": "conv5_3",
    "features.30": "pool5",
}
_HUB_FILE = "model.safetensors"


class Timm(Backbone):
    """Levels of a timm network (``features_only``), after the normalisation that it asks for.

    Args:
        model: a name of timm, such as vgg16, resnet50 or convnext_tiny.fb_in22k.
        levels: indices of the model's levels, fine to coarse; for vgg16 the paper's 0, 1, 2, 3, 5
            (conv1_2, conv2_2, conv3_3, conv4_3, pool5), for others all.
        weights: imagenet (timm's default weights of the model), random, or a file with its
            state_dict (.safetensors or .pth), in timm's or torchvision's naming for VGG.
        seed: of random weights.
        mean: of red, green and blue in 0..1 that the weights were trained with, one number or
            three; by default that of a .json file beside the weights file, else timm's.
        std: standard deviation of the same, likewise.
        padding: of strided convolutions, where the model has the choice (EfficientNet, MobileNet
            and others): same is TensorFlow's, symmetric PyTorch's; by default the model's own.
    """

    library: ClassVar[str] = "timm"
    packages: ClassVar[tuple[str, ...]] = ("timm",)

    def __init__(
        self,
        model: str = "vgg16",
        *,
        levels: int | tuple[int, ...] | None = None,
        weights: str = "imagenet",
        seed: Annotated[int, Field(ge=0, lt=2**63)] = 0,
        mean: Colours | None = None,
        std: Colours | None = None,
        padding: Padding | None = None,
    ) -> None:
        chosen = (levels,) if isinstance(levels, int) else levels
        nodes = _indices(_known(model), chosen)
        other = _other_padding(model, padding)
        super().__init__(model, nodes, weights, seed, mean=mean, std=std, padding=other)

    @classmethod
    def network(
        cls, model: str, nodes: tuple[int, ...] | None, padding: Padding | None = None
    ) -> nn.Module:
        """Return timm's feature network with random weights.

        Raises:
            UsageError: the model offers no feature levels.
        """
        options: dict[str, Any] = {} if nodes is None else {"out_indices": nodes}
        options |= {"features_only": True, "pretrained": False}
        options |= {} if padding is None else {"pad_type": "same" if padding == "same" else ""}
        with _quiet():
            try:
                # Vision transformers are built for one image size unless told otherwise.
                fixed = _config(model).get("fixed_input_size", False)
                net = timm.create_model(
                    model, **options, **({"dynamic_img_size": True} if fixed else {})
                )
            except TypeError:
                net = timm.create_model(model, **options)
            except (AttributeError, AssertionError, RuntimeError) as error:
                raise UsageError(
                    f"{model} offers no feature levels: {' '.join(str(error).split())[:120]}",
                    where="model",
                    hint="choose a model whose timm page shows features_only",
                ) from error
        return without_inplace(net)

    @classmethod
    def classifier(cls, model: str) -> nn.Module:
        """Return timm's whole network with random weights."""
        with _quiet():
            net: nn.Module = timm.create_model(model, pretrained=False)
        return net

    @classmethod
    def normalisation(cls, model: str) -> Normalisation:
        """Return what timm's description of the weights states; ImageNet's by default."""
        config = _config(model)
        return tuple(config.get("mean", IMAGENET_MEAN)), tuple(config.get("std", IMAGENET_STD))

    @classmethod
    def fetched(cls, model: str) -> Path:
        """Return timm's own weights file, from the hub's cache or from the hub."""
        import huggingface_hub
        from huggingface_hub import constants

        repository = _config(model).get("hf_hub_id")
        if not repository:
            raise files.not_fetched(f"weights of {model}", "timm names no file for it")
        wanted = f"{_HUB_FILE} of {repository} (Hugging Face Hub)"
        cached = huggingface_hub.try_to_load_from_cache(repository, _HUB_FILE)
        if isinstance(cached, str):
            return Path(cached)
        if constants.HF_HUB_OFFLINE:
            raise files.not_fetched(wanted, "HF_HUB_OFFLINE is set")
        files.require_reachable(constants.ENDPOINT, wanted=wanted)
        try:
            return Path(huggingface_hub.hf_hub_download(repository, _HUB_FILE))
        except Exception as error:
            raise files.not_fetched(wanted, " ".join(str(error).split())[:160]) from error

    def architecture(self) -> dict[str, object]:
        """Return the architecture (the model's name without its weights) and the levels."""
        own = {} if self.padding is None else {"padding": self.padding}
        return {"model": self.model.split(".")[0], "levels": self.nodes, **own}

    def layer_names(self, known: Mapping[str, Sequence[int]]) -> dict[str, str]:
        """Return name in a weights file -> name in the network, of the layers that it uses.

        timm's feature networks rename layers: flattened (``features.0`` to ``features_0``) or
        nested (``model.blocks.0``).
        """
        own = self.skeleton.net.state_dict()
        names = {}
        for name in known:
            for renamed in (name, name.replace(".", "_", 1), f"model.{name}"):
                if renamed in own:
                    names[name] = renamed
                    break
        if len(names) != len(own):
            lost = ", ".join(sorted(set(own) - set(names.values()))[:3])
            raise UsageError(
                f"layers of the features cannot be told from the file's names: {lost}",
                where="model",
                hint="use another model, or weights=random",
            )
        return names

    def with_levels(self, levels: tuple[int, ...]) -> Timm:
        """Return the same network with the same weights and other levels."""
        return Timm(
            self.model,
            levels=levels,
            weights=self.weights,
            seed=self.seed,
            mean=self.mean,
            std=self.std,
            padding=self.padding,
        )

    @property
    def levels(self) -> tuple[str, ...]:
        """timm's module names; for vgg16 those of the paper."""
        names = self._info.module_name()
        return tuple(_VGG16_NAMES[n] for n in names) if self._is_vgg16 else tuple(names)

    @property
    def channels(self) -> tuple[int, ...]:
        """Number of channels of each level."""
        return tuple(self._info.channels())

    @property
    def strides(self) -> tuple[int, ...]:
        """Nominal stride of each level."""
        return tuple(self._info.reduction())

    @property
    def _is_vgg16(self) -> bool:
        return self.model.split(".")[0] == "vgg16"

    @property
    def _info(self) -> Any:
        return self.skeleton.net.feature_info


def _known(model: str) -> str:
    if timm.is_model(model):
        _config(model)
        return model
    near = nearest(model, timm.list_models(), 3) or ["vgg16"]
    raise UsageError(
        f"timm has no model {model!r}", where="model", hint=f"did you mean {', '.join(near)}?"
    )


def _config(model: str) -> dict[str, Any]:
    """Return timm's description of the weights that belong to ``model``."""
    try:
        config = timm.get_pretrained_cfg(model)
    except RuntimeError:
        raise UsageError(
            f"timm has no weights {model!r}",
            where="model",
            hint=f"choose from {', '.join(timm.list_pretrained(model.split('.')[0] + '*')[:6])}",
        ) from None
    return config.to_dict() if config is not None else {}


def _indices(model: str, levels: tuple[int, ...] | None) -> tuple[int, ...]:
    if levels is None and model.split(".")[0] == "vgg16":
        return PAPER_LEVELS
    info: Any = skeleton(Timm, model, None).net.feature_info
    existing = tuple(range(len(info)))
    if levels is None:
        return existing
    if not levels or list(levels) != sorted(set(levels) & set(existing)):
        raise UsageError(
            f"{model} has no such levels: {list(levels)}",
            where="levels",
            hint=f"give ascending numbers from 0 to {existing[-1]}",
        )
    return levels


def _other_padding(model: str, padding: Padding | None) -> Padding | None:
    """Return ``padding`` where it makes another network of the model.

    Raises:
        UsageError: the model has no choice of it.
    """
    if padding is None or padding == _padding(skeleton(Timm, model, None)):
        return None
    try:
        if _padding(skeleton(Timm, model, None, padding)) == padding:
            return padding
    except TypeError:
        pass  # it takes no such argument
    raise UsageError(f"{model} has one padding only", where="padding", hint="leave padding= out")


def _padding(net: nn.Module) -> Padding:
    """Return ``same`` where a layer of timm's pads as TensorFlow does."""
    names = {type(module).__name__ for module in net.modules()}
    return "same" if any(name.endswith("Same") for name in names) else "symmetric"


@contextmanager
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("timm")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
