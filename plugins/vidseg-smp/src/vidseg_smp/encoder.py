"""An encoder of segmentation_models_pytorch as the trunk of a network.

Its first level is the normalised image itself, as the library's decoders are given it.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from vidseg.errors import UsageError
from vidseg.extractors import weights as files
from vidseg.extractors.backbone import Backbone, Padding, level_shapes, without_inplace
from vidseg.extractors.normalisation import IMAGENET_MEAN, IMAGENET_STD, Normalisation
from vidseg.types import Size
from vidseg.utils.suggest import did_you_mean

DEPTH = 5
"""Poolings of an encoder; its coarsest level has stride 32."""
_FILE = "model.safetensors"
_SIDE = 64


class Encoder(Backbone):
    """An encoder; weights, random or from a file, are loaded and compared layer by layer.

    Args:
        name: as the library names it, such as ``resnet18`` or ``tu-tf_efficientnet_lite0``.
        depth: number of poolings.
        weights: ``imagenet``, ``random`` or a file.
        seed: of random weights.

    Raises:
        UsageError: there is no such encoder.
        DataError: the file does not exist.
    """

    library: ClassVar[str] = "segmentation_models_pytorch"

    def __init__(self, name: str, depth: int, weights: str, seed: int) -> None:
        super().__init__(_known(name), (depth,), weights, seed)

    @classmethod
    def network(
        cls, model: str, nodes: tuple[int, ...] | None, padding: Padding | None = None
    ) -> nn.Module:
        """Return an encoder with random weights that returns its levels, with its own padding."""
        from segmentation_models_pytorch.encoders import get_encoder

        depth = DEPTH if nodes is None else nodes[0]
        return without_inplace(get_encoder(model, depth=depth, weights=None))

    @classmethod
    def classifier(cls, model: str) -> nn.Module:
        """Return the encoder: its files hold nothing else."""
        return cls.network(model, None)

    @classmethod
    def normalisation(cls, model: str) -> Normalisation:
        """Return ImageNet's."""
        return IMAGENET_MEAN, IMAGENET_STD

    @classmethod
    def fetched(cls, model: str) -> Path:
        """Return the library's own ImageNet weights, from the hub's cache or from the hub."""
        import huggingface_hub
        from huggingface_hub import constants
        from segmentation_models_pytorch.encoders import encoders

        settings: dict[str, Any] = encoders.get(model, {}).get("pretrained_settings", {})
        if "imagenet" not in settings:
            raise files.not_fetched(f"weights of {model}", "the library has none for it")
        repository, revision = settings["imagenet"]["repo_id"], settings["imagenet"]["revision"]
        wanted = f"{_FILE} of {repository} (Hugging Face Hub)"
        cached = huggingface_hub.try_to_load_from_cache(repository, _FILE, revision=revision)
        if isinstance(cached, str):
            return Path(cached)
        if constants.HF_HUB_OFFLINE:
            raise files.not_fetched(wanted, "HF_HUB_OFFLINE is set")
        files.require_reachable(constants.ENDPOINT, wanted=wanted)
        try:
            return Path(huggingface_hub.hf_hub_download(repository, _FILE, revision=revision))
        except Exception as error:
            raise files.not_fetched(wanted, " ".join(str(error).split())[:160]) from error

    def architecture(self) -> dict[str, object]:
        """Return the encoder's name and depth."""
        return {"model": self.model, "depth": self.nodes[0]}

    @property
    def levels(self) -> tuple[str, ...]:
        """Strides, as names."""
        return tuple(f"stride{stride}" for stride in self.strides)

    @cached_property
    def channels(self) -> tuple[int, ...]:
        """Channels of each level."""
        return tuple(channels for channels, _, _ in self._shapes)

    @cached_property
    def strides(self) -> tuple[int, ...]:
        """Stride of each level."""
        return tuple(_SIDE // height for _, height, _ in self._shapes)

    @cached_property
    def _shapes(self) -> list[tuple[int, int, int]]:
        return level_shapes(self.skeleton, Size(_SIDE, _SIDE))


def _known(name: str) -> str:
    """Return the name of an encoder.

    Raises:
        UsageError: there is none of that name; names the nearest.
    """
    import timm
    from segmentation_models_pytorch.encoders import encoders

    if name in encoders or (name.startswith("tu-") and timm.is_model(name[3:].split(".")[0])):
        return name
    raise UsageError(
        f"there is no encoder {name!r}",
        where="classifier smp",
        hint=f"{did_you_mean(name, encoders)}timm's models are tu-NAME",
    )
