"""U-Net with a level more: the deepest level is a skip, its pooling the bottleneck."""

from __future__ import annotations

from typing import ClassVar

from vidseg.classifiers.networks.unet import UNet


class DeepUNet(UNet):
    """U-Net, a level deeper: the deepest level is a skip, the bottleneck two convolutions below.

    The paper's "deeper UNET (we add a level to the UNET structure)".
    """

    name: ClassVar[str] = "deep_unet"
    deep: ClassVar[bool] = True
