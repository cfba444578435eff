"""A kept model: the same masks as the fitted one, weights found again, bad images refused."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image as Pillow

import vidseg
from tests.helpers.mlflow_fixtures import make_model
from tests.helpers.suites import install
from vidseg import plugins
from vidseg.classifiers.linear.head import LinearHead
from vidseg.errors import DataError
from vidseg.extractors.frozen import FrozenExtractor
from vidseg.media.resize import resize
from vidseg.serving import predictor as served
from vidseg.store import weights as backbones
from vidseg.types import Size


def picture(height: int = 48, width: int = 64, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


def encoded(image: npt.NDArray[Any], kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Pillow.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> served.Predictor:
    return served.load(*served.save(make_model(), tmp_path_factory.mktemp("model")))


def reference(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """What the evaluation computes, without the code under test."""
    record = make_model()
    extractor = FrozenExtractor(plugins.create("extractor", "filters"))
    head = LinearHead.load(record.state, record.extractor_fingerprint)
    assert record.image_size is not None
    return head.scores(extractor.extract(resize(image, record.image_size)), record.mask_size)


def test_scores_are_those_of_the_evaluation(kept: served.Predictor) -> None:
    image = picture(24, 32)
    np.testing.assert_array_equal(kept.scores(image), reference(image))


@pytest.mark.parametrize("size", [(48, 64), (90, 130), (17, 23)])
def test_masks_have_the_images_size(kept: served.Predictor, size: tuple[int, int]) -> None:
    image = picture(*size)
    expected = cv2.resize(reference(image), size[::-1], interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(kept.scores(image), expected)
    np.testing.assert_array_equal(kept.mask(image), expected > 0)
    np.testing.assert_array_equal(kept.mask(image, 1e9), np.zeros(size, bool))


def test_native_images_are_not_resized(tmp_path: Path) -> None:
    record = make_model()
    record.image_size = None
    image = picture(40, 56)
    extractor = FrozenExtractor(plugins.create("extractor", "filters"))
    head = LinearHead.load(record.state, record.extractor_fingerprint)
    expected = cv2.resize(head.scores(extractor.extract(image), Size(24, 32)), (56, 40))
    predictor = served.load(*served.save(record, tmp_path))
    np.testing.assert_array_equal(predictor.scores(image), expected)


@pytest.fixture
def weighted(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Head, description, and the weights file that the extractor was made from."""
    from safetensors.torch import save_file
    from torchvision.models import squeezenet1_1

    weights = tmp_path / "trained" / "squeeze.safetensors"
    weights.parent.mkdir()
    save_file(squeezenet1_1(weights=None).state_dict(), weights)
    record = make_model(f"torchvision:squeezenet1_1,weights={weights}")
    assert record.weights["path"] == str(weights)
    return (*served.save(record, tmp_path), weights)


def test_weights_are_found_where_they_were(weighted: tuple[Path, Path, Path]) -> None:
    head, description, _ = weighted
    assert served.load(head, description).mask(picture()).shape == (48, 64)


@pytest.mark.parametrize("place", ["file", "folder", "second folder"])
def test_moved_weights_are_found_by_their_hash(
    weighted: tuple[Path, Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    head, description, weights = weighted
    moved = tmp_path / "other" / "deep" / "renamed.safetensors"
    moved.parent.mkdir(parents=True)
    weights.rename(moved)
    weights.write_bytes(b"other weights under the old name")
    (tmp_path / "other" / weights.name).write_bytes(b"and another of that name")
    named = {"file": moved, "folder": tmp_path / "other"}.get(place, f"/none:{tmp_path / 'other'}")
    monkeypatch.setenv("VIDSEG_WEIGHTS", str(named))
    assert served.load(head, description).mask(picture()).shape == (48, 64)


@pytest.mark.parametrize("place", ["store", "torch", "hub"])
def test_moved_weights_are_found_in_store_and_caches(
    weighted: tuple[Path, Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    head, description, weights = weighted
    info = json.loads(description.read_text())["weights"]
    digest, store, caches = info["sha256"], tmp_path / "store", tmp_path / "caches"
    monkeypatch.setenv("VIDSEG_STORE", str(store))
    monkeypatch.setenv("TORCH_HOME", str(caches / "torch"))
    monkeypatch.setenv("HF_HUB_CACHE", str(caches / "hub"))
    if place == "store":
        backbones.keep(info, store)
        backbones.keep(info, store)
        assert len(list(store.rglob("*.safetensors"))) == 1
        weights.unlink()
    else:
        names = {"torch": f"torch/hub/checkpoints/s-{digest[:8]}.safetensors"}
        file = caches / names.get(place, f"hub/models--a--b/blobs/{digest}")
        file.parent.mkdir(parents=True)
        weights.rename(file)
    if place == "hub":
        link = caches / "hub" / "models--a--b" / "snapshots" / "1" / "model.safetensors"
        link.parent.mkdir(parents=True)
        link.symlink_to(file)
    assert served.load(head, description).mask(picture()).shape == (48, 64)


def test_only_files_of_the_recorded_length_are_hashed(
    weighted: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, description, weights = weighted
    others = tmp_path / "others"
    others.mkdir()
    (others / "large.safetensors").write_bytes(b"other")
    moved = weights.rename(others / "z.safetensors")
    monkeypatch.setenv("VIDSEG_WEIGHTS", str(others))
    hashed: list[Path] = []
    real = backbones.file_sha256

    def file_sha256(path: Path) -> str:
        hashed.append(path)
        return real(path)

    monkeypatch.setattr(backbones, "file_sha256", file_sha256)
    served.load(head, description)
    assert hashed == [moved]


def test_fetched_weights_that_nobody_has_name_both_ways(
    weighted: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the library fetched by itself is fetched again, or the message says why not."""
    from vidseg.extractors.torchvision import Torchvision

    head, description, weights = weighted
    content = json.loads(description.read_text())
    content["extractor"] = "torchvision:squeezenet1_1"
    description.write_text(json.dumps(content))
    moved = weights.rename(weights.with_name("moved.safetensors"))
    monkeypatch.setattr(Torchvision, "fetched", staticmethod(lambda model: moved))
    assert served.load(head, description).mask(picture()).shape == (48, 64)

    def unreachable(model: str) -> Path:
        raise DataError("the weights cannot be fetched: no network")

    monkeypatch.setattr(Torchvision, "fetched", staticmethod(unreachable))
    with pytest.raises(DataError, match=r"no weights file.*no network.*set VIDSEG_WEIGHTS"):
        served.load(head, description)


def test_lost_weights_are_named_by_hash(
    weighted: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, description, weights = weighted
    digest = json.loads(description.read_text())["weights"]["sha256"]
    weights.unlink()
    monkeypatch.setenv("VIDSEG_WEIGHTS", str(tmp_path))
    with pytest.raises(DataError, match=f"{digest}.*{tmp_path}.*set VIDSEG_WEIGHTS"):
        served.load(head, description)


def test_it_prints_without_its_numbers(kept: served.Predictor) -> None:
    assert repr(kept) == (
        f"Predictor(image_size={kept.image_size!r}, mask_size={kept.mask_size!r}, "
        f"threshold={kept.threshold!r})"
    )


def test_threshold_is_a_number(kept: served.Predictor) -> None:
    with pytest.raises(DataError, match="threshold: is not a number"):
        kept.mask(picture(), float("nan"))


def test_another_extractor_is_refused(tmp_path: Path) -> None:
    record = make_model()
    record.extractor_fingerprint = "0" * 32
    with pytest.raises(DataError, match="other features"):
        served.load(*served.save(record, tmp_path))


def test_foreign_and_damaged_files_are_refused(tmp_path: Path) -> None:
    head, description = served.save(make_model(), tmp_path)
    head.write_bytes(head.read_bytes()[:50])
    with pytest.raises(DataError, match="cannot be read"):
        served.load(head, description)
    head, description = served.save(make_model(), tmp_path)
    description.write_text(json.dumps({"format": 99}))
    with pytest.raises(DataError, match="format 99"):
        served.load(head, description)


@pytest.mark.parametrize(
    ("name", "made", "text"),
    [
        ("weight.0", lambda array: array * np.float32(np.nan), "weight.0 holds numbers that are"),
        ("bias", lambda array: array + np.inf, "bias holds numbers that are not finite"),
        ("weight.0", lambda array: array.astype(np.int8), "weight.0 is int8"),
        ("weight.0", lambda array: array.astype(np.float64), "weight.0 is float64"),
        ("weight.0", lambda array: array[None], r"weight.0 is float32 \(1, \d+\)"),
        ("bias", lambda array: array.astype(np.float16), "bias is float16"),
    ],
)
def test_a_head_of_other_numbers_is_refused(
    tmp_path: Path, name: str, made: Callable[[Any], Any], text: str
) -> None:
    record = make_model()
    record.state[name] = made(record.state[name])
    head, description = served.save(record, tmp_path)
    with pytest.raises(DataError, match=f"{head}.*{text}"):
        served.load(head, description)


def test_every_form_of_an_image_is_one_image() -> None:
    image = picture()
    png = encoded(image)
    text = base64.b64encode(png)
    wrapped = base64.encodebytes(png)
    forms = [image, png, bytearray(png), text.decode(), text, wrapped, np.bytes_(text)]
    forms.append(image.tolist())
    for found in served.as_images(forms):
        np.testing.assert_array_equal(found, image)


def test_modes_and_orientation() -> None:
    image = picture()
    grey = image[..., 0]
    np.testing.assert_array_equal(served.decode(encoded(grey)), np.dstack([grey] * 3))
    alpha = np.dstack([image, np.full(image.shape[:2], 7, np.uint8)])
    np.testing.assert_array_equal(served.decode(encoded(alpha)), image)
    exif = Pillow.Exif()
    exif[0x0112] = 6  # the camera was turned: show rotated by 90 degrees
    assert served.decode(encoded(image, "JPEG", exif=exif)).shape == (64, 48, 3)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (b"", "0 bytes"),
        (b"no image", "cannot be decoded"),
        (encoded(picture())[:300], "cannot be decoded"),
        (encoded(picture(), "JPEG")[:300], "cannot be decoded"),
        ("text, no base64", "not base64"),
        (None, "NoneType"),
        (3.5, "float"),
        (picture()[..., 0], r"uint8 \(48, 64\)"),
        (picture().astype(np.float32), "float32"),
        ((picture() / 255).tolist(), "float64"),
        ((picture().astype(int) + 2).tolist(), r"int64 \(48, 64, 3\)"),
        ((picture().astype(int) - 1).tolist(), r"int64 \(48, 64, 3\)"),
        ([[[1, 2, 3]], [[1]]], "different lengths"),
        ([], r"float64 \(0,\)"),
        (encoded(np.zeros((4, 4), np.uint16)), "mode I"),
        (bytes(served.MAX_BYTES + 1), f"{served.MAX_BYTES + 1} bytes"),
        (encoded(np.zeros((1, served.MAX_PIXELS + 1), bool)), "pixels"),
    ],
)
def test_bad_images_are_refused_by_row(cell: Any, text: str) -> None:
    with pytest.raises(DataError, match=rf"image 1: .*{text}"):
        list(served.as_images([picture(), cell]))


def test_a_network_is_served_without_the_weights_it_began_with(tmp_path: Path) -> None:
    from safetensors.torch import save_file
    from timm import create_model

    from vidseg.experiment.records import ModelRecord

    file = tmp_path / "weights.safetensors"
    save_file(create_model("test_resnet").state_dict(), file)
    extractor, spec = f"timm:model=test_resnet,weights={file}", "unet:widths=4"
    handle = plugins.create("extractor", extractor)
    classifier = plugins.create("classifier", spec)
    net = classifier.module(handle, weights=True)
    net.scale.fill_(0.3)
    fitted = classifier.fitted(net, (), padded=True)
    image = picture(40, 56)
    record = ModelRecord(
        classifier=str(plugins.resolve("classifier", spec)),
        extractor=str(plugins.resolve("extractor", extractor)),
        extractor_fingerprint=handle.fingerprint,
        weights=handle.weights_info(),
        image_size=Size(40, 56),
        mask_size=Size(20, 28),
        threshold=0.0,
        state=fitted.export(),
        example=image,
    )
    files = served.save(record, tmp_path)
    file.unlink()
    expected = fitted.batch_scores([image], Size(20, 28), "cpu")[0]
    scores = served.load(*files).scores(image)
    np.testing.assert_array_equal(scores, cv2.resize(expected, (56, 40)))


@pytest.mark.parametrize("classifier", ["quick", "unet:widths=4,epochs=1"])
def test_mean_and_std_of_a_file_beside_the_weights_stay_in_the_model(
    classifier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import save_file
    from timm import create_model

    install(monkeypatch)
    file = tmp_path / "weights.safetensors"
    save_file(create_model("test_resnet").state_dict(), file)
    beside = file.with_suffix(".json")
    beside.write_text(json.dumps({"mean": 0.1, "std": [1 / 3, 0.2, 0.3]}))
    options: dict[str, Any] = {
        "dataset": "synthetic:videos=2,frames=2,size=64x48",
        "image_size": "64x48",
        "sampler": 1,
        "extractor": f"timm:model=test_resnet,levels=[0,1,2],weights={file}",
        "classifier": classifier,
        "device": "cpu",
        "threads": 1,
    }
    places = {"store": tmp_path / "store", "ledger": tmp_path / "ledger"}
    record = vidseg.run(tracking=False, **places, **options).record
    assert record.params["extractor.used.mean"] == "[0.1, 0.1, 0.1]"
    assert any("mean 0.1, 0.1, 0.1 (weights.json)" in note for note in record.notes)
    assert record.model is not None
    files = served.save(record.model, tmp_path)
    with_file = served.load(*files).scores(picture(48, 64))
    beside.unlink()
    np.testing.assert_array_equal(served.load(*files).scores(picture(48, 64)), with_file)
