"""Frozen extraction, timm and torchvision levels: against independent computations."""

from __future__ import annotations

import hashlib
import inspect
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from pydantic import ValidationError, validate_call
from safetensors.torch import load_file, save_file
from torch import nn

from vidseg.errors import DataError, PluginError, UsageError
from vidseg.extractors.filters import Filters
from vidseg.extractors.frozen import FrozenExtractor
from vidseg.extractors.timm import Timm
from vidseg.extractors.torchvision import Torchvision
from vidseg.types import Size

SQUEEZENET_SIZES = ((89, 159), (44, 79), (22, 39), (11, 19))
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (75, 101, 3), dtype=np.uint8)


def batch_of(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255


class Scripted:
    """A handle whose module returns what the test says."""

    contract = 1
    fingerprint = "scripted"
    levels = ("fine", "coarse")
    channels = (1, 1)
    strides = (1, 2)

    def __init__(self, values: tuple[float, float], announced: int = 4) -> None:
        self.values, self.announced = values, announced

    def sizes(self, size: Size) -> tuple[Size, ...]:
        return (Size(self.announced, 4), Size(2, 2))

    def build(self) -> nn.Module:
        class Fixed(nn.Module):
            def forward(_, images: torch.Tensor) -> list[torch.Tensor]:  # noqa: N805
                a, b = self.values
                return [torch.full((1, 1, 4, 4), a), torch.full((1, 1, 2, 2), b)]

        return Fixed()


class TestFrozen:
    def test_returns_contiguous_halves_of_the_chosen_levels(self, image: np.ndarray) -> None:
        handle = Filters(3)
        extractor = FrozenExtractor(handle, threads=1, levels=[0, 2])
        features = extractor.extract(image)
        with torch.inference_mode():
            truth = handle.build()(batch_of(image))
        assert [f.dtype for f in features] == [np.float16] * 2
        assert all(f.flags.c_contiguous for f in features)
        assert extractor.names == ("stride1", "stride4")
        for found, level in zip(features, (0, 2), strict=True):
            np.testing.assert_allclose(found, truth[level][0].numpy(), atol=2e-3)
        assert extractor.forwards == 1

    def test_a_handle_is_asked_for_its_sizes_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        handle, asked = Scripted((0, 0)), []
        sizes = handle.sizes

        def counted(size: Size) -> tuple[Size, ...]:
            asked.append(size)
            return sizes(size)

        monkeypatch.setattr(handle, "sizes", counted)
        extractor = FrozenExtractor(handle, threads=1)
        small, large = np.zeros((2, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8)
        for picture in (small, large, small):
            extractor.extract(picture)
        assert asked == [Size(2, 4), Size(4, 4)]

    def test_bits_are_equal_every_time_and_for_any_memory_layout(self, image: np.ndarray) -> None:
        extractor = FrozenExtractor(Torchvision(weights="random"), threads=1)
        first = extractor.extract(image)
        image.flags.writeable = False
        other = FrozenExtractor(Torchvision(weights="random"), threads=1)
        again = other.extract(np.asfortranarray(image))
        assert [f.tobytes() for f in first] == [f.tobytes() for f in again]

    def test_threads_are_put_back(self, image: np.ndarray) -> None:
        before = torch.get_num_threads()
        torch.set_num_threads(2)
        try:
            FrozenExtractor(Filters(1), threads=1).extract(image)
            assert torch.get_num_threads() == 2
            with pytest.raises(UsageError):
                FrozenExtractor(Filters(4), threads=1).extract(image[:9])
            assert torch.get_num_threads() == 2
        finally:
            torch.set_num_threads(before)

    def test_key_holds_all_settings(self) -> None:
        keys = {
            FrozenExtractor(Filters(2), threads=1).key,
            FrozenExtractor(Filters(3), threads=1).key,
            FrozenExtractor(Filters(2), threads=2).key,
            FrozenExtractor(Filters(2), threads=1, levels=[1]).key,
            FrozenExtractor(Filters(2), threads=1, levels=[1, 0]).key,
        }
        assert len(keys) == 5
        assert FrozenExtractor(Filters(2), threads=1, levels=[0, 1]).key in keys

    @pytest.mark.parametrize(
        ("values", "level"),
        [((0.0, 65520.0), "coarse"), ((-1e30, 0.0), "fine"), ((float("nan"), 0.0), "fine")],
    )
    def test_what_float16_cannot_hold_names_the_level(
        self, image: np.ndarray, values: tuple[float, float], level: str
    ) -> None:
        with pytest.raises(DataError, match=f"level {level}: features reach"):
            FrozenExtractor(Scripted(values)).extract(image)

    def test_the_largest_half_passes(self, image: np.ndarray) -> None:
        features = FrozenExtractor(Scripted((65519.0, -65504.0))).extract(image)
        assert [f.flat[0] for f in features] == [65504, -65504]

    def test_a_handle_that_lies_is_named(self, image: np.ndarray) -> None:
        with pytest.raises(PluginError, match=r"fine: the module returns \(1, 1, 4, 4\)"):
            FrozenExtractor(Scripted((0, 0), announced=5)).extract(image)

    @pytest.mark.parametrize("levels", [[], [2], [0, 0], [-1]])
    def test_levels_that_do_not_exist(self, levels: list[int]) -> None:
        with pytest.raises(UsageError, match="fine, coarse"):
            FrozenExtractor(Scripted((0, 0)), levels=levels)

    def test_no_threads(self) -> None:
        with pytest.raises(UsageError, match="0 threads"):
            FrozenExtractor(Filters(), threads=0)


class TestTorchvision:
    def test_levels_are_squeezenets_by_name(self, image: np.ndarray) -> None:
        handle = Torchvision(weights="random", seed=5)
        assert handle.levels == ("conv1", "fire3", "fire5", "fire9")
        assert (handle.channels, handle.strides) == ((64, 128, 256, 512), (2, 4, 8, 16))
        assert handle.sizes(Size(180, 320)) == SQUEEZENET_SIZES
        torch.manual_seed(5)
        x = (batch_of(image) - MEAN) / STD
        truth = []
        with torch.inference_mode():
            for number, layer in enumerate(torchvision.models.squeezenet1_1().features):
                x = layer(x)
                if number in (1, 4, 7, 12):
                    truth.append(x.clone())
            found = handle.build()(batch_of(image))
        for a, b in zip(found, truth, strict=True):
            torch.testing.assert_close(a, b)

    def test_a_modules_name_is_its_last_node(self) -> None:
        handle = Torchvision("resnet18", levels=("layer2", "layer1.1.relu_1"), weights="random")
        assert handle.levels == ("layer1", "layer2")
        assert handle.channels == (64, 128)
        assert Torchvision("resnet18", weights="random").strides == (2, 4, 8, 16, 32)

    def test_order_and_aliases(self) -> None:
        handle = Torchvision(levels=("fire9", "features.1"), weights="random")
        assert handle.levels == ("conv1", "fire9")
        same = Torchvision(levels=("conv1", "features.12.cat"), weights="random")
        assert handle.fingerprint == same.fingerprint
        assert Torchvision(levels="fire5", weights="random").levels == ("fire5",)

    def test_a_level_is_not_overwritten_in_place(self, image: np.ndarray) -> None:
        """Pre-activation nodes: ReLU in place and ``out += identity`` follow them."""
        nodes = ("bn1", "layer1.0.bn2", "layer1.0.add")
        handle = Torchvision("resnet18", levels=nodes, weights="random", seed=1)
        torch.manual_seed(1)
        net = torchvision.models.resnet18().eval()
        seen: dict[str, torch.Tensor] = {}
        for name in ("bn1", "layer1.0.bn2"):
            net.get_submodule(name).register_forward_hook(
                lambda m, i, o, name=name: seen.__setitem__(name, o.clone())
            )
        with torch.inference_mode():
            net((batch_of(image) - MEAN) / STD)
            bn1, bn2, added = handle.build()(batch_of(image))
        torch.testing.assert_close(bn1, seen["bn1"])
        torch.testing.assert_close(bn2, seen["layer1.0.bn2"])
        assert (bn1 < 0).any()
        assert not torch.equal(bn2, added)

    def test_built_modules_share_nothing(self) -> None:
        handle = Torchvision(weights="random")
        first, second = handle.build(), handle.build()
        with torch.no_grad():
            next(first.parameters()).add_(1)
        assert not torch.equal(next(first.parameters()), next(second.parameters()))
        assert torch.equal(next(second.parameters()), next(handle.build().parameters()))
        assert not first.training
        assert all(p.requires_grad for p in first.parameters())

    def test_a_built_module_trains(self, image: np.ndarray) -> None:
        module = Torchvision("resnet18", levels=("layer1",), weights="random").build().train()
        module(batch_of(image))[0].square().mean().backward()
        assert all(p.grad is not None for p in module.parameters())

    def test_seed_is_in_the_fingerprint_and_leaves_the_generator_alone(self) -> None:
        assert (
            Torchvision(weights="random", seed=1).fingerprint
            != Torchvision(weights="random").fingerprint
        )
        state = torch.get_rng_state()
        Torchvision(weights="random").build()
        assert torch.equal(state, torch.get_rng_state())

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"model": "squeezenet"}, "did you mean squeezenet1_"),
            ({"levels": ("fire8",)}, "no level 'fire8'; choose from fire"),
            ({"levels": ("conv1", "features.1")}, "is twice"),
            ({"model": "alexnet"}, "alexnet has no default levels; name some"),
        ],
    )
    def test_nonsense(self, arguments: dict[str, object], message: str) -> None:
        with pytest.raises(UsageError, match=message):
            Torchvision(**{"weights": "random", **arguments})  # type: ignore[arg-type]

    def test_too_small_an_image_names_one_that_works(self) -> None:
        handle = Torchvision(weights="random")
        with pytest.raises(UsageError, match=r"images of 300x9: .*; (\d+)x(\d+) works") as caught:
            handle.sizes(Size(9, 300))
        width, height = caught.value.hint.split()[0].split("x")
        handle.sizes(Size(int(height), int(width)))

    def test_no_network(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dead_network: None
    ) -> None:
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        began = time.monotonic()
        with pytest.raises(DataError, match=r"fetch \S+squeezenet1_1-\S+\.pth .*weights=FILE"):
            _ = Torchvision().fingerprint
        assert time.monotonic() - began < 5


class TestWeightFiles:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        torch.manual_seed(9)
        path = tmp_path / "own.safetensors"
        save_file(torchvision.models.squeezenet1_1().state_dict(), path)
        return path

    def test_round_trip(self, file: Path, image: np.ndarray) -> None:
        handle = Torchvision(weights=str(file))
        with torch.inference_mode():
            found = handle.build()(batch_of(image))
            truth = Torchvision(weights="random", seed=9).build()(batch_of(image))
        assert all(torch.equal(a, b) for a, b in zip(found, truth, strict=True))
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        assert handle.weights_info() == {"path": str(file), "sha256": digest}
        assert Torchvision(weights="random").weights_info() == {}

    def test_content_not_place_makes_the_fingerprint(self, file: Path) -> None:
        before = Torchvision(weights=str(file)).fingerprint
        moved = file.rename(file.with_name("moved.safetensors"))
        assert Torchvision(weights=str(moved)).fingerprint == before
        state = load_file(moved)
        state["features.0.bias"][0] += 1e-3
        save_file(state, moved)
        assert Torchvision(weights=str(moved)).fingerprint != before

    @pytest.mark.parametrize("kind", ["missing", "extra", "shape", "headless"])
    def test_strict(self, file: Path, kind: str) -> None:
        state = load_file(file)
        if kind == "missing":
            del state["features.4.expand3x3.bias"]
        elif kind == "extra":
            state["features.13.squeeze.bias"] = torch.zeros(3)
        elif kind == "shape":
            state["features.0.bias"] = torch.zeros(65)
        else:
            state = {n: t for n, t in state.items() if not n.startswith("classifier.")}
        save_file(state, file)
        if kind == "headless":
            Torchvision(weights=str(file)).build()
            return
        named = {"missing": "features.4.expand3x3.bias", "extra": "features.13.squeeze.bias"}
        with pytest.raises(DataError, match=named.get(kind, "features.0.bias")) as caught:
            Torchvision(weights=str(file)).build()
        assert str(file) in str(caught.value)

    def test_another_network(self, file: Path) -> None:
        with pytest.raises(DataError, match=r"layers \d+ missing \(conv1.weight, .*unknown"):
            Torchvision("resnet18", weights=str(file)).build()

    def test_missing_file_is_found_out_before_any_work(self) -> None:
        for plugin in (Timm, Torchvision):
            with pytest.raises(DataError, match="no such weights file"):
                plugin(weights="absent.safetensors")


@pytest.fixture
def dead_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr("urllib.request.urlopen", refuse)


@pytest.fixture(scope="module")
def vgg_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of torchvision's vgg16 without its head, in its own naming."""
    torch.manual_seed(0)
    net = torchvision.models.vgg16().features
    path = tmp_path_factory.mktemp("vgg") / "vgg16.pth"
    state = {f"features.{n}": t for n, t in net.state_dict().items()}
    torch.save({**state, "classifier.6.bias": torch.zeros(1000)}, path)
    return path


class TestTimm:
    def test_vgg16_has_the_papers_levels(self, vgg_file: Path, image: np.ndarray) -> None:
        """timm's levels 0, 1, 2, 3, 5 are conv1_2 ... conv4_3 after ReLU, and pool5."""
        handle = Timm(weights=str(vgg_file))
        assert handle.levels == ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "pool5")
        assert (handle.channels, handle.strides) == ((64, 128, 256, 512, 512), (1, 2, 4, 8, 32))
        layers = torchvision.models.vgg16().features
        layers.load_state_dict(
            {
                n.removeprefix("features."): t
                for n, t in torch.load(vgg_file, weights_only=True).items()
                if n.startswith("features.")
            }
        )
        convolution = rectified = 0
        x, truth, block = (batch_of(image) - MEAN) / STD, [], 1
        with torch.inference_mode():
            for layer in layers:
                x = layer(x)
                convolution += isinstance(layer, nn.Conv2d)
                rectified += isinstance(layer, nn.ReLU)
                if isinstance(layer, nn.ReLU) and rectified in (2, 4, 7, 10):
                    assert convolution == rectified
                    truth.append(x.clone())
                block += isinstance(layer, nn.MaxPool2d)
            assert block == 6
            truth.append(x)
            found = handle.build()(batch_of(image))
        for a, b in zip(found, truth, strict=True):
            torch.testing.assert_close(a, b)
        assert tuple(Size(*t.shape[2:]) for t in truth) == handle.sizes(Size(75, 101))

    @pytest.mark.parametrize("model", ["resnet18", "mobilenetv3_small_100", "test_convnext"])
    def test_announced_shapes_are_true(self, model: str) -> None:
        handle = Timm(model, weights="random")
        module = handle.build()
        for size in ((97, 131), (64, 96)):
            with torch.inference_mode():
                outputs = module(torch.zeros(1, 3, *size))
            announced = [
                (1, c, *s) for c, s in zip(handle.channels, handle.sizes(Size(*size)), strict=True)
            ]
            assert [tuple(x.shape) for x in outputs] == announced

    def test_transformers_name_a_size_that_they_take(self) -> None:
        handle = Timm("test_vit", levels=(5,), weights="random")
        with pytest.raises(UsageError, match=r"divisible by patch size .* works") as caught:
            handle.sizes(Size(97, 131))
        size = Size.parse(caught.value.hint.split()[0])
        with torch.inference_mode():
            (output,) = handle.build()(torch.zeros(1, 3, *size))
        assert tuple(output.shape[2:]) == handle.sizes(size)[0]

    @pytest.mark.parametrize(
        ("model", "asked", "works", "shapes"),
        [
            ("vit_small_patch14_dinov2", (90, 160), (84, 154), [(384, 6, 11)] * 2),
            ("vit_small_patch16_dinov3", (90, 160), (96, 160), [(384, 6, 10)] * 2),
            ("swin_tiny_patch4_window7_224", (91, 157), (92, 156), [(96, 23, 39), (768, 3, 5)]),
            ("hrnet_w18_small", (90, 160), (96, 160), [(64, 48, 80), (1024, 3, 5)]),
        ],
    )
    def test_models_that_take_some_sizes_only(
        self,
        model: str,
        asked: tuple[int, int],
        works: tuple[int, int],
        shapes: list[tuple[int, ...]],
    ) -> None:
        last = 11 if model.startswith("vit") else 3 if model.startswith("swin") else 4
        handle = Timm(model, levels=(0, last), weights="random")
        with pytest.raises(UsageError) as caught:
            handle.sizes(Size(*asked))
        text = str(caught.value)
        assert f"{model} cannot take images of {Size(*asked)}: " in text
        assert text.endswith(f"; {Size(*works)} works")
        assert ".;" not in text
        assert [
            (c, *s) for c, s in zip(handle.channels, handle.sizes(Size(*works)), strict=True)
        ] == shapes
        with torch.inference_mode():
            outputs = handle.build()(torch.zeros(1, 3, *works))
        assert [tuple(x.shape[1:]) for x in outputs] == shapes

    @pytest.mark.parametrize("model", ["vit_small_patch14_dinov2", "vit_small_patch16_dinov3"])
    def test_dino_is_one_stride_and_equals_timms_own(self, model: str, tmp_path: Path) -> None:
        import timm

        torch.manual_seed(4)
        net = timm.create_model(model, dynamic_img_size=True).eval()
        save_file(net.state_dict(), tmp_path / "w.safetensors")
        handle = Timm(model, levels=(5, 11), weights=str(tmp_path / "w.safetensors"))
        assert len(set(handle.strides)) == 1
        images = torch.rand(1, 3, 112, 224)
        module = handle.build()
        with torch.inference_mode():
            truth = net.forward_intermediates(
                (images - module.mean) / module.std, indices=[5, 11], intermediates_only=True
            )
            found = module(images)
        for a, b in zip(found, truth, strict=True):
            torch.testing.assert_close(a, b)

    @pytest.mark.parametrize("model", ["resnet18", "test_vit", "mobilenetv3_small_100"])
    def test_round_trip_in_timms_naming(self, model: str, tmp_path: Path) -> None:
        import timm

        torch.manual_seed(4)
        net = timm.create_model(model).eval()
        save_file(net.state_dict(), tmp_path / "w.safetensors")
        levels = {"test_vit": (5,)}.get(model)
        handle = Timm(model, levels=levels, weights=str(tmp_path / "w.safetensors"))
        images = torch.rand(1, 3, 160, 160)
        x = (images - torch.tensor(net.pretrained_cfg["mean"]).view(1, 3, 1, 1)) / torch.tensor(
            net.pretrained_cfg["std"]
        ).view(1, 3, 1, 1)
        with torch.inference_mode():
            found = handle.build()(images)[-1]
            if model == "test_vit":
                truth = net.forward_intermediates(x, indices=[5], intermediates_only=True)[0]
            elif model == "resnet18":
                truth = net.forward_features(x)
            else:
                truth = net.blocks(net.bn1(net.conv_stem(x)))
        torch.testing.assert_close(found, truth)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (("drop", "features.10.weight"), r"1 missing \(features\.10\.weight\)"),
            (("add", "features.31.weight"), r"1 unknown \(features\.31\.weight\)"),
            (("cut", "features.0.weight"), r"another shape \(features\.0\.weight\)"),
        ],
    )
    def test_strict(
        self, vgg_file: Path, tmp_path: Path, change: tuple[str, str], message: str
    ) -> None:
        state, (what, name) = torch.load(vgg_file, weights_only=True), change
        if what == "drop":
            del state[name]
        else:
            state[name] = torch.zeros(3) if what == "add" else state[name][:, :1]
        torch.save(state, tmp_path / "w.pth")
        with pytest.raises(DataError, match=message):
            Timm(weights=str(tmp_path / "w.pth")).build()

    def test_no_network(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dead_network: None
    ) -> None:
        from huggingface_hub import constants

        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        began = time.monotonic()
        with pytest.raises(DataError, match=r"model\.safetensors of timm/vgg16\.tv_in1k") as caught:
            Timm().build()
        assert time.monotonic() - began < 5
        assert "weights=FILE" in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_names_that_a_wrapper_lengthened(self, tmp_path: Path) -> None:
        state = torchvision.models.squeezenet1_1(weights=None).state_dict()
        save_file(
            {f"module.{name}": tensor for name, tensor in state.items()}, tmp_path / "w.safetensors"
        )
        save_file(state, tmp_path / "plain.safetensors")
        wrapped, plain = (
            Torchvision(weights=str(tmp_path / f"{n}.safetensors")) for n in ("w", "plain")
        )
        assert wrapped.notes()[1:] == [
            "w.safetensors: 'module.' before the name of every layer is left out"
        ]
        assert plain.notes()[1:] == Torchvision(weights="random").notes() == []
        ours, theirs = wrapped.build().state_dict(), plain.build().state_dict()
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)

    def test_weights_in_the_hubs_cache_are_used(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dead_network: None
    ) -> None:
        import timm
        from huggingface_hub import constants

        folder = tmp_path / "models--timm--test_vit.r160_in1k"
        (folder / "refs").mkdir(parents=True)
        (folder / "refs" / "main").write_text("abc")
        (folder / "snapshots" / "abc").mkdir(parents=True)
        file = folder / "snapshots" / "abc" / "model.safetensors"
        save_file(timm.create_model("test_vit").state_dict(), file)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
        handle = Timm("test_vit", levels=5)
        assert handle.weights_info()["path"] == str(file)
        handle.build()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"model": "vgg61"}, "did you mean vgg"),
            ({"model": "vgg16.nobody"}, "choose from vgg16.tv_in1k"),
            ({"levels": (1, 0)}, "ascending numbers from 0 to 5"),
            ({"levels": 6}, "ascending numbers from 0 to 5"),
        ],
    )
    def test_nonsense(self, arguments: dict[str, object], message: str) -> None:
        with pytest.raises(UsageError, match=message):
            Timm(**{"weights": "random", **arguments})  # type: ignore[arg-type]

    def test_levels_are_in_the_fingerprint(self) -> None:
        prints = {
            Timm(weights="random").fingerprint,
            Timm(weights="random", levels=(0, 1, 2, 3, 4)).fingerprint,
            Timm(weights="random", seed=1).fingerprint,
            Timm("vgg13", weights="random").fingerprint,
        }
        assert len(prints) == 4
        assert Timm(weights="random", levels=(0, 1, 2, 3, 5)).fingerprint in prints


@pytest.mark.parametrize("plugin", [Filters, Timm, Torchvision])
def test_signature_is_a_schema(plugin: type) -> None:
    """The loader validates ``__init__``: unknown and wrong-typed parameters are refused."""
    parameters = inspect.signature(plugin.__init__).parameters.values()
    assert not any(p.kind is p.VAR_KEYWORD for p in parameters)
    assert all(f"{p.name}: " in (plugin.__doc__ or "") for p in parameters if p.name != "self")
    checked = validate_call(plugin.__init__)
    with pytest.raises(ValidationError):
        checked(object.__new__(plugin), nonsense=1)


@pytest.fixture(scope="module")
def handle(samples: Path) -> Torchvision:
    return Torchvision(weights=str(samples / "weights" / "squeezenet1_1_imagenet.safetensors"))


@pytest.fixture(scope="module")
def street(samples: Path) -> np.ndarray:
    from PIL import Image

    frame = samples / "mot" / "TUD-Campus" / "img1" / "000001.jpg"
    return np.asarray(Image.open(frame).convert("RGB").resize((320, 180)))


@pytest.mark.real
class TestRealWeights:
    def test_sizes(self, handle: Torchvision, street: np.ndarray) -> None:
        features = FrozenExtractor(handle, threads=1).extract(street)
        assert tuple(f.shape[1:] for f in features) == SQUEEZENET_SIZES

    def test_another_process_computes_the_same_bits(
        self, handle: Torchvision, street: np.ndarray, tmp_path: Path
    ) -> None:
        extractor = FrozenExtractor(handle, threads=1)
        np.save(tmp_path / "street.npy", street)
        code = (
            "import sys, hashlib, numpy as np\n"
            "from vidseg.extractors.torchvision import Torchvision\n"
            "from vidseg.extractors.frozen import FrozenExtractor\n"
            "e = FrozenExtractor(Torchvision(weights=sys.argv[1]), threads=1)\n"
            "f = e.extract(np.load(sys.argv[2]))\n"
            "print(e.key, hashlib.sha256(b''.join(x.tobytes() for x in f)).hexdigest())\n"
        )
        found = subprocess.run(
            [sys.executable, "-c", code, handle.weights_info()["path"], tmp_path / "street.npy"],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "OMP_NUM_THREADS": "2"},
        ).stdout.split()
        own = b"".join(f.tobytes() for f in extractor.extract(street))
        assert found == [extractor.key, hashlib.sha256(own).hexdigest()]
