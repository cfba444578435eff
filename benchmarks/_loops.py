"""Training and scoring loops that vidseg's own are compared with, and the clips that all read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from vidseg.datasets.mot import Mot
from vidseg.experiment.training import PreparedVideo, TrainingFrames
from vidseg.extractors.frozen import FrozenExtractor
from vidseg.store import Store
from vidseg.types import FrameRef, Size

SETS = {"1080p": ("mot17-mini/train", ""), "480p": ("mot", "TUD-")}
"""Folder below the samples, and how the names of its sequences begin."""
GENERATED = {"1080p": Size(1080, 1920), "480p": Size(480, 640)}


@dataclass(frozen=True)
class Clips:
    """Frames as JPEG files, their masks as PNG files, and the same in the frame store.

    Attributes:
        images, masks: files, in the order of ``train.refs``.
        train: the same frames, from the store.
        real: whether the clips are real.
    """

    images: Sequence[Path]
    masks: Sequence[Path]
    train: TrainingFrames
    real: bool

    def first(self, count: int) -> TrainingFrames:
        """Return so many frames, each again where there are fewer."""
        refs = self.train.refs
        return TrainingFrames(
            self.train.materials, [refs[place % len(refs)] for place in range(count)]
        )


def open_clips(name: str, samples: Path, folder: Path, handle: Any, frames: int) -> Clips:
    """Return clips of one of :data:`SETS` at their native size, generated ones where it is absent.

    Args:
        name: ``1080p`` or ``480p``.
        samples: folder of real samples.
        folder: for what is made.
        handle: an extractor, which is not used.
        frames: how many, of all clips together.
    """
    place, begin = SETS[name]
    root, real = samples / place, (samples / place).is_dir()
    if not real:
        root = folder / f"generated-{name}"
        generate(root, GENERATED[name], frames)
    videos = [video for video in Mot(str(root)).videos() if video.name.startswith(begin)]
    store, frozen = Store(folder / "store"), FrozenExtractor(handle, threads=1)
    native = {video.name: video.probe().size for video in videos}
    materials = {
        v.name: PreparedVideo(v, v.group, store, native[v.name], native[v.name], frozen)
        for v in videos
    }
    each = -(-frames // len(videos))
    refs = [
        FrameRef(video.name, int(index))
        for video in videos
        for index in np.linspace(0, video.probe().length - 1, each).astype(int)
    ][:frames]
    files = {video.name: sorted((root / video.name / "img1").glob("*.jpg")) for video in videos}
    return Clips(
        [files[ref.video][ref.index] for ref in refs],
        list(_masks(materials, refs, folder / f"masks-{name}")),
        TrainingFrames(materials, refs),
        real,
    )


def _masks(
    materials: dict[str, PreparedVideo], refs: Sequence[FrameRef], folder: Path
) -> Iterator[Path]:
    folder.mkdir()
    for place, ref in enumerate(refs):
        materials[ref.video].image(ref.index)  # decoded into the store now, not when it is timed
        file = folder / f"{place:04d}.png"
        cv2.imwrite(str(file), (materials[ref.video].mask(ref.index) > 0).astype(np.uint8) * 255)
        yield file


def generate(root: Path, size: Size, frames: int) -> None:
    """Write two sequences of smooth noise with a moving box, in MOT's layout."""
    rng = np.random.default_rng(0)
    for name in ("TUD-one", "TUD-two"):
        coarse = rng.integers(0, 256, (size.height // 8, size.width // 8, 3), dtype=np.uint8)
        image = cv2.resize(coarse, (size.width, size.height), interpolation=cv2.INTER_CUBIC)
        (root / name / "img1").mkdir(parents=True)
        (root / name / "gt").mkdir()
        rows = []
        for frame in range(1, max(2, frames // 2) + 1):
            left, top, side = 10 + 3 * frame, size.height // 4, size.height // 3
            drawn = np.roll(image, 4 * frame, axis=1)
            cv2.rectangle(drawn, (left, top), (left + side, top + side), (30, 200, 90), -1)
            cv2.imwrite(str(root / name / "img1" / f"{frame:06d}.jpg"), drawn)
            rows.append(f"{frame},1,{left + 1},{top + 1},{side},{side},1,1,1")
        (root / name / "gt" / "gt.txt").write_text("\n".join(rows))


class Jpegs(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """The plain data set: decode the JPEG and the PNG, cut a random crop, make tensors.

    Args:
        clips: the files.
        crop: side of the crops; None: whole images.
        count: how many crops an epoch has.
    """

    def __init__(self, clips: Clips, crop: int | None, count: int) -> None:
        self.clips, self.crop, self.count = clips, crop, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        place = index % len(self.clips.images)
        image = cv2.cvtColor(cv2.imread(str(self.clips.images[place])), cv2.COLOR_BGR2RGB)
        mask = cv2.imread(str(self.clips.masks[place]), cv2.IMREAD_GRAYSCALE)
        if self.crop:
            top = int(torch.randint(0, image.shape[0] - self.crop + 1, ()))
            left = int(torch.randint(0, image.shape[1] - self.crop + 1, ()))
            image = image[top : top + self.crop, left : left + self.crop]
            mask = mask[top : top + self.crop, left : left + self.crop]
        pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float() / 255
        return pixels, torch.from_numpy(np.where(mask > 0, 1, -1).astype(np.int8))


def loader(data: Jpegs, batch: int, workers: int) -> DataLoader[Any]:
    """Return a loader as tutorials make it, its workers kept between epochs."""
    torch.manual_seed(0)
    pinned = torch.cuda.is_available()
    return DataLoader(
        data, batch, shuffle=True, num_workers=workers, persistent_workers=workers > 0,
        pin_memory=pinned,
    )  # fmt: skip


class PlainStep:
    """The bare step of a network: forward, cross entropy, backward, clip, SGD.

    Args:
        net: on its device.
        forward: scores ``(N, H, W)`` of images.
        precision: ``32`` or ``bf16``.
    """

    def __init__(
        self, net: nn.Module, forward: Callable[[torch.Tensor], torch.Tensor], precision: str
    ) -> None:
        self.net, self.forward = net, forward
        self.device = next(net.parameters()).device
        self.bf16 = precision == "bf16"
        self.optimizer = torch.optim.SGD(net.parameters(), lr=1e-4, momentum=0.9, weight_decay=1e-4)

    def scores(self, images: torch.Tensor) -> torch.Tensor:
        """Return the scores of images, in the precision that was chosen."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            return self.forward(images)

    def __call__(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        """Do one step."""
        images = images.to(self.device, non_blocking=True)
        labels = labels.to(self.device, non_blocking=True)
        self.optimizer.zero_grad()
        loss = F.softplus(-labels * self.scores(images).float()).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()


def seconds(device: torch.device, work: Callable[[], object]) -> float:
    """Return how long something takes, on a GPU to its end."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began
