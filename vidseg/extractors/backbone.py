"""What the extractors that wrap a library's network have in common."""

from __future__ import annotations

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import torch
from torch import nn

from vidseg.errors import UsageError
from vidseg.extractors import weights as files
from vidseg.extractors.normalisation import Colour, Colours, Normalisation, beside, option
from vidseg.types import Size

Padding = Literal["same", "symmetric"]
"""Of strided convolutions: TensorFlow's, whose extra row is below and right, or PyTorch's."""

Module = TypeVar("Module", bound=nn.Module)

_MULTIPLES = (1, 2, 4, 8, 14, 16, 28, 32, 56, 64, 112, 224, 448)
_SMALLEST = (8, 16, 32, 64, 128, 256)


class Normalised(nn.Module):
    """Normalises ``float32 (N, 3, H, W)`` in 0..1 and returns the levels of ``net`` as a list.

    Args:
        net: returns a sequence or a mapping of levels.
        mean, std: of each colour, in 0..1.
        layout: of the levels of ``net``; they leave as ``NCHW``.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        net: nn.Module,
        mean: Sequence[float],
        std: Sequence[float],
        layout: Literal["NCHW", "NHWC"] = "NCHW",
    ) -> None:
        super().__init__()
        self.net, self.layout = net, layout
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return the levels, fine to coarse, ``float32 (N, C, h, w)`` each."""
        levels = self.net((images - self.mean) / self.std)
        outputs = list(levels.values() if isinstance(levels, Mapping) else levels)
        return [x.permute(0, 3, 1, 2) for x in outputs] if self.layout == "NHWC" else outputs


class Backbone(ABC):
    """Base of extractors that wrap a network of a library.

    Args:
        model: a model name of the library.
        nodes: the levels, as the library names them.
        weights: ``imagenet`` (the library's own), ``random``, or a file.
        seed: of random weights.
        mean, std: of the colours; None: those of a JSON file beside the weights, else the
            library's.
        padding: where it is not the model's own.

    Raises:
        DataError: the file does not exist.
        UsageError: mean or std is refused.
    """

    contract: ClassVar[int] = 1
    library: ClassVar[str]

    def __init__(
        self,
        model: str,
        nodes: tuple[Any, ...],
        weights: str,
        seed: int,
        *,
        mean: Colours | None = None,
        std: Colours | None = None,
        padding: Padding | None = None,
    ) -> None:
        self.model, self.nodes, self.weights, self.seed = model, nodes, weights, seed
        self.mean, self.std, self.padding = mean, std, padding
        self._options = {"mean": option("mean", mean), "std": option("std", std)}
        self._given = None if weights in ("imagenet", "random") else files.find_weights(weights)

    @classmethod
    @abstractmethod
    def network(
        cls, model: str, nodes: tuple[Any, ...] | None, padding: Padding | None = None
    ) -> nn.Module:
        """Return a network with random weights that returns its levels.

        Args:
            model: a model name of the library.
            nodes: the levels; None: all it has.
            padding: of the strided convolutions; None: the model's own.
        """

    @classmethod
    @abstractmethod
    def classifier(cls, model: str) -> nn.Module:
        """Return the whole network with random weights, layers named as in weights files."""

    @classmethod
    @abstractmethod
    def normalisation(cls, model: str) -> Normalisation:
        """Return what the network's own weights were trained with."""

    @classmethod
    @abstractmethod
    def fetched(cls, model: str) -> Path:
        """Return the library's own weights file, from its cache or downloaded.

        Raises:
            DataError: there is none, or it cannot be downloaded.
        """

    @abstractmethod
    def architecture(self) -> dict[str, object]:
        """Return what decides the levels, for the fingerprint: model and nodes."""

    def layer_names(self, known: Mapping[str, Sequence[int]]) -> dict[str, str]:
        """Return name in a weights file -> name in the network, of the layers that it uses.

        Args:
            known: shape of every layer of the whole network, as files name them.
        """
        return {name: name for name in self.skeleton.net.state_dict()}

    @cached_property
    def fingerprint(self) -> str:
        """Hash of model, levels, normalisation and the content of the weights."""
        content = files.file_sha256(self._file) if self._file else f"random {self.seed}"
        facts = {"library": self.library, **self.used(), "weights": content}
        return digest({**facts, **self.architecture()})

    def used(self) -> dict[str, list[float]]:
        """Return ``mean`` and ``std`` of red, green and blue, in 0..1, as they are used.

        They are parameters: given to another handle, it computes the same without the JSON file.

        Raises:
            DataError: the JSON file beside the weights is refused.
        """
        return {name: list(colour.values) for name, colour in self._colours.items()}

    def sizes(self, size: Size) -> tuple[Size, ...]:
        """Return the true native size of each level.

        Raises:
            UsageError: the model cannot take this size; names one that works.
        """
        return native_sizes(self.skeleton, size, self.model)

    def build(self) -> nn.Module:
        """Return a fresh module with the weights loaded, in evaluation mode, on the CPU.

        Raises:
            DataError: the weights are missing, damaged or of another architecture.
        """
        state = self._state()  # a wrong file is refused before the slow construction
        module = self.blank()
        if state is not None:
            module.net.load_state_dict(state)
        return module

    def blank(self) -> Normalised:
        """Return what :meth:`build` returns without its weights, to load others into it."""
        mean, std = self.used().values()
        return seeded(
            self.seed,
            lambda: _module(type(self), self.model, self.nodes, self.padding, (mean, std)),
        )

    def weights_info(self) -> dict[str, str]:
        """Return path and sha256 of the weights file, nothing for random weights."""
        if self._file is None:
            return {}
        return {"path": str(self._file), "sha256": files.file_sha256(self._file)}

    def check(self) -> None:
        """Refuse a weights file before anything is computed; its values are not read.

        Raises:
            DataError: it is damaged, a pointer of Git LFS, or of another architecture.
        """
        if self._file is not None:
            known = _known_shapes(type(self), self.model)
            needed = self.layer_names(known)
            layers, _ = files.without_prefix(files.layer_shapes(self._file), needed)
            files.check_layers(layers, known, needed, where=self._file)

    def notes(self) -> list[str]:
        """Return what the user should know: mean and std of a file, names that were shortened.

        Raises:
            DataError: the file cannot be read.
        """
        colours = f"colours have mean {self._colours['mean']}, std {self._colours['std']}"
        if self._given is None:
            given = any(self._options.values())
            return [f"{self.library}'s {self.model}: {colours}"] if given else []
        needed = self.layer_names(_known_shapes(type(self), self.model))
        _, prefix = files.without_prefix(files.layer_shapes(self._given), needed)
        file = self._given.name
        short = [f"{file}: {prefix!r} before the name of every layer is left out"] if prefix else []
        return [f"{file}: {colours}", *short]

    @property
    def skeleton(self) -> Normalised:
        """The module on torch's ``meta`` device: shapes without values."""
        return skeleton(type(self), self.model, self.nodes, self.padding)

    @cached_property
    def _colours(self) -> dict[str, Colour]:
        """Mean and std: of the options, else of a file beside the weights, else the library's."""
        source = f"{self.library}'s for {self.model}"
        own = dict(zip(("mean", "std"), self.normalisation(self.model), strict=True))
        given = {name: colour for name, colour in self._options.items() if colour}
        read = beside(self._given) if self._given and len(given) < len(own) else {}
        library = {name: Colour(values, source) for name, values in own.items()}
        return {**library, **read, **given}

    @cached_property
    def _file(self) -> Path | None:
        return self.fetched(self.model) if self.weights == "imagenet" else self._given

    def _state(self) -> files.StateDict | None:
        if self._file is None:
            return None
        known = _known_shapes(type(self), self.model)
        needed = self.layer_names(known)
        state, _ = files.without_prefix(files.read_weights(self._file), needed)
        return files.matched(state, known, needed, where=self._file)


def _module(
    cls: type[Backbone],
    model: str,
    nodes: tuple[Any, ...] | None,
    padding: Padding | None,
    normalisation: tuple[Sequence[float], Sequence[float]],
) -> Normalised:
    net = cls.network(model, nodes, padding)
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    if str(getattr(net, "output_fmt", "")).endswith("NHWC"):
        layout = "NHWC"
    return Normalised(net, *normalisation, layout).eval()


@lru_cache(maxsize=16)
def skeleton(
    cls: type[Backbone],
    model: str,
    nodes: tuple[Any, ...] | None,
    padding: Padding | None = None,
) -> Normalised:
    """Return the module on torch's ``meta`` device, with the library's normalisation.

    Args:
        cls: of the extractor.
        model, nodes, padding: see :meth:`Backbone.network`.
    """
    with torch.device("meta"):
        return _module(cls, model, nodes, padding, cls.normalisation(model))


@lru_cache(maxsize=16)
def _known_shapes(cls: type[Backbone], model: str) -> dict[str, tuple[int, ...]]:
    """Return the shape of each layer of the whole network, as weights files name them."""
    with torch.device("meta"):
        net = cls.classifier(model)
    return {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}


def without_inplace(net: nn.Module) -> nn.Module:
    """Stop the modules of ``net`` from overwriting their input: it may be a level."""
    for module in net.modules():
        if getattr(module, "inplace", False):
            module.inplace = False  # type: ignore[assignment]
    return net


def seeded(seed: int, make: Callable[[], Module]) -> Module:
    """Return ``make()`` with random weights of ``seed``; the global generator is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def level_shapes(skeleton: nn.Module, size: Size) -> list[tuple[int, int, int]]:
    """Return (C, h, w) of each level for images of ``size``, without computing a value.

    Args:
        skeleton: the module on torch's ``meta`` device.
        size: of the image.

    Raises:
        ValueError: the module cannot take this size.
    """
    try:
        with torch.no_grad():
            outputs = skeleton(torch.zeros(1, 3, *size, device="meta"))
    except (RuntimeError, AssertionError, ValueError, TypeError) as error:
        raise ValueError(str(error)) from error
    shapes = [tuple(output.shape[1:]) for output in outputs]
    if any(len(shape) != 3 or 0 in shape for shape in shapes):
        raise ValueError(f"the levels would be {shapes}")
    return [(c, h, w) for c, h, w in shapes]


def native_sizes(skeleton: nn.Module, size: Size, model: str) -> tuple[Size, ...]:
    """Return the size of each level for images of ``size``.

    Raises:
        UsageError: the model cannot take this size; names one that works.
    """
    try:
        return tuple(Size(h, w) for _, h, w in level_shapes(skeleton, size))
    except ValueError as error:
        working = _nearest_working(skeleton, size)
        reason = re.split(r"[.!;] ", " ".join(str(error).split()))[0].rstrip(".!;")[:120]
        raise UsageError(
            f"{model} cannot take images of {size}: {reason}",
            where="image_size",
            hint=f"{working} works" if working else "choose another size or another model",
        ) from error


def _nearest_working(skeleton: nn.Module, size: Size) -> Size | None:
    rounded = [Size(*(max(1, round(side / m)) * m for side in size)) for m in _MULTIPLES]
    enlarged = [Size(max(size.height, s), max(size.width, s)) for s in _SMALLEST]
    squares = [Size(side, side) for side in (224, 256, 384, 448, 518)]
    for candidate in sorted(
        {*rounded, *enlarged, *squares},
        key=lambda c: abs(c.height - size.height) + abs(c.width - size.width),
    ):
        try:
            level_shapes(skeleton, candidate)
        except ValueError:
            continue
        return candidate
    return None


def digest(facts: Mapping[str, object]) -> str:
    """Return a hash of ``facts``, 32 hexadecimal digits."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]
