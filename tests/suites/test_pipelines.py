"""Which pipelines of its file a suite runs: all that are not optional, or those that are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.helpers.suites import Place, install, mapping
from vidseg.cli.plan_lines import show_plan
from vidseg.errors import DataError, UsageError
from vidseg.suites.suite import Suite, load_suite, make_suite

DATA = {"dataset": "synthetic:videos=4", "device": "cpu", "threads": 1}
NETWORKS = ["vgg", "unet", "deep_unet"]


def paper(*pipelines: str, **changes: Any) -> Suite:
    return load_suite("paper", {**DATA, **changes}, pipelines)


def names(suite: Suite) -> list[str]:
    return [f"{arm.name} {pipeline}" for arm, pipeline in suite.settings]


def test_the_papers_networks_run_only_where_they_are_named() -> None:
    plain = paper()
    assert list(plain.pipelines) == ["svm", "literal", "sgd"]
    assert plain.not_run == (*NETWORKS,)
    assert len(plain.comparisons) == 7
    unet = paper("unet")
    assert names(unet) == ["1 unet", "20 unet", "400 unet"]
    assert [pair[:2] for pair in unet.comparisons] == [("1", "20")]
    both = paper("deep_unet", "svm")
    assert list(both.pipelines) == ["svm", "deep_unet"], "in the file's order"
    assert names(both) == ["1 svm", "20 svm", "1by20 svm", "400 svm"] + [
        f"{arm} deep_unet" for arm in ("1", "20", "400")
    ]


def test_a_chosen_pipeline_is_like_any_other_in_the_resolved_suite() -> None:
    suite = paper("vgg")
    again = make_suite(suite.mapping())
    assert again.mapping() == suite.mapping()
    assert names(again) == names(suite)
    assert again.not_run == ()
    every = paper("svm", "literal", "sgd").mapping()
    assert every == paper().mapping(), "the same run, the same cells"


def test_checks_that_run_alone_carry_the_verdicts() -> None:
    assert paper().sensitivity == {"literal", "sgd"}
    assert paper("svm", "unet").sensitivity == {"unet"}
    assert paper("svm", "unet").lead == ("1by20", "400", "svm")
    for alone in (["literal"], ["vgg", "unet"]):
        suite = paper(*alone)
        assert suite.sensitivity == set()
        assert make_suite(suite.mapping()).mapping() == suite.mapping()
    assert paper("literal").lead == ("1by20", "400", "literal")
    assert paper("unet").lead is None


@pytest.mark.parametrize("name", ["gain-curve", "iso-budget", "selectors", "leakage"])
def test_every_other_suite_takes_a_network(name: str) -> None:
    suite = load_suite(name, {**DATA, "pipelines.*.classifier": "unet"})
    assert {config.classifier.name for config in suite.pipelines.values()} == {"unet"}
    assert suite.settings


def test_names_are_exact() -> None:
    with pytest.raises(
        UsageError, match=r"--pipeline: there is no pipeline 'une'; did you mean 'u"
    ):
        paper("une")


def of(*edges: tuple[str, str | None, bool]) -> dict[str, Any]:
    """Return pipelines of (name, what it starts from, whether it is optional)."""
    common = {"extractor": "filters:octaves=1", "classifier": "pixel_svm"}
    return {
        name: {**common, "init_from": before, "optional": optional}
        for name, before, optional in edges
    }


def test_what_a_pipeline_starts_from_goes_along() -> None:
    chain = of(("a", "b", False), ("b", "c", True), ("c", None, True), ("d", None, True))
    suite = make_suite(mapping(pipelines=chain))
    assert list(suite.pipelines) == ["a", "b", "c"]
    assert suite.starts == {"a": "b", "b": "c"}
    assert suite.not_run == ("d",)


def test_a_suite_of_optional_pipelines_wants_one_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"all pipelines of the suite tiny .*--pipeline a$"):
        make_suite(mapping(pipelines=of(("a", None, True), ("b", None, True))))


def test_an_arm_has_to_run_what_is_named() -> None:
    pipelines = of(("a", None, False), ("b", None, True))
    arms = {"one": {"sampler": 1, "pipelines": ["a"]}, "two": {"sampler": 1, "pipelines": ["a"]}}
    suite = make_suite(mapping(pipelines=pipelines, arms=arms, comparisons=[]))
    with pytest.raises(UsageError, match="--pipeline: no arm runs b"):
        suite.restricted(["b"])


def test_the_plan_says_what_is_left_out_and_what_networks_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch)
    place = Place(tmp_path)
    pipelines = {
        "net": {"extractor": "timm:model=test_resnet,weights=random", "classifier": "vgg:epochs=2"},
        "more": {"extractor": "filters:octaves=1", "classifier": "quick", "optional": True},
    }
    bench = place.bench(
        pipelines=pipelines,
        arms={"two": {"sampler": "successive:n=2"}},
        comparisons=[],
        split="fixed:test=syn00",
    )
    show_plan(bench, bench.cells, fresh=False)
    said = capsys.readouterr().out
    assert "pipelines that are left out: more; --pipeline NAME runs one" in said
    results, plan = place.run(bench)
    assert (
        f"networks are trained on {plan['images_trained']} images, repeats counted, and score 8"
        in said
    )
    (found,) = results.finished.values()
    assert plan["images_trained"] == found.facts["frames_seen"] == 2 * 2 * 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"x": torch.ones(1)}, "the weights are of another architecture: layers .* missing"),
        (b"version https://git-lfs.github.com/spec/v1", "is a pointer of Git LFS"),
        (b"cut", "not a readable weights file"),
        (None, "no such weights file"),
    ],
)
def test_wrong_weights_of_any_pipeline_are_refused_before_the_data_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: Any, said: str
) -> None:
    install(monkeypatch)
    file = tmp_path / "w.safetensors"
    if isinstance(content, dict):
        save_file(content, file)
    elif content is not None:
        file.write_bytes(content)
    wrong = {
        "q": {"extractor": "filters:octaves=1", "classifier": "quick"},
        "wrong": {"extractor": f"timm:model=test_efficientnet,weights={file}", "classifier": "fcn"},
    }
    with pytest.raises(DataError, match=f"w.safetensors: {said}"):
        Place(tmp_path).bench(pipelines=wrong, dataset="masks:absent")
