"""What a fit shows while it goes on: files in its cell's folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from tests.helpers.networks import TinyNet
from tests.helpers.suites import InTurn, Place, install
from vidseg.errors import Stopped
from vidseg.experiment import live
from vidseg.experiment.live import CURVES, CurveReader
from vidseg.suites.opened import OpenedSuite

NETWORK = {"n": {"extractor": "filters:octaves=1", "classifier": "tinynet:steps=3"}}
FIXED = "fixed:test=syn00"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    install(monkeypatch)
    return Place(tmp_path)


def small(place: Place, split: str = FIXED) -> OpenedSuite:
    return place.bench(
        arms={"four": {"sampler": "successive:n=4"}},
        pipelines=NETWORK,
        comparisons=[],
        split=split,
    )


def folder_of(place: Place, bench: OpenedSuite, number: int = 0) -> Path:
    key = bench.key(bench.cells[number])
    assert key is not None
    return place.ledger.folder(key)


@pytest.mark.parametrize("workers", [None, InTurn()])
def test_a_fit_leaves_pictures_and_checkpoints(place: Place, workers: Any) -> None:
    """Here and in a worker, which opens the suite on its own."""
    bench = small(place)
    results, _ = place.run(bench, workers)
    folder = folder_of(place, bench)
    shown = live.pictures(folder)
    assert [path.name for path in shown] == [
        "step-00000_syn01_000000.png",
        "step-00001_syn01_000001.png",
        "step-00002_syn01_000002.png",
    ]
    with Image.open(shown[0]) as picture:
        assert picture.width >= 2 * 400
    kept = live.checkpoints(folder)
    assert [step for step, _ in kept] == [0, 1, 2]
    (cell,) = results.finished.values()
    experiment = bench.experiments["n"]
    fitted = experiment.fit(bench.cells[0].setting, bench.cells[0].fold, "")
    last, state = load_file(kept[-1][1]), experiment.state(fitted)
    assert all(np.array_equal(last[name], state[name]) for name in state)
    assert len(cell.curves) == 3
    assert not (folder / CURVES).exists(), "the result has them"


def test_models_of_single_folds_have_no_checkpoints(place: Place) -> None:
    bench = small(place, "leave-one-group-out")
    place.run(bench)
    assert not live.checkpoints(folder_of(place, bench, 1))
    assert live.pictures(folder_of(place, bench, 1))


def test_forgetting_a_cell_removes_them(place: Place) -> None:
    bench, cell = small(place), small(place).cells[0]
    place.run(bench)
    bench.experiments["n"].forget(cell.setting, cell.fold)
    folder = folder_of(place, bench)
    assert not live.pictures(folder)
    assert not live.checkpoints(folder)


def test_curves_are_read_while_the_fit_goes_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was stopped and is started again logs its first points again."""
    bench, cell = small(place), small(place).cells[0]
    reader = CurveReader(folder_of(place, bench))
    assert reader.new() == []
    step, seen = TinyNet.fit, []

    def watched(self: TinyNet, train: Any, handle: Any, ctx: Any) -> Any:
        stop = ctx.stop

        def read() -> None:
            stop()
            seen.append([(one.name, one.step) for one in reader.new()])
            if len(seen) == 3:
                raise Stopped("stopped by SIGTERM")

        ctx.stop = read
        return step(self, train, handle, ctx)

    monkeypatch.setattr(TinyNet, "fit", watched)
    with pytest.raises(Stopped):
        bench.experiments["n"].fit(cell.setting, cell.fold, "")
    bench.experiments["n"].fit(cell.setting, cell.fold, "")
    loss = [("loss", 0), ("loss", 1), ("loss", 2)]
    assert seen == [[], loss[:1], loss[1:2], [], loss[:1], loss[1:2]]


def test_a_line_that_is_half_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    reader = CurveReader(tmp_path)
    first, second = (json.dumps(["loss", 0.5, step, 1000]) for step in (1, 2))
    (tmp_path / CURVES).write_text(f"{first}\n{second[:7]}")
    assert [point.step for point in reader.new()] == [1]
    assert reader.new() == []
    with (tmp_path / CURVES).open("a") as file:
        file.write(f"{second[7:]}\n")
    assert [(point.step, point.value, point.time) for point in reader.new()] == [(2, 0.5, 1000)]


def test_a_line_that_a_full_disk_cut_is_passed_over(tmp_path: Path) -> None:
    first, second, third = (json.dumps(["loss", 0.5, step, 1000]) for step in (1, 2, 3))
    (tmp_path / CURVES).write_text(f"{first[:9]}{second}\n[]\n{third}\n")
    assert [point.step for point in CurveReader(tmp_path).new()] == [3]


def test_a_shorter_file_in_the_place_of_one_is_read_from_its_start(tmp_path: Path) -> None:
    reader = CurveReader(tmp_path)
    first, second = (json.dumps(["loss", 0.5, step, 1000]) for step in (1, 2))
    (tmp_path / CURVES).write_text(f"{first}\n{second}\n")
    assert [point.step for point in reader.new()] == [1, 2]
    (tmp_path / CURVES).write_text(f"{first}\n")
    assert [point.step for point in reader.new()] == [1]


def test_a_part_that_a_killed_fit_left_is_written_over(tmp_path: Path) -> None:
    """Checkpoints are large; the cell is locked, so nobody else writes there."""
    nothing: Any = None
    files = live.FitFiles(tmp_path, nothing, nothing, keeps=True)
    folder = tmp_path / live.CHECKPOINTS
    folder.mkdir()
    (folder / ".step-00003.safetensors.part").write_bytes(b"half")
    files.keep(3, {"w": np.ones(2, np.float32)})
    assert [path.name for path in folder.iterdir()] == ["step-00003.safetensors"]
