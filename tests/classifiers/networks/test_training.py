"""Training: what a step is, crops, restarts, what is kept, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from tests.helpers.training import TinyNoise
from tests.helpers.trunks import (
    FRAMES,
    SIZE,
    LadderHandle,
    Logged,
    Notes,
    context,
    stopping,
    training,
)
from vidseg import plugins
from vidseg.classifiers.base import Budget
from vidseg.classifiers.networks import training as loop
from vidseg.classifiers.networks.checkpoint import FILE
from vidseg.classifiers.networks.data import Steps, canvas, cut, rounded_up
from vidseg.classifiers.networks.descent import Descent
from vidseg.classifiers.networks.inference import FittedNetwork
from vidseg.classifiers.networks.unet import UNet
from vidseg.classifiers.networks.vgg import Vgg
from vidseg.errors import DataError, PluginError, ResourceError, Stopped, UsageError
from vidseg.types import FrameRef, Size
from vidseg.utils.random import generator

EQUAL = Budget("equal-epochs")


def fit(folder: Path, network: Any = None, train: Any = None, **changes: Any) -> FittedNetwork:
    train = train or training()
    network = network or Vgg(epochs=3, batch=2)
    ctx = context(folder, **{"budget": EQUAL, **changes})
    return network.fit(train, train.handle, ctx)


def same(one: FittedNetwork, other: FittedNetwork) -> bool:
    state, again = one.export(), other.export()
    return state.keys() == again.keys() and all(np.array_equal(state[k], again[k]) for k in state)


# ---- what a step is ----


def step_of(batch_options: dict[str, Any], **changes: Any) -> tuple[Any, Any, list[float]]:
    """Return the network before and after one step of SGD, and what the step counted."""
    network = Vgg(lr=0.5, momentum=0, weight_decay=0, clip=0, backbone_lr=1, **batch_options)
    train = training(**changes)
    before = network.module(train.handle, weights=True)
    after = network.module(train.handle, weights=True)
    size = SIZE
    descent = Descent(after, network.options, context(Path()), size, 1.0)
    steps = Steps(train, size, network.options.batch, 0)
    sums, pixels, _ = descent.gradients(steps.make(0), 0.5, late=False)
    descent.step(pixels)
    return before, after, [*sums.tolist(), pixels]


def test_a_step_descends_the_mean_cross_entropy_of_labelled_pixels() -> None:
    train = training(ignored=0.3)
    before, after, sums = step_of({"batch": 4}, ignored=0.3)
    images = torch.from_numpy(np.stack([train.frame(ref) for ref in train.refs]))
    masks = torch.from_numpy(np.stack([train.mask(ref) for ref in train.refs]))
    scores = before(images.permute(0, 3, 1, 2).float() / 255, SIZE)
    kept = masks != 0
    loss = F.binary_cross_entropy_with_logits(scores[kept], (masks[kept] > 0).float())
    loss.backward()
    assert sums[0] / sums[1] == pytest.approx(loss.item(), rel=1e-5)
    assert sums[1] == sums[-1] == kept.sum().item()
    for (name, one), other in zip(before.named_parameters(), after.parameters(), strict=True):
        assert one.grad is not None
        torch.testing.assert_close(other, one - 0.5 * one.grad, msg=name)


def test_the_class_weight_weighs_foreground() -> None:
    train = training()
    before, after, _ = step_of({"batch": 4, "positive_weight": 3.0})
    images = torch.from_numpy(np.stack([train.frame(ref) for ref in train.refs]))
    masks = torch.from_numpy(np.stack([train.mask(ref) for ref in train.refs]))
    scores = before(images.permute(0, 3, 1, 2).float() / 255, SIZE)
    each = F.binary_cross_entropy_with_logits(
        scores, (masks > 0).float(), pos_weight=torch.tensor(3.0), reduction="none"
    )
    (each * (masks != 0)).sum().div((masks != 0).sum()).backward()
    one, other = before.linear.weights[0], after.linear.weights[0]
    torch.testing.assert_close(other, one - 0.5 * one.grad)


def test_accumulation_changes_no_step() -> None:
    _, whole, sums = step_of({"batch": 4})
    _, parts, same_sums = step_of({"batch": 4, "accumulate": 3})
    assert sums == pytest.approx(same_sums, rel=1e-6)
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_weight_decay_spares_biases_and_normalisation(optimizer: Any) -> None:
    network = UNet(optimizer=optimizer, weight_decay=0.3, init="svm")
    net = network.module(LadderHandle(), (0, 1, 2), weights=True)
    descent = Descent(net, network.options, context(Path()), SIZE, 1.0)
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    decayed = {
        names[id(parameter)]: group["weight_decay"]
        for group in descent.plain_optimizer.param_groups
        for parameter in group["params"]
    }
    assert decayed.keys() == set(names.values())
    norms = {
        f"{place}.{name}"
        for place, module in net.named_modules()
        if isinstance(module, torch.nn.BatchNorm2d)
        for name, _ in module.named_parameters()
    }
    assert norms
    for name, decay in decayed.items():
        spared = name in norms or name.endswith("bias")
        assert decay == (0.0 if spared else 0.3), name


def test_ignored_pixels_change_nothing(tmp_path: Path) -> None:
    """A frame of which nothing is labelled is as if it were not there."""
    found = step_of({"batch": 4}, ignored=1.0)
    for one, other in zip(found[0].parameters(), found[1].parameters(), strict=True):
        assert torch.equal(one, other)


# ---- crops ----


def test_crops_are_windows_of_image_and_mask() -> None:
    image = np.arange(40 * 60 * 3).reshape(40, 60, 3).astype(np.uint16)
    rows, columns = np.indices((20, 30))
    mask = ((rows + columns) % 3 - 1).astype(np.int8)
    seen = set()
    for draw in range(20):
        pixels, labels = cut(image, mask, Size(16, 24), generator(draw), flip=False)
        top, left = divmod(int(pixels[0, 0, 0]) // 3, 60)
        seen.add((top, left))
        np.testing.assert_array_equal(pixels, image[top : top + 16, left : left + 24])
        large = mask.repeat(2, axis=0).repeat(2, axis=1)
        np.testing.assert_array_equal(labels, large[top : top + 16, left : left + 24])
    assert len(seen) > 10
    assert max(top for top, _ in seen) <= 24


def test_flips_mirror_both() -> None:
    image = np.arange(16 * 16 * 3).reshape(16, 16, 3).astype(np.uint8)
    mask = (np.arange(256).reshape(16, 16) % 3 - 1).astype(np.int8)
    mirrored = 0
    for draw in range(30):
        pixels, labels = cut(image, mask, Size(16, 16), generator(draw), flip=True)
        turned = not np.array_equal(pixels, image)
        mirrored += turned
        np.testing.assert_array_equal(pixels, image[:, ::-1] if turned else image)
        np.testing.assert_array_equal(labels, mask[:, ::-1] if turned else mask)
    assert 5 < mirrored < 25


def test_smaller_images_are_padded_and_the_padding_is_ignored() -> None:
    image, mask = np.full((10, 30, 3), 7, np.uint8), np.ones((10, 30), np.int8)
    pixels, labels = cut(image, mask, Size(16, 24), generator(0), flip=False)
    assert pixels.shape == (16, 24, 3)
    assert (pixels == 7).all()
    assert (labels[:10] == 1).all()
    assert (labels[10:] == 0).all()


def test_the_size_of_crops() -> None:
    assert canvas([Size(120, 160)], 256, 32, padded=True) == Size(128, 160)
    assert canvas([Size(480, 640)], 250, 32, padded=True) == Size(256, 256)
    assert canvas([Size(120, 160)], 256, 32, padded=False) == Size(120, 160)
    assert canvas([Size(120, 160), Size(300, 100)], 256, 16, padded=True) == Size(256, 160)
    assert rounded_up(Size(33, 64), 32) == Size(64, 64)


def test_every_epoch_sees_every_frame_once_in_another_order() -> None:
    train = training(refs=tuple(FrameRef("a", index) for index in range(7)))
    steps = Steps(train, SIZE, 3, seed=1)
    assert steps.per_epoch == 3
    assert [steps.frames(step) for step in range(6)] == [3, 3, 1, 3, 3, 1]
    known = {train.frame(ref).tobytes(): ref.index for ref in train.refs}
    epochs = []
    for epoch in range(2):
        made = [steps.make(epoch * 3 + step).images for step in range(3)]
        epochs.append([known[image.tobytes()] for images in made for image in images])
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(7))
    assert epochs[0] != epochs[1]


def test_processes_share_the_crops_of_one() -> None:
    train = training(refs=tuple(FrameRef("a", index) for index in range(5)))
    alone = Steps(train, SIZE, 4, seed=1).make(0)
    parts = [Steps(train, SIZE, 4, seed=1, rank=rank, world=2).make(0) for rank in (0, 1)]
    for rank, part in enumerate(parts):
        np.testing.assert_array_equal(part.images, alone.images[rank::2])
    last = [Steps(train, SIZE, 4, seed=1, rank=rank, world=2).make(1) for rank in (0, 1)]
    assert [np.count_nonzero(part.labels) > 0 for part in last] == [True, False]


def test_noise_is_drawn_anew_in_every_epoch() -> None:
    train = training(refs=(FrameRef("a", 0, TinyNoise()),))
    steps = Steps(train, SIZE, 1, seed=0)
    assert not np.array_equal(steps.make(0).images, steps.make(1).images)
    np.testing.assert_array_equal(steps.make(1).images, steps.make(1).images)


# ---- learning ----


@pytest.mark.parametrize("options", [{}, {"optimizer": "adamw", "lr": 0.02}, {"precision": "bf16"}])
def test_a_network_learns(options: dict[str, Any], tmp_path: Path) -> None:
    log = Logged()
    fitted = fit(tmp_path, UNet(epochs=60, batch=4, **options), log=log)
    losses, ious = log.of("loss"), log.of("iou")
    assert len(losses) == 60
    assert losses[-1] < losses[0] / 2
    assert ious[-1] > 0.5
    train = training()
    scores = fitted.batch_scores([train.frame(ref) for ref in train.refs], SIZE, "cpu")
    masks = np.stack([train.mask(ref) for ref in train.refs])
    assert ((scores > 0) == (masks > 0))[masks != 0].mean() > 0.9


def test_the_same_seed_gives_the_same_network(tmp_path: Path) -> None:
    network = UNet(epochs=2, flip=True)
    assert same(fit(tmp_path / "a", network), fit(tmp_path / "b", network))
    assert not same(fit(tmp_path / "a", network), fit(tmp_path / "c", network, seed=1))


def test_the_budget_gives_the_epochs(tmp_path: Path) -> None:
    ctx = context(tmp_path, budget=Budget("paper", base=16))
    train = training(refs=tuple(FrameRef(video, i) for video in "ab" for i in range(20)))
    Vgg(batch=8).fit(train, train.handle, ctx)
    assert ctx.facts["epochs"] == 4
    assert ctx.facts["updates"] == 4 * 5
    assert ctx.facts["frames_seen"] == 4 * 40
    assert ctx.facts["pixels_seen"] == 4 * sum(np.count_nonzero(train.mask(r)) for r in train.refs)
    assert Vgg().reads(20, Budget("paper", base=16)) == 4


def test_time_ends_a_training(tmp_path: Path) -> None:
    ctx = context(tmp_path, budget=Budget("equal-epochs", max_time=1e-9))
    fit_ = Vgg(epochs=50).fit(training(), LadderHandle(), ctx)
    assert ctx.facts["updates"] == 1
    assert ctx.facts["out_of_time"] == 1
    assert isinstance(fit_, FittedNetwork)


def test_curves_are_logged_by_epoch(tmp_path: Path) -> None:
    log = Logged()
    fit(tmp_path, Vgg(epochs=3, batch=2, validate=True), log=log)
    names = {"loss", "iou", "lr", "images_per_second", "waiting_share", "peak_memory"}
    for name in names:
        assert [step for one, _, step in log.rows if one == name] == [1, 2, 3]
    assert [step for one, _, step in log.rows if one == "validation_iou"] == [0, 1, 2, 3]
    assert min(log.of("peak_memory")) > 1e6
    assert all(0 <= share <= 1 for share in log.of("waiting_share"))


@pytest.mark.parametrize(("epochs", "shown"), [(9, [1, 3, 5, 9]), (2, [1, 2]), (1, [1])])
def test_two_frames_are_shown_at_a_few_epochs(
    epochs: int, shown: list[int], tmp_path: Path
) -> None:
    """One that is trained on and one that is held out; they change nothing in the training."""
    rows: list[tuple[FrameRef, Any, int]] = []

    def show(ref: FrameRef, scores: Any, step: int) -> None:
        rows.append((ref, scores.copy(), step))

    network = Vgg(epochs=epochs, batch=1, validate=True)
    fitted = fit(tmp_path / "a", network, show=show)
    assert [step for _, _, step in rows] == [step for step in shown for _ in range(2)]
    assert {ref.video for ref, _, _ in rows} == {"a", "b"}
    train = training()
    last = fitted.batch_scores([train.frame(rows[-1][0])], SIZE, "cpu")[0]
    np.testing.assert_array_equal(rows[-1][1], last)
    assert same(fitted, fit(tmp_path / "b", network))


def test_without_held_out_frames_two_videos_are_shown(tmp_path: Path) -> None:
    """The frame with most foreground of each; one frame where there is one video."""
    rows: list[FrameRef] = []

    def show(ref: FrameRef, scores: Any, step: int) -> None:
        rows.append(ref)

    fit(tmp_path / "a", Vgg(epochs=1), show=show)
    train = training()
    found = {ref.video: np.count_nonzero(train.mask(ref) > 0) for ref in rows}
    for ref in train.refs:
        assert np.count_nonzero(train.mask(ref) > 0) <= found[ref.video]
    rows.clear()
    fit(tmp_path / "b", Vgg(epochs=1), training(refs=(FrameRef("a", 0, TinyNoise()),)), show=show)
    assert rows == [FrameRef("a", 0)]


@pytest.mark.parametrize("keep", ["last", "ema"])
def test_checkpoints_are_kept_after_equal_parts(keep: Any, tmp_path: Path) -> None:
    kept: dict[int, Any] = {}
    network = Vgg(epochs=8, batch=1, keep=keep, checkpoints=3, schedule="constant")
    fitted = fit(tmp_path / "a", network, keep=kept.__setitem__)
    assert list(kept) == [2, 4, 6]
    assert kept[2].keys() == fitted.export().keys()
    half = Vgg(epochs=4, batch=1, keep=keep, schedule="constant")
    state = fit(tmp_path / "b", half).export()
    if keep == "last":  # the rise of the learning rate is shorter in fewer steps
        assert not np.array_equal(kept[4]["linear.bias"], fitted.export()["linear.bias"])
    np.testing.assert_allclose(kept[4]["linear.bias"], state["linear.bias"], rtol=0.2)
    kept.clear()
    fit(tmp_path / "c", Vgg(epochs=1, checkpoints=3), keep=kept.__setitem__)
    assert not kept, "the end is logged anyway"


def test_speed_is_that_of_the_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not of the training so far, of which a slow start would be a part for ever."""
    read = iter([100.0, 200.0, 200.0, 200.0, *(200.0 + n for n in (1, 2, 2, 2, 3, 4, 4))])
    monkeypatch.setattr(loop._Clock, "seconds", property(lambda clock: next(read)))
    log = Logged()
    fit(tmp_path, Vgg(epochs=3, batch=2), log=log)
    assert log.of("images_per_second") == [4 / 200, 2.0, 2.0]


def test_compiling_that_fails_is_said_and_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: Any, **named: Any) -> Any:
        raise RuntimeError("no C++ compiler")

    monkeypatch.setattr(torch, "compile", lambda module: refuse)
    notes = Notes()
    plain = fit(tmp_path / "a", Vgg(epochs=2))
    found = fit(tmp_path / "b", Vgg(epochs=2, compile=True), progress=notes)
    assert any("torch.compile fails" in text and "compiler" in text for text in notes.said)
    assert same(plain, found)


# ---- restarts ----


@pytest.mark.parametrize(
    "network",
    [
        UNet(epochs=3, batch=1),
        Vgg(epochs=3, batch=1, optimizer="adamw", keep="ema"),
        Vgg(epochs=3, batch=1, keep="best"),
    ],
    ids=lambda network: network.options.keep,
)
def test_a_stopped_training_ends_with_the_same_weights(network: Any, tmp_path: Path) -> None:
    """Stopped in the middle of an epoch; the curves are the same as well."""
    whole, log, again = fit(tmp_path / "a", network, log=(log := Logged())), log, Logged()
    per_epoch = 2 if network.options.keep == "best" else 4
    calls = per_epoch + per_epoch + 1  # scales are measured first: one call for each frame
    with pytest.raises(Stopped):
        fit(tmp_path / "b", network, stop=stopping(calls, Stopped("stopped by SIGTERM")))
    (file,) = (tmp_path / "b").glob(f"*/{FILE}")
    assert file.is_file()
    notes = Notes()
    resumed = fit(tmp_path / "b", network, log=again, progress=notes)
    assert "goes on after step" in notes.said[0]
    assert same(whole, resumed)
    for name in ("loss", "iou", "validation_iou", "lr"):
        assert again.of(name) == log.of(name)


def test_a_killed_training_goes_on_from_its_last_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed: nothing is written at the end."""
    whole = fit(tmp_path / "a")
    with monkeypatch.context() as patch:
        patch.setattr(loop, "CHECKPOINT_SHARE", 1e9)
        with pytest.raises(ZeroDivisionError):
            fit(tmp_path / "b", stop=stopping(4 + 3, ZeroDivisionError()))
    notes = Notes()
    assert same(whole, fit(tmp_path / "b", progress=notes))
    assert notes.said[0] == "vgg: goes on after step 2"


def test_weights_that_are_changed_in_part_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, step = fit(tmp_path / "a"), Descent.step
    calls: list[float] = []

    def interrupted(self: Descent, pixels: float) -> None:
        step(self, pixels)
        calls.append(pixels)
        if len(calls) == 4:
            raise Stopped("stopped by SIGTERM")

    with monkeypatch.context() as patch:
        patch.setattr(loop, "CHECKPOINT_SHARE", 1e9)
        patch.setattr(Descent, "step", interrupted)
        with pytest.raises(Stopped):
            fit(tmp_path / "b")
    assert same(whole, fit(tmp_path / "b"))


def test_a_finished_training_is_not_done_again(tmp_path: Path) -> None:
    """Where what follows the fit was killed."""
    first = fit(tmp_path)
    ctx = context(tmp_path, budget=EQUAL, stop=stopping(0, ZeroDivisionError()))
    assert same(first, Vgg(epochs=3, batch=2).fit(training(), LadderHandle(), ctx))
    assert ctx.facts["updates"] == 6


def test_another_training_does_not_read_the_checkpoint(tmp_path: Path) -> None:
    fit(tmp_path)
    notes = Notes()
    fit(tmp_path, Vgg(epochs=3, batch=2, lr=0.01), progress=notes)
    fit(tmp_path, train=training(refs=FRAMES[:3]), progress=notes)
    assert not [text for text in notes.said if "goes on" in text]


def test_a_checkpoint_that_is_damaged_or_of_another_model(tmp_path: Path) -> None:
    fit(tmp_path)
    (file,) = tmp_path.glob(f"*/{FILE}")
    good = file.read_bytes()
    for content in (good[:100], b"", good.replace(b"identity", b"idenfity")):
        file.write_bytes(content)
        with pytest.raises(DataError, match=r"checkpoint cannot be read: .*; remove it"):
            fit(tmp_path)
    meta = {"format": 1, "identity": "0" * 64, "course": {}}
    save_file({"net/x": torch.zeros(1)}, file, {"vidseg": json.dumps(meta)})
    with pytest.raises(DataError, match="checkpoint is of another training; remove it"):
        fit(tmp_path)


def test_checkpoints_hold_no_pickle(tmp_path: Path) -> None:
    fit(tmp_path, Vgg(epochs=1, batch=2, keep="ema"))
    (file,) = tmp_path.glob(f"*/{FILE}")
    parts = {name.partition("/")[0] for name in load_file(file)}
    assert parts == {"net", "optimizer", "ema"}
    assert not list(tmp_path.rglob(".*.part"))


# ---- what is kept ----


def test_best_is_the_epoch_with_the_best_held_out_group(tmp_path: Path) -> None:
    log, ctx = Logged(), context(tmp_path, budget=EQUAL)
    ctx.log = log
    train = training()
    fitted = Vgg(epochs=6, batch=1, lr=3.0, keep="best").fit(train, train.handle, ctx)
    curve = log.of("validation_iou")
    assert ctx.facts["best_validation_iou"] == max(curve)
    assert ctx.facts["frames_seen"] == 6 * 2, "one of the two groups is held out"
    last = Vgg(epochs=6, batch=1, lr=3.0, validate=True)
    assert not same(fitted, fit(tmp_path / "last", last)) or curve[-1] == max(curve)


def test_one_group_cannot_be_held_out(tmp_path: Path) -> None:
    train = training(refs=FRAMES[:2])
    with pytest.raises(DataError, match=r"there is one \(a\); leave them out"):
        fit(tmp_path, Vgg(keep="best"), train)


def test_the_average_is_smoother_than_the_last_weights(tmp_path: Path) -> None:
    last = fit(tmp_path / "a", Vgg(epochs=3, batch=1, lr=1.0))
    mean = fit(tmp_path / "b", Vgg(epochs=3, batch=1, lr=1.0, keep="ema"))
    start = fit(tmp_path / "c", Vgg(epochs=1, batch=4, lr=1e-9, momentum=0))

    def distance(one: FittedNetwork) -> float:
        a, b = one.export()["linear.weights.0"], start.export()["linear.weights.0"]
        return float(np.linalg.norm(a - b))

    assert 0 < distance(mean) < distance(last)


# ---- specs ----


def test_parameters_are_read_from_a_spec() -> None:
    spec = (
        "unet:precision=32,freeze=first:2,init=[pixel_svm:C=0.1],widths=[8,4],levels=[0,2],lr=1e-2"
    )
    network = plugins.create("classifier", spec)
    assert network.options.precision == 32
    assert network.options.rate == 0.01
    assert (network.frozen, network.widths, network.chosen) == ("first:2", [8, 4], [0, 2])
    assert network.init.costs == [0.1]
    assert plugins.create("classifier", "vgg:precision=bf16,init=svm").options.precision == "bf16"
    resolved = plugins.resolve("classifier", spec)
    assert plugins.resolve("classifier", str(resolved)) == resolved
    with pytest.raises(PluginError, match="precision=16 is refused"):
        plugins.create("classifier", "vgg:precision=16")
    with pytest.raises(PluginError, match="init=hello is refused"):
        plugins.create("classifier", "vgg:init=hello")


# ---- bad input ----


def test_a_loss_that_is_not_finite_names_the_step_and_keeps_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SHARE", 1e9)
    made = Steps.make

    def spoilt(self: Steps, step: int) -> Any:
        batch = made(self, step)
        images = batch.images.astype(np.float32)
        if step == 3:
            images[0, 0, 0, 0] = np.nan
        return type(batch)(images, batch.labels)

    monkeypatch.setattr(Steps, "make", spoilt)
    expected = r"vgg: the loss is not finite at step 4 \(epoch 2 of 3\); choose a smaller lr than "
    with pytest.raises(DataError, match=expected) as caught:
        fit(tmp_path)
    (file,) = tmp_path.glob(f"*/{FILE}")
    assert str(file) in str(caught.value)
    assert all(tensor.isfinite().all() for tensor in load_file(file).values())


def test_a_step_that_does_not_fit_says_what_to_lower(tmp_path: Path) -> None:
    expected = r"need \d+KB and the network .*KB, memory_budget is 200KB; choose accumulate=2"
    with pytest.raises(ResourceError, match=expected):
        fit(tmp_path, memory_budget=200_000)
    with pytest.raises(ResourceError, match="choose a smaller crop"):
        fit(tmp_path, memory_budget=1000)
    fit(tmp_path, Vgg(epochs=1, batch=2, accumulate=2), memory_budget=200_000)


def test_one_labelled_frame_in_all(tmp_path: Path) -> None:
    fitted = fit(tmp_path, train=training(refs=FRAMES[:1]))
    assert np.isfinite(fitted.batch_scores([training().frame(FRAMES[0])], SIZE, "cpu")).all()


def test_nothing_labelled_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no pixel of the training frames is labelled"):
        fit(tmp_path, train=training(ignored=1.0))


def test_an_extractor_that_cannot_take_the_crop_says_so(tmp_path: Path) -> None:
    class Picky(LadderHandle):
        def sizes(self, size: Size) -> tuple[Size, ...]:
            raise UsageError("picky cannot take images of this size", where="image_size")

    with pytest.raises(UsageError, match="picky cannot take"):
        fit(tmp_path, train=training(handle=Picky()))


def test_an_extractor_that_cannot_take_the_whole_image_says_so(tmp_path: Path) -> None:
    """Crops may fit where whole images do not, as of a patch size that does not divide them."""

    class Picky(LadderHandle):
        def sizes(self, size: Size) -> tuple[Size, ...]:
            if size == SIZE:
                raise UsageError(f"picky cannot take images of {size}", where="image_size")
            return super().sizes(size)

    with pytest.raises(UsageError, match=f"picky cannot take images of {SIZE}"):
        fit(tmp_path, Vgg(epochs=1, crop=8), train=training(handle=Picky()))
