"""``vidseg.run``: plain data, logged or not, resumed, refused, done elsewhere."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest

import vidseg
from tests.helpers.suites import COUNTS, InTurn, install
from vidseg.utils.progress import Quiet

TINY: dict[str, Any] = {
    "dataset": "synthetic:videos=3,frames=8,size=64x48",
    "image_size": "32x24",
    "sampler": "successive:n=4",
    "extractor": "filters:octaves=1",
    "classifier": "quick",
    "device": "cpu",
    "threads": 1,
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)


def run(folder: Path, **more: Any) -> vidseg.RunResult:
    places = {"store": folder / "store", "ledger": folder / "ledger"}
    return vidseg.run(**{"tracking": False, "refit": False, **places, **TINY, **more})


def test_a_run_is_plain_data(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert list(done.scores) == ["syn00", "syn01", "syn02"]
    assert done.scores["syn01"]["frames"] == 8
    ious = [row["iou"] for row in done.scores.values()]
    assert done.means["iou"] == pytest.approx(sum(ious) / 3)
    assert set(done.baselines) == {"foreground", "position", "colour"}
    table = done.to_pandas()
    assert list(table["iou"]) == ious
    assert table.index.name == "video"
    assert (done.run_id, done.registered) == (None, None)


def test_a_run_is_on_several_data_sets(tmp_path: Path) -> None:
    other = {"use": "synthetic", "videos": 2, "frames": 6, "size": "64x48", "seed": 5}
    done = run(tmp_path, dataset=[TINY["dataset"], other])
    whole = done.record.dataset
    assert set(done.scores) == {
        *("synthetic/syn00", "synthetic/syn01", "syn02"),
        *("synthetic-2/syn00", "synthetic-2/syn01"),
    }
    assert [len(part.videos) for part in whole.parts] == [3, 2]
    assert whole.source == " ".join(part.source for part in whole.parts)
    assert vidseg.open_dataset([TINY["dataset"], other]).spec[1].params["seed"] == 5


def test_a_run_shows_itself_as_html(tmp_path: Path) -> None:
    done = run(tmp_path)
    done.record.per_video[0]["video"] = "<script>alert(1)</script>"
    done.record.per_video[1]["iou"] = None
    done.record.notes.append("a < b")
    page = done._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "<td>-</td>" in page
    assert "a &lt; b" in page
    assert f"<td>{100 * done.means['iou']:.1f}</td>" in page


def test_results_and_data_sets_print_in_one_short_line(tmp_path: Path) -> None:
    done = run(tmp_path)
    iou = f"{100 * done.means['iou']:.1f}"
    assert repr(done) == f"RunResult('successive:n=4 quick', iou: {iou} %, videos: 3)"
    opened = vidseg.open_dataset("synthetic:videos=3,frames=8,size=64x48", store=tmp_path / "store")
    assert repr(opened).startswith("OpenDataset('synthetic:videos=3,frames=8,size=64x48,")
    assert repr(opened).endswith(", videos: 3, groups: 3)")


def test_a_run_is_logged_and_the_callers_own_store_stays(tracking: str, tmp_path: Path) -> None:
    before = mlflow.get_tracking_uri()
    place = f"sqlite:///{tmp_path / 'other' / 'mlflow.db'}"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mlflow.db").write_bytes(
        Path(tracking.removeprefix("sqlite:///")).read_bytes()
    )
    done = run(tmp_path, tracking=True, tracking_uri=place, experiment="mine", run_name="first")
    assert mlflow.get_tracking_uri() == before == tracking
    client = mlflow.MlflowClient(place)
    logged = client.get_run(str(done.run_id))
    assert (logged.info.run_name, logged.info.status) == ("first", "FINISHED")
    assert logged.data.metrics["test/iou"] == done.means["iou"]
    folds = client.get_metric_history(str(done.run_id), "fold/iou")
    assert [(m.step, m.value) for m in folds] == [
        (fold.index, fold.metrics["iou"]) for fold in done.record.folds
    ]
    cells = {entry.path for entry in client.list_artifacts(str(done.run_id), "cells")}
    assert cells == {f"cells/{fold.key}.json" for fold in done.record.folds}


def test_the_model_of_a_logged_run_is_opened_and_predicts(tracking: str, tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    done = run(tmp_path, tracking=True, refit=True, classifier="sgd:epochs=1")
    address = f"runs:/{done.run_id}/model"
    model = vidseg.open_model(address, device="cpu", threads=1)
    image = np.zeros((48, 64, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    found = vidseg.predict(
        address, tmp_path / "a.png", output=tmp_path / "out", device="cpu", threads=1
    )
    mask = np.asarray(Image.open(found.masks / "a.png"))
    np.testing.assert_array_equal(mask > 0, model.mask(image))


class Interrupting(Quiet):
    """Progress whose user presses Ctrl-C when the first fold is scored."""

    def step(self, text: str) -> None:
        if text.startswith("cell 1"):
            raise KeyboardInterrupt


def test_an_interrupted_run_goes_on(tracking: str, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, tracking=True, progress=Interrupting())
    (stopped,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert stopped.info.status == "KILLED"
    assert COUNTS["fits"] == 1
    done = run(tmp_path)
    assert COUNTS["fits"] == 3
    assert done.scores == run(tmp_path / "whole").scores


def test_fresh_does_everything_again_and_the_served_model_too(tmp_path: Path) -> None:
    first = run(tmp_path, refit=True)
    assert COUNTS["fits"] == 4
    assert run(tmp_path, refit=True).scores == first.scores
    assert COUNTS["fits"] == 4
    again = run(tmp_path, refit=True, fresh=True)
    assert (again.scores, COUNTS["fits"]) == (first.scores, 8)


@pytest.mark.parametrize("split", ["leave-one-group-out", "k-fold:k=2", "block:k=2"])
def test_elsewhere_gives_the_same_as_here(tmp_path: Path, split: str) -> None:
    given = {"split": split, "sampler": "all", "seed": 3, "prior": None}
    here = run(tmp_path / "here", **given)
    there = run(tmp_path / "there", executor=InTurn(), **given)
    assert there.scores == here.scores
    assert [f.test_groups for f in there.record.folds] == [f.test_groups for f in here.record.folds]
    assert [f.key for f in there.record.folds] == [f.key for f in here.record.folds]


def test_the_seed_shuffles_the_folds(tmp_path: Path) -> None:
    many = {"split": "k-fold:k=2", "dataset": "synthetic:videos=5,frames=4,size=64x48"}
    folds = {
        tuple(tuple(fold.test_groups) for fold in run(tmp_path, seed=seed, **many).record.folds)
        for seed in range(4)
    }
    assert len(folds) > 1


@pytest.mark.slow
def test_processes_give_the_same_as_one(tmp_path: Path) -> None:
    given = {"classifier": "sgd:epochs=1", "split": "k-fold:k=2"}
    here = run(tmp_path / "here", **given)
    assert run(tmp_path / "there", executor="processes:n=2", **given).scores == here.scores


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"clasifier": "sgd"}, "there is no option 'clasifier'; did you mean 'classifier'?"),
        ({"exectuor": "local"}, "there is no option 'exectuor'; did you mean 'executor'?"),
        ({"image_size": "64"}, "image_size: '64' is not a size"),
        ({"seed": -1}, "seed: -1 is refused"),
        ({"store_limit": "20"}, "--store-limit: '20' has no unit"),
        ({"register": "walkers"}, "register with tracking=False"),
        ({"executor": "procesess"}, "did you mean 'processes'?"),
    ],
)
def test_what_is_refused_before_anything_starts(
    tmp_path: Path, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(vidseg.UsageError) as refused:
        run(tmp_path, **given)
    assert said in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_the_error_of_a_fold_is_raised_as_it_is_and_the_others_are_kept(
    tracking: str, tmp_path: Path
) -> None:
    with pytest.raises(vidseg.PluginError, match="this fit fails on purpose"):
        run(tmp_path, tracking=True, classifier="quick:trouble=fail,videos=syn00")
    (failed,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert failed.info.status == "FAILED"
    assert "this fit fails" in failed.data.tags["vidseg.error"]
    assert failed.data.metrics["fold/iou"] > 0, "of the fold that does not train on syn00"
    assert len(list((tmp_path / "ledger").rglob("score-*.json"))) == 1


def test_a_sampler_that_refuses_ends_the_run_before_any_fit(tmp_path: Path) -> None:
    with pytest.raises(vidseg.DataError, match="needs 20 frames"):
        run(tmp_path, sampler=20)
    assert COUNTS["fits"] == 0


def test_progress_is_what_was_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path)
    assert capsys.readouterr() == ("", "")

    class Lines(Quiet):
        def __init__(self) -> None:
            self.said: list[str] = []

        @contextlib.contextmanager
        def task(self, description: str, total: float | None) -> Iterator[Any]:
            self.said.append(description)
            yield self

        def say(self, text: str) -> None:
            self.said.append(text)

    lines = Lines()
    run(tmp_path, progress=lines)
    assert any("3 of 3 cells are in the ledger" in line for line in lines.said)
    run(tmp_path, progress=True)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "3 of 3 cells are in the ledger" in printed.err


def test_a_configuration_file_repeats_a_run(tmp_path: Path) -> None:
    import yaml

    done = run(tmp_path, seed=2)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(done.record.config))
    again = vidseg.run(
        config=tmp_path / "config.yaml",
        tracking=False,
        store=tmp_path / "store",
        ledger=tmp_path / "ledger",
    )
    assert again.scores == done.scores
    assert COUNTS["fits"] == 3


def test_undefined_scores_are_none(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert not any(
        isinstance(value, float) and math.isnan(value)
        for row in done.scores.values()
        for value in row.values()
    )


def test_data_sets_and_plugins() -> None:
    opened = vidseg.open_dataset(TINY["dataset"])
    assert [video.name for video in opened.videos] == ["syn00", "syn01", "syn02"]
    assert opened.groups["syn01"] == "syn01"
    assert {"mot", "masks"} <= {plugin.name for plugin in vidseg.list_plugins("dataset")}
    assert {plugin.kind for plugin in vidseg.list_plugins()} >= {"sampler", "classifier"}
    with pytest.raises(vidseg.UsageError, match="did you mean 'sampler'"):
        vidseg.list_plugins("smpler")
