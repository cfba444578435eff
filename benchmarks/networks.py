"""How fast do networks train and score, and how much of that is the bare step?

    python -m benchmarks.networks [--quick] [--json FILE] [--samples FOLDER] [--rounds 20]

Training and inference images a second of vidseg against

(a) the bare step: the same network on crops that are tensors in memory already (the limit);
(b) the usual way: a Dataset that decodes JPEG files, a DataLoader, the same network and step;
(c) the U-Net of segmentation_models_pytorch on the same encoder, its decoder as wide (and a block
    deeper), in the usual way;

and the data paths alone: crops a second of the frame store against (b), at 1080p and 480p. All
read the same frames at their native size, cut crops of one size, in one precision, on as many
threads. Rounds are interleaved, in an order that is turned every round; a round of each way is a
few steps from a standstill (nothing was read ahead). A ratio is the median over rounds, its
interval that of order statistics, of at least 95 %.

On a GPU: also the share of its bf16 matrix peak, which is measured first.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import segmentation_models_pytorch as smp
import torch

from benchmarks._loops import Clips, Jpegs, PlainStep, loader, open_clips, seconds
from benchmarks._samples import samples_folder
from vidseg.classifiers.base import FitContext
from vidseg.classifiers.networks.checkpoint import Checkpoints
from vidseg.classifiers.networks.data import Steps
from vidseg.classifiers.networks.descent import Descent
from vidseg.classifiers.networks.training import Trainer
from vidseg.classifiers.networks.unet import UNet
from vidseg.extractors.timm import Timm
from vidseg.types import Size

ROUNDS = 20
"""Rounds of ours against the bare step; the others have a third."""
LEAST = 0.97
"""Aim: our step as a share of the bare one's speed."""


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small crops, three rounds")
    parser.add_argument("--json", type=Path, help="where to write every measurement")
    parser.add_argument("--samples", help="folder of real samples (else VIDSEG_SAMPLES)")
    parser.add_argument("--encoder", default="resnet18", help="by timm's name, for all")
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--only", default="", help="only the tables whose title contains this")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--steps", type=int, help="of each way in a round; 2, on a GPU 40")
    parser.add_argument("--frames", type=int, default=16, help="of each set of clips")
    parser.add_argument("--threads", type=int, default=1, help="of torch, on a CPU")
    parser.add_argument("--workers", type=int, default=2, help="of the DataLoader")
    parser.add_argument("--precision", choices=("32", "bf16"), help="32; bf16 on a GPU")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args(arguments)
    given.steps = given.steps or (40 if given.device == "cuda" else 2)
    given.precision = given.precision or ("bf16" if given.device == "cuda" else "32")
    if given.quick:
        given.crop, given.batch, given.rounds, given.frames = 64, 2, 3, 4
        given.encoder = "test_resnet"
    return given


def main() -> None:
    """Run the benchmark and print its tables."""
    given = options()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory(prefix="networks-benchmark-") as folder:
        found = measure(given, Path(folder))
    print(report(found))


def measure(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Return all measurements, as plain JSON."""
    samples = samples_folder(given.samples).resolve()
    handle = Timm(given.encoder, weights="random")
    clips = {
        name: open_clips(name, samples, folder, handle, given.frames) for name in ("480p", "1080p")
    }
    networks = Networks(given, handle, clips["480p"], folder)
    few = max(3, given.rounds // 3)
    bare, usual = networks.training()
    measured: dict[str, dict[str, list[float]]] = {}
    found: dict[str, Any] = {
        "settings": {k: str(v) for k, v in vars(given).items()},
        "real": {name: one.real for name, one in clips.items()},
        "parameters": networks.parameters,
        "measured": measured,
    }
    work = [
        *((f"data path {name}, crops/s", paths(one, given), few) for name, one in clips.items()),
        ("training, images/s", bare, given.rounds),
        ("training the usual way, images/s", usual, few),
        ("inference, images/s", networks.inference(), few),
    ]
    for title, ways, rounds in work:
        if given.only in title:
            measured[title] = {name: [] for name in ways}
            for _ in interleaved(ways, rounds, measured[title]):
                save(found, given.json)
    found["waiting_share"] = networks.waited()
    if given.device == "cuda" and "training, images/s" in measured:
        found["bf16_share"] = networks.peak_share(measured["training, images/s"]["vidseg"])
    save(found, given.json)
    return found


def save(found: dict[str, Any], path: Path | None) -> None:
    """Write what was measured so far, if a file was named."""
    if path is not None:
        path.write_text(json.dumps(found, indent=1))


Ways = dict[str, Callable[[], float]]
"""By name what does some work, and returns how much of it a second."""


@dataclass
class Networks:
    """The ways to train and to score.

    Args:
        given: the command line.
        handle: the extractor.
        clips: what is trained on.
        folder: for checkpoints.
    """

    given: argparse.Namespace
    handle: Timm
    clips: Clips
    folder: Path

    def __post_init__(self) -> None:
        given, crop = self.given, Size(self.given.crop, self.given.crop)
        device = torch.device(given.device)
        precision: Any = 32 if given.precision == "32" else "bf16"
        network = UNet(batch=given.batch, crop=crop.height, precision=precision, lr=1e-4)
        net = network.module(self.handle, weights=True)
        self.ctx = FitContext(device=given.device, workdir=self.folder)
        self.descent = Descent(net, network.options, self.ctx, crop, 1.0)
        self.fitted = network.fitted(net, (), padded=True)
        self.bare = PlainStep(
            net, lambda images: net(images, Size(*images.shape[-2:])), given.precision
        )
        widths = [*reversed(self.handle.channels[:-1]), 16]
        other = smp.Unet(f"tu-{given.encoder}", encoder_weights=None, decoder_channels=widths)
        other.to(device)
        other = other.to(memory_format=torch.channels_last)
        self.smp = PlainStep(other, lambda images: other(images)[:, 0], given.precision)
        self.crop, self.device, self.net, self.other = crop, device, net, other

    @property
    def parameters(self) -> dict[str, int]:
        """Number of parameters of each network."""
        count = {"vidseg": self.net, "smp": self.other}
        return {name: sum(p.numel() for p in net.parameters()) for name, net in count.items()}

    def training(self) -> tuple[Ways, Ways]:
        """Return ours and the bare step, and ours and the usual ways, in images a second."""
        batch, steps = self.given.batch, self.given.steps
        count = steps * batch
        crops = [self._steps(count).make(step) for step in range(steps)]
        ready = [
            (
                torch.from_numpy(one.images).permute(0, 3, 1, 2).float().div(255).to(self.device),
                torch.from_numpy(one.labels).to(self.device),
            )
            for one in crops
        ]
        jpegs = loader(Jpegs(self.clips, self.crop.height, count), batch, self.given.workers)

        def ours() -> float:
            return count / self._train(count)[0]

        def plain(step: PlainStep, batches: Any) -> Callable[[], float]:
            def work() -> float:
                step.net.train()
                return count / seconds(self.device, lambda: [step(*one) for one in batches])

            return work

        return {"vidseg": ours, "(a) bare step": plain(self.bare, ready)}, {
            "vidseg": ours,
            "(b) JPEG loader": plain(self.bare, jpegs),
            "(c) smp, JPEG loader": plain(self.smp, jpegs),
        }

    def inference(self) -> Ways:
        """Return for each way what scores whole images and returns images a second."""
        refs = self.clips.train.refs[:2]
        shapes = {self.clips.train.frame(ref).shape for ref in refs}
        assert len(shapes) == 1
        images = [np.array(self.clips.train.frame(ref)) for ref in refs]
        size = Size(*images[0].shape[:2])
        ready = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
        ready = ready.to(self.device).split(1 if self.device.type == "cpu" else len(refs))
        jpegs = loader(Jpegs(self.clips, None, len(refs)), len(ready[0]), self.given.workers)

        def ours() -> float:
            frames = self.clips.train
            return len(refs) / seconds(
                self.device,
                lambda: self.fitted.batch_scores(
                    [np.array(frames.frame(ref)) for ref in refs], size, self.given.device
                ),
            )

        def plain(step: PlainStep, batches: Any) -> Callable[[], float]:
            @torch.no_grad()
            def score() -> None:
                for one in batches:
                    pixels = one if isinstance(one, torch.Tensor) else one[0]
                    step.scores(pixels.to(self.device)).cpu()

            def work() -> float:
                step.net.eval()
                return len(refs) / seconds(self.device, score)

            return work

        return {
            "vidseg": ours,
            "(a) bare forward": plain(self.bare, ready),
            "(b) JPEG loader": plain(self.bare, jpegs),
            "(c) smp, JPEG loader": plain(self.smp, jpegs),
        }

    def waited(self) -> float:
        """Return the share of a longer training that waits for crops."""
        taken, waiting = self._train(8 * self.given.steps * self.given.batch)
        return waiting / taken

    def peak_share(self, speeds: Sequence[float]) -> float:
        """Return which part of the GPU's bf16 matrix peak the training reaches."""
        from torch.utils.flop_counter import FlopCounterMode

        images = torch.zeros(self.given.batch, 3, *self.crop, device=self.device)
        with FlopCounterMode(display=False) as counter:
            self.bare.scores(images).sum().backward()
        per_image = counter.get_total_flops() / self.given.batch
        side = 8192
        matrix = torch.zeros(side, side, device=self.device, dtype=torch.bfloat16)
        times = [seconds(self.device, lambda: matrix @ matrix) for _ in range(20)]
        return statistics.median(speeds) * per_image * min(times) / (2 * side**3)

    def _steps(self, count: int) -> Steps:
        return Steps(self.clips.first(count), self.crop, self.given.batch, 0)

    def _train(self, count: int) -> tuple[float, float]:
        """Train one epoch of ``count`` crops; return seconds, and those spent waiting."""
        checkpoints = Checkpoints(self.folder / "fit", "benchmark")
        trainer = Trainer(
            self.net, self.descent, self._steps(count), 1, self.ctx, checkpoints, None, None, "unet"
        )
        trainer.run()
        return trainer.course.seconds, trainer.course.waited


def paths(clips: Clips, given: argparse.Namespace) -> Ways:
    """Return for each data path what cuts crops and returns how many a second."""
    count = 16 * given.batch
    steps = Steps(clips.first(count), Size(given.crop, given.crop), given.batch, 0)
    numbers = range(steps.per_epoch)

    def rate(work: Callable[[], object]) -> Callable[[], float]:
        return lambda: count / seconds(torch.device("cpu"), work)

    found = {"vidseg, one thread": rate(lambda: [steps.make(number) for number in numbers])}
    for workers in sorted({0, given.workers}):
        jpegs = loader(Jpegs(clips, given.crop, count), given.batch, workers)
        found[f"JPEG loader, {workers} workers"] = rate(lambda jpegs=jpegs: list(jpegs))
    return found


def interleaved(ways: Ways, rounds: int, found: dict[str, list[float]]) -> Iterator[int]:
    """Add to ``found`` what each way measures; one round before the first is thrown away."""
    for turn in range(rounds + 1):
        names = list(ways)[turn % len(ways) :] + list(ways)[: turn % len(ways)]
        values = {name: ways[name]() for name in names}
        if turn:
            for name, value in values.items():
                found[name].append(value)
            yield turn


def ratio(one: Sequence[float], other: Sequence[float]) -> tuple[float, float, float, float]:
    """Return the median of one / other over rounds, an interval of it, and its level.

    The interval is the narrowest symmetric one of order statistics of at least 95 %, or the whole
    range, whose level is said.

    >>> ratio([1.0, 2.0, 3.0], [1.0, 1.0, 1.0])
    (2.0, 1.0, 3.0, 0.75)
    """
    from scipy.stats import binom

    found = sorted(a / b for a, b in zip(one, other, strict=True))
    n, cut = len(found), 0
    while cut + 1 < (n + 1) // 2 and 1 - 2 * binom.cdf(cut + 1, n, 0.5) >= 0.95:
        cut += 1
    level = float(1 - 2 * binom.cdf(cut, n, 0.5))
    return statistics.median(found), found[cut], found[n - 1 - cut], level


def report(found: dict[str, Any]) -> str:
    """Return the measurements as Markdown."""
    real = ", ".join(f"{k} {'real' if v else 'GENERATED'}" for k, v in found["real"].items())
    millions = {name: f"{count / 1e6:.1f}" for name, count in found["parameters"].items()}
    lines = [
        f"Clips: {real}. Parameters: vidseg {millions['vidseg']} million, smp {millions['smp']}. "
        f"Settings: {found['settings']}.",
        "",
        f"Waiting for crops: {found['waiting_share']:.2%} of the step time.",
        "",
    ]
    for title, one in found["measured"].items():
        lines += table(title, one)
    if "bf16_share" in found:
        lines.append(f"Share of the bf16 matrix peak: {found['bf16_share']:.1%}.")
    else:
        lines.append("No GPU: no share of its bf16 peak.")
    return "\n".join(lines)


def table(title: str, measured: dict[str, list[float]]) -> list[str]:
    """Return lines of a table: medians, quartiles, and our speed as a multiple of each."""
    own = next(iter(measured))
    lines = [f"| {title} | median | quartiles | vidseg is | interval | rounds |", "|---" * 6 + "|"]
    for name, values in measured.items():
        low, high = np.quantile(values, [0.25, 0.75])
        row = f"| {name} | {statistics.median(values):.3g} | {low:.3g} to {high:.3g} |"
        if name == own:
            lines.append(f"{row} | | {len(values)} |")
            continue
        middle, least, most, level = ratio(measured[own], values)
        lines.append(
            f"{row} {middle:.3g} times | {least:.3g} to {most:.3g} ({level:.0%}) | {len(values)} |"
        )
    return [*lines, ""]


if __name__ == "__main__":
    began = time.monotonic()
    main()
    print(f"{time.monotonic() - began:.0f} s in all")
