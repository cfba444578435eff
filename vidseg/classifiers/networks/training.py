"""The training loop: steps, curves by epoch, checkpoints, and which weights are kept."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch

from vidseg.classifiers.base import FitContext
from vidseg.classifiers.networks.checkpoint import Checkpoints, Course, Tensors
from vidseg.classifiers.networks.data import Batch, Steps, Waiting, ahead
from vidseg.classifiers.networks.descent import SUMS, Descent
from vidseg.classifiers.networks.model import Segmenter
from vidseg.classifiers.networks.snapshots import Snapshots
from vidseg.errors import DataError, ResourceError, Stopped
from vidseg.utils.progress import ProgressBar

CHECKPOINT_SHARE = 0.05
"""Writing checkpoints takes at most this part of the time: short epochs share one."""
EMA = 0.99
"""Share of the averaged weights that a step keeps, from some hundred steps on."""
SETTLED = 50
"""Steps whose sums are fetched together: a GPU need not wait for the CPU at each of them."""
EVALUATIONS = 20
"""How often held-out frames are scored in a training, at most."""


@dataclass
class Trainer:
    """One training.

    Attributes:
        net: trained in place.
        descent: its steps.
        steps: the crops of each.
        epochs: how often each frame is seen.
        ctx: of the fit.
        checkpoints: where it is kept.
        validate: returns the IoU of the network on held-out frames; None: there are none.
        snapshots: shows and keeps the network after some epochs; None: another process does.
        name: of the classifier, for messages.
        course: how far it is.
    """

    net: Segmenter
    descent: Descent
    steps: Steps
    epochs: int
    ctx: FitContext
    checkpoints: Checkpoints
    validate: Callable[[], float] | None
    snapshots: Snapshots | None
    name: str
    course: Course = field(default_factory=Course)
    _ema: Tensors = field(default_factory=dict)
    _best: Tensors = field(default_factory=dict)
    _whole: bool = True
    _pending: list[torch.Tensor] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Number of steps."""
        return self.epochs * self.steps.per_epoch

    def restore(self) -> bool:
        """Go on from the checkpoint; return whether there is one.

        Raises:
            DataError: it is damaged, or of another training.
        """
        found = self.checkpoints.read()
        if found is None:
            return False
        self.course, parts = found
        self.net.load_state_dict(parts["net"])
        self.descent.restore(parts.get("optimizer", {}), self.course.scaler)
        device = self.descent.device
        self._ema = {name: value.to(device) for name, value in parts.get("ema", {}).items()}
        self._best = parts.get("best", {})
        for name, value, epoch in self.course.curves:
            self.ctx.log(name, value, epoch)
        return True

    def run(self) -> None:
        """Train, and leave in ``net`` the weights that ``keep`` asks for.

        Raises:
            DataError: the loss or a weight is not finite; names the step.
            ResourceError: a step does not fit the GPU's memory.
            Stopped: the checkpoint holds every finished step.
        """
        frames = len(self.steps.train.refs) * self.epochs
        try:
            with self.ctx.progress.task(f"{self.name}, {self.epochs} epochs", frames) as bar:
                bar.advance(self.course.frames)
                if not self.course.finished:
                    self._train(bar)
        except (Stopped, KeyboardInterrupt):
            if self._whole and self.course.step:
                with contextlib.suppress(DataError):  # a loss that is not finite: keep the last
                    self._save()
            raise
        except torch.OutOfMemoryError as error:
            raise self._too_large() from error
        self._take_kept()

    def _train(self, bar: ProgressBar) -> None:
        course = self.course
        if not course.step:
            self._start()
        clock, waiting = _Clock(course.seconds), Waiting(course.waited)
        self.net.train()
        for number, batch in ahead(self._make, range(course.step, self.total), waiting):
            self.ctx.stop()
            rate = self.descent.options.rate_at(number, self.total)
            late = self._is_late(clock)
            sums, pixels, late = self.descent.gradients(batch, rate, late=late)
            if sums.device.type == "cpu" and not sums.isfinite().all():
                raise self._diverged(number)
            with self._changing():
                self.descent.step(pixels)
                self._count(sums, pixels, clock, waiting)
            bar.advance(self.steps.frames(number))
            if self._ended(number, rate, late=late, clock=clock):
                break

    def _make(self, number: int) -> Batch:
        """Return the crops of a step, where the device takes them from."""
        batch = self.steps.make(number)
        return batch if self.descent.device.type == "cpu" else batch.pinned()

    def _start(self) -> None:
        if self.descent.options.keep == "ema":
            self._ema = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        self._validated(0)

    def _validated(self, epoch: int) -> None:
        """Score the held-out frames, if there are any; the best weights so far are remembered.

        Args:
            epoch: how many are finished. The start counts too: a model it began with may be best.
        """
        if self.validate is None:
            return
        score = self.validate()
        self.net.train()
        self._log("validation_iou", score, epoch)
        course = self.course
        if self.descent.options.keep == "best" and score > course.best:
            course.best, course.best_epoch, self._best = score, epoch, _copied(self.net)

    def _count(self, sums: torch.Tensor, pixels: float, clock: _Clock, waiting: Waiting) -> None:
        """Take a step into the course; the averaged weights follow."""
        course = self.course
        self._pending.append(sums)
        course.pixels += pixels
        course.frames += self.steps.frames(course.step)
        course.step += 1
        course.seconds, course.waited = clock.seconds, waiting.seconds
        if self._ema:
            share = min(EMA, (1 + course.step) / (10 + course.step))
            for name, value in self.net.state_dict().items():
                if value.is_floating_point():
                    self._ema[name].lerp_(value.detach(), 1 - share)
        if len(self._pending) >= SETTLED:
            self._settle()

    def _settle(self) -> None:
        """Add what the last steps counted to the epoch's sums; they are fetched together.

        Raises:
            DataError: the loss of one of them is not finite.
        """
        if not self._pending:
            return
        rows = torch.stack(self._pending).tolist()
        first = self.course.step - len(rows)
        self._pending.clear()
        for place, row in enumerate(rows):
            if not math.isfinite(row[0]):
                raise self._diverged(first + place)
            before = self.course.sums or [0.0] * len(SUMS)
            self.course.sums = [a + b for a, b in zip(before, row, strict=True)]

    def _ended(self, number: int, rate: float, *, late: bool, clock: _Clock) -> bool:
        """End the epoch where it ends, keep a checkpoint where one is due; return the end."""
        course = self.course
        course.finished = late or number + 1 == self.total
        ends = (number + 1) % self.steps.per_epoch == 0
        if ends or late:
            self._settle()  # waits for the GPU
            course.seconds = clock.seconds
            self._end_epoch(number // self.steps.per_epoch + 1, rate)
            if not course.finished:
                course.seconds = clock.seconds
                course.mark = [course.seconds, course.waited, course.frames]
        if course.finished or (ends and clock.is_due()):
            with clock.saving():
                self._save()
        return course.finished

    def _end_epoch(self, epoch: int, rate: float) -> None:
        """Log an epoch, and what is measured after it.

        Args:
            epoch: how many are finished: the step of all curves, 0 before the first.
            rate: learning rate of its last step.
        """
        course, ctx = self.course, self.ctx
        loss, pixels, hits, false_alarms, misses = course.sums
        course.sums = []
        either = hits + false_alarms + misses
        spent = course.seconds, course.waited, course.frames
        seconds, waited, frames = (now - a for now, a in zip(spent, course.mark, strict=True))
        self._log("loss", loss / max(pixels * self.descent.mean_weight, 1), epoch)
        self._log("iou", hits / either if either else 0.0, epoch)
        self._log("lr", rate, epoch)
        self._log("images_per_second", frames / max(seconds, 1e-9), epoch)
        self._log("waiting_share", waited / max(seconds, 1e-9), epoch)
        self._log("peak_memory", peak_memory(self.descent.device), epoch)
        every = max(1, self.epochs // EVALUATIONS)
        if epoch % every == 0 or course.finished:
            self._validated(epoch)
        if self.snapshots is not None:
            self.snapshots.take(epoch, self._ema, finished=course.finished)
            self.net.train()
        ctx.facts |= self.facts(epoch)

    def facts(self, epochs: int) -> dict[str, float]:
        """Return what the training took so far."""
        course = self.course
        return {
            "epochs": float(epochs),
            "updates": float(course.step),
            "frames_seen": course.frames,
            "pixels_seen": course.pixels,
            "train_seconds": course.seconds,
            "waiting_share": course.waited / max(course.seconds, 1e-9),
            "images_per_second": course.frames / max(course.seconds, 1e-9),
            "out_of_time": float(course.finished and course.step < self.total),
        }

    def _log(self, name: str, value: float, epoch: int) -> None:
        self.course.curves.append((name, float(value), epoch))
        self.ctx.log(name, float(value), epoch)

    def _save(self) -> None:
        """Write a checkpoint; of several processes the first one does.

        Raises:
            DataError: the loss of a step since the last one is not finite.
        """
        self._settle()
        if self.ctx.rank:
            return
        self.course.scaler = self.descent.scaler()
        parts = {
            "net": self.net.state_dict(),
            "optimizer": self.descent.tensors(),
            "ema": self._ema,
            "best": self._best,
        }
        self.checkpoints.write(self.course, parts)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Weights that are changed in part make no checkpoint."""
        self._whole = False
        yield
        self._whole = True

    def _take_kept(self) -> None:
        kept = {"ema": self._ema, "best": self._best}.get(self.descent.options.keep or "last")
        if kept:
            self.net.load_state_dict(kept)
        self.ctx.facts |= self.facts(-(-self.course.step // self.steps.per_epoch))
        if self._best:
            self.ctx.facts |= {
                "best_epoch": float(self.course.best_epoch),
                "best_validation_iou": self.course.best,
            }
        for name, value in self.net.state_dict().items():
            if value.is_floating_point() and not bool(torch.isfinite(value).all()):
                raise self._diverged(self.course.step, f"{name} is not finite")

    def _is_late(self, clock: _Clock) -> bool:
        limit = self.ctx.budget.max_time
        return limit is not None and clock.seconds > limit

    def _diverged(self, step: int, what: str = "the loss is not finite") -> DataError:
        epoch = step // self.steps.per_epoch
        kept = self.checkpoints.path
        last = f"; the last good checkpoint is {kept}" if kept.is_file() else ""
        options = self.descent.options
        other = "" if options.precision == 32 else ", or precision=32"
        return DataError(
            f"{what} at step {step + 1} (epoch {epoch + 1} of {self.epochs})",
            where=self.name,
            hint=f"choose a smaller lr than {options.rate:g}{other}{last}",
        )

    def _too_large(self) -> ResourceError:
        options = self.descent.options
        return ResourceError(
            f"a step of {options.batch} crops of {self.steps.size} in {options.accumulate} parts "
            "does not fit the GPU's memory",
            where=self.name,
            hint=f"choose accumulate={2 * options.accumulate}, a smaller batch or crop, or "
            "precision=bf16",
        )


class _Clock:
    """Seconds of training, those before a restart included, and when a checkpoint is due."""

    def __init__(self, before: float) -> None:
        self._before, self._began = before, time.perf_counter()
        self._saved, self._took = self._began, 0.0

    @property
    def seconds(self) -> float:
        return self._before + time.perf_counter() - self._began

    def is_due(self) -> bool:
        """Return whether a checkpoint is worth its time."""
        return (time.perf_counter() - self._saved) * CHECKPOINT_SHARE >= self._took

    @contextlib.contextmanager
    def saving(self) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self._saved = time.perf_counter()
        self._took = self._saved - began


def _copied(net: Segmenter) -> Tensors:
    """Return a copy of the weights on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in net.state_dict().items()}


def peak_memory(device: torch.device) -> float:
    """Return the most bytes that this process has held: on the GPU, or of its own memory."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    import resource
    import sys

    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit
