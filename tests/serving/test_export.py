"""Networks as ONNX files: the same scores in batches of any size, nothing written otherwise."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from click.testing import CliRunner

from tests.helpers.mlflow_fixtures import make_model
from tests.helpers.trunks import LadderHandle, context, training
from vidseg.classifiers.base import Budget
from vidseg.classifiers.networks.inference import FittedNetwork
from vidseg.classifiers.networks.unet import UNet
from vidseg.classifiers.networks.vgg import Vgg
from vidseg.errors import DataError, UsageError
from vidseg.serving import export as exporting
from vidseg.serving import predictor as served
from vidseg.serving.export import Exported, export_onnx
from vidseg.serving.predictor import Predictor
from vidseg.tasks.registry import find_task
from vidseg.types import Size

SEEN, MASK = Size(25, 37), Size(12, 18)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> FittedNetwork:
    train = training()
    ctx = context(tmp_path_factory.mktemp("fit"), budget=Budget("equal-epochs"))
    return UNet(epochs=2, batch=4, widths=4).fit(train, LadderHandle(), ctx)


def predictor(network: FittedNetwork) -> Predictor:
    return Predictor(network, None, SEEN, MASK, 0.25, find_task())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def exported(network: FittedNetwork, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_onnx(predictor(network), tmp_path_factory.mktemp("onnx") / "new" / "net.onnx")


def test_the_file_scores_as_the_network_does(network: FittedNetwork, exported: Exported) -> None:
    images = np.random.default_rng(1).integers(0, 256, (5, *SEEN, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(exported.file)
    (scores,) = session.run(["scores"], {"images": images})
    expected = network.batch_scores(list(images), MASK, "cpu")
    assert len(np.unique(expected)) > 100
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    alone = session.run(["scores"], {"images": images[2:3]})[0][0]
    np.testing.assert_allclose(alone, scores[2], atol=1e-5)


def test_it_says_what_it_takes_and_the_file_holds_the_threshold(exported: Exported) -> None:
    assert exported.input == "uint8 (N, 25, 37, 3)"
    assert exported.output == "float32 (N, 12, 18)"
    assert exported.nbytes == exported.file.stat().st_size
    model = onnx.load(exported.file)
    assert {one.key: one.value for one in model.metadata_props}["threshold"] == "0.25"
    first = model.graph.input[0].type.tensor_type.shape.dim
    assert first[0].dim_param
    assert [one.dim_value for one in first[1:]] == [25, 37, 3]


def test_other_scores_are_found_and_nothing_is_written(
    network: FittedNetwork, exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = exported.file.read_bytes()
    monkeypatch.setattr(exporting, "_traced", lambda *given: content)
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.net._last_bias().add_(0.5)
    with pytest.raises(DataError, match=r"differ from the network's by up to 0\.5"):
        export_onnx(predictor(other), tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())
    assert export_onnx(predictor(network), tmp_path / "net.onnx").file.read_bytes() == content


def test_a_network_that_sees_images_unpadded() -> None:
    net = Vgg().module(LadderHandle(), (0, 1), weights=True)
    with torch.no_grad():
        for weight in net.linear.weights:
            weight.normal_()
    fitted = FittedNetwork(net, {"linear": [0, 1], "padded": False})
    images = np.random.default_rng(1).integers(0, 256, (2, *SEEN, 3), dtype=np.uint8)
    expected = fitted.batch_scores(list(images), MASK, "cpu")
    with torch.no_grad():
        found = exporting.Scorer(fitted, SEEN, MASK)(torch.from_numpy(images))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_what_is_refused(network: FittedNetwork, tmp_path: Path) -> None:
    given = predictor(network)
    head = served.load(*served.save(make_model(), tmp_path))
    file = tmp_path / "a.onnx"
    with pytest.raises(UsageError, match="no network that can be written as ONNX"):
        export_onnx(head, file)
    with pytest.raises(UsageError, match="sees images of 37x25, not of 8x8"):
        export_onnx(given, file, Size(8, 8))
    with pytest.raises(UsageError, match=r"an ONNX file of one.*--image-size"):
        export_onnx(replace(given, image_size=None), file)
    assert not file.exists()


def test_without_the_extra_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "PACKAGES", ("onnx", "not_installed_here"))
    from vidseg.cli.export import export

    result = CliRunner().invoke(export, ["runs:/a/model", "--output", "a.onnx"])
    assert isinstance(result.exception, UsageError)
    assert "need not_installed_here" in str(result.exception)
    assert "pip install 'vidseg[onnx]'" in str(result.exception)
