"""What an extractor plugin is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from vidseg.types import Size

if TYPE_CHECKING:
    from torch import nn


class ExtractorHandle(Protocol):
    """Describes a pyramid of features and builds the module that computes it.

    Entry-point group ``vidseg.extractors``. The handle itself holds no module: :meth:`build` makes
    a fresh one, so that training it changes no other features.

    The built module takes ``float32 (N, 3, H, W)``, RGB in 0..1, normalises it by itself, and
    returns a list of ``float32 (N, channels[l], *sizes((H, W))[l])`` tensors, fine to coarse.

    A handle that fills parameters from files may have ``used() -> dict[str, Any]``, their values:
    they are logged, and a model that is kept is given them instead of the files.

    A handle may have ``check() -> None``, which refuses what :meth:`build` would refuse, such as
    weights of another architecture, in a moment: it is called before anything is computed.
    """

    contract: ClassVar[int]

    @property
    def fingerprint(self) -> str:
        """Hash of architecture AND weights: equal fingerprints compute equal features."""
        ...

    @property
    def levels(self) -> tuple[str, ...]:
        """Names of the levels, fine to coarse."""
        ...

    @property
    def channels(self) -> tuple[int, ...]:
        """Number of channels of each level."""
        ...

    @property
    def strides(self) -> tuple[int, ...]:
        """Nominal stride of each level, in image pixels."""
        ...

    def sizes(self, size: Size) -> tuple[Size, ...]:
        """Return the true native size of each level for an image of ``size`` (pooling floors).

        Raises:
            UsageError: the extractor cannot take this size; names one that works.
        """
        ...

    def build(self) -> nn.Module:
        """Return a fresh module with the weights loaded, in evaluation mode, on the CPU."""
        ...


def used_parameters(handle: object) -> dict[str, Any]:
    """Return the values of parameters that an extractor took from files or from its library."""
    used = getattr(handle, "used", None)
    return dict(used()) if callable(used) else {}
