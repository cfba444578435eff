"""The training frames of the SVM benchmark: real clips where they stand, else generated ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vidseg.datasets.mot import Mot
from vidseg.datasets.synthetic import Synthetic
from vidseg.experiment.training import PreparedVideo, TrainingFrames
from vidseg.extractors.frozen import FrozenExtractor
from vidseg.extractors.torchvision import Torchvision
from vidseg.store import Store
from vidseg.types import FrameRef, Size


@dataclass(frozen=True)
class Bench:
    """Videos, extractors and the store of one benchmark.

    Attributes:
        samples: folder of real samples; clips are generated where it does not exist.
        store: folder of decoded frames and features.
    """

    samples: Path
    store: Path

    @property
    def real(self) -> bool:
        """Whether the clips are real."""
        return (self.samples / "mot").is_dir()

    def extractor(self, name: str) -> tuple[Torchvision, str]:
        """Return a network and, in words, which weights it has."""
        model = {"squeezenet": "squeezenet1_1", "vgg16": "vgg16"}[name]
        found = self.samples / "weights" / f"{model}_imagenet.safetensors"
        if found.is_file():
            return Torchvision(model, weights=str(found)), "ImageNet weights"
        return Torchvision(model, weights="random"), "random weights"

    def materials(self, name: str, size: Size) -> tuple[dict[str, PreparedVideo], Torchvision]:
        """Return the clips by name at ``size`` (image and mask), bound to an extractor."""
        handle, _ = self.extractor(name)
        frozen = FrozenExtractor(handle, threads=1)
        store = Store(self.store)
        videos = (
            Mot(str(self.samples / "mot")).videos()
            if self.real
            else Synthetic(videos=4, frames=40, size=str(size)).videos()
        )
        return {
            v.name: PreparedVideo(v, v.group, store, size, size, frozen) for v in videos
        }, handle

    def training(self, name: str, size: Size, frames: int) -> tuple[TrainingFrames, Torchvision]:
        """Return ``frames`` frames, spread over the clips and over each clip's length."""
        materials, handle = self.materials(name, size)
        return TrainingFrames(materials, spread(materials, frames)), handle


def spread(materials: Mapping[str, PreparedVideo], frames: int) -> list[FrameRef]:
    """Return ``frames`` references, as many of each video as of any other, or one more."""
    names = list(materials)
    shares = {v: len(range(i, frames, len(names))) for i, v in enumerate(names)}
    return [
        FrameRef(video, (2 * k + 1) * materials[video].length // (2 * share))
        for video, share in shares.items()
        for k in range(share)
    ]
