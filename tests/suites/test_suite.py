"""Suite files: what is shipped loads, what is wrong is named with file, line and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from vidseg.errors import UsageError, VidsegError
from vidseg.suites.cells import expand
from vidseg.suites.overrides import override, parse_overrides
from vidseg.suites.suite import Suite, find_suite, load_suite, make_suite, shipped

BASE = """\
name: mine
question: does it work?
dataset: synthetic:videos=3,frames=8,size=64x48
image_size: 64x48
device: cpu
threads: 1
pipelines:
  a: {extractor: filters, classifier: sgd}
  b:
    extractor: filters
    classifier: sgd:epochs=2
arms:
  1: {sampler: 1}
  "20":
    sampler: successive:n=4
    pipelines: [a]
  "{n} of {every}":
    sampler: "window:n={n},every={every},short=all"
    videos: 2
    matrix: {n: [1, 2], every: [1, 0.5e1]}
comparisons:
  - {a: 1, b: 20}
  - {a: 1, b: 2 of 1, question: more}
"""
GROUPS = {"a": "a", "b": "b", "c": "c"}


def write(folder: Path, text: str = BASE) -> str:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def cells(suite: Suite) -> list[tuple[Any, ...]]:
    made = expand(suite, GROUPS)
    return [(c.id, c.setting, c.fold, c.arm.axes, suite.pipelines[c.pipeline]) for c in made]


@pytest.mark.parametrize("name", sorted(shipped()))
def test_shipped_suites_load_on_any_data(name: str) -> None:
    suite = load_suite(
        name,
        {"dataset": "synthetic:videos=4", "pipelines.*.extractor": "filters", "device": "cpu"},
    )
    assert suite.name == name
    assert suite.file.question.endswith("?")
    assert suite.comparisons
    text = find_suite(name).read_text(encoding="utf-8")
    assert text.startswith("#"), "documented in its own file"
    assert f"vidseg suite {name}" in text or name == "quickstart"


def test_a_suite_is_what_its_file_says(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path))
    assert [arm.name for arm in suite.arms] == [
        *("1", "20", "1 of 1", "1 of 5.0", "2 of 1", "2 of 5.0")
    ]
    assert suite.arms[3].axes == {"n": 1, "every": 5.0}
    assert str(suite.arms[4].sampler) == "window:n=2,every=1,short=all"
    assert [arm.videos for arm in suite.arms] == [None, None, 2, 2, 2, 2]
    names = [(arm.name, pipeline) for arm, pipeline in suite.settings]
    assert ("20", "a") in names
    assert ("20", "b") not in names
    assert suite.comparisons == (("1", "20", ""), ("1", "2 of 1", "more"))


@pytest.mark.parametrize(
    "given", ["mot:A synthetic:videos=2", ["mot:A", {"use": "synthetic", "videos": 2}]]
)
def test_a_suite_may_have_several_data_sets(tmp_path: Path, given: Any) -> None:
    suite = load_suite(write(tmp_path), {"dataset": given, "device": "cpu", "threads": 1})
    config = next(iter(suite.pipelines.values()))
    assert [spec.name for spec in config.dataset] == ["mot", "synthetic"]
    mapping = suite.mapping()
    assert [one["use"] for one in mapping["dataset"]] == ["mot", "synthetic"]
    assert make_suite(mapping).mapping() == mapping
    with pytest.raises(UsageError, match=r"dataset.*no dataset 'mott'"):
        load_suite(write(tmp_path), {"dataset": ["mot:A", "mott:B"]})


@pytest.mark.parametrize("name", [*sorted(shipped()), "mine"])
def test_the_resolved_suite_as_a_file_gives_the_same_cells(tmp_path: Path, name: str) -> None:
    path = write(tmp_path) if name == "mine" else name
    changes = {"dataset": "synthetic:videos=4", "pipelines.*.extractor": "filters"}
    suite = load_suite(path, {**changes, "device": "cpu", "threads": 1})
    written = tmp_path / "resolved.yaml"
    written.write_text(yaml.safe_dump(suite.mapping(), sort_keys=False), encoding="utf-8")
    again = load_suite(str(written))
    assert cells(again) == cells(suite)
    assert again.comparisons == suite.comparisons
    assert again.mapping() == suite.mapping()
    assert cells(make_suite(suite.mapping())) == cells(suite)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("question:", "qestion:", r"mine.yaml:2 qestion: there is no key 'qestion'; did you mean"),
        ("name: mine\n", "", "mine.yaml name: is missing"),
        ("name: mine", "name: a/b", "mine.yaml:1 name: 'a/b' is refused"),
        (
            "question: does",
            "delta: 2\nquestion: does",
            "yaml:2 delta: 2 is refused: .*0.01 is",
        ),
        ("question: does", "level: 95\nquestion: does", "yaml:2 level: 95 is refused: .*0.95 is"),
        ("question: does", "seeds: 0\nquestion: does", "yaml:2 seeds: 0 is refused: .*1 to 1000"),
        ("question: does", "seeds: [0, 0]\nquestion: does", "mine.yaml:2 seeds.*0 stands twice"),
        ("question: does", "seeds: [0, x]\nquestion: does", r"mine.yaml:2 seeds.1: 'x' is refused"),
        ("question: does", "primary: jou\nquestion: does", "mine.yaml:2 primary: 'jou' is refused"),
        ("threads: 1", "threads: 0", "mine.yaml:6 threads: 0 is refused"),
        ("image_size: 64x48", "image_size: 64*48", "mine.yaml:4 image_size"),
        ("synthetic:videos=3", "synthetic:vids=3", "mine.yaml:3 dataset.*did you mean 'videos'"),
        (
            "synthetic:videos=3",
            "synthtic:videos=3",
            "mine.yaml:3 dataset.*did you mean 'synthetic'",
        ),
        (
            "classifier: sgd:epochs=2",
            "classifier: sdg",
            ":11 pipelines.b.classifier: .*sgd",
        ),
        ("classifier: sgd:epochs=2", "clasifier: sdg", ":11 pipelines.b.clasifier: .*did"),
        (
            "extractor: filters\n",
            "extractor: filter\n",
            ":10 pipelines.b.extractor: .*did",
        ),
        (
            "sampler: successive:n=4",
            "sampler: successive:n=0",
            ":15 arms.20.sampler: .*n=0",
        ),
        ("    sampler: successive:n=4\n", "", "mine.yaml:14 arms.20.sampler: is missing"),
        ("pipelines: [a]", "pipelines: [c]", "mine.yaml:16 arms.20.pipelines: .*'c'.*are a, b"),
        ("pipelines: [a]", "pipelines: []", "mine.yaml:16 arms.20.pipelines"),
        ("pipelines: [a]", "split: k-fold:k=1", "mine.yaml:16 arms.20.split: k=1"),
        ("pipelines: [a]", "videos: none", "mine.yaml:16 arms.20.videos: 'none' is refused"),
        ("every={every}", "every={step}", "mine.yaml:18 arms.*sampler: .*'step'.*has n, every"),
        ("every={every}", "every={every.x}", "mine.yaml:18 arms.*sampler: .*has n, every"),
        ("every={every}", "every={n[0]}", "mine.yaml:18 arms.*sampler: .*has n, every"),
        ("{n} of {every}", "{n} of", "mine.yaml:12 arms: two arms are named '1 of'.*axes"),
        ("{n} of {every}", "{n}", "mine.yaml:12 arms: two arms are named '1'"),
        ("every: [1, 0.5e1]", "every: []", "mine.yaml:20 arms.*matrix.every"),
        ("b: 2 of 1", "b: 2 of 11", "mine.yaml:23 comparisons.1.b: .*did you mean '2 of 1'"),
        ("b: 20}", "b: 1}", "mine.yaml:22 comparisons.0: compares '1' with itself"),
        (
            "b: 2 of 1",
            "b: 20",
            "yaml:23 comparisons.1: compares '1' and '20', as comp.*0 d",
        ),
        (
            "{a: 1, b: 2 of 1",
            "{a: 20, b: 1",
            "yaml:23 comparisons.1: compares '20' and '1', as",
        ),
        ("b: 20}", "c: 20}", "mine.yaml:22 comparisons.0"),
        ("{sampler: 1}", "{sampler: 1, pipelines: [b]}", "comparisons.0: no pipeline runs both"),
        ("b: 20}", "b: 200, lead: true}", "comparisons.0.b: there is no arm '200'"),
        ('"20":', "1:", "mine.yaml:14:3: the key '1' stands twice"),
        ("arms:", "arms: [", "mine.yaml:14:3: "),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert BASE.count(old) >= 1
    place = BASE.rindex(old) if old == "b: 20}" else BASE.index(old)
    text = BASE[:place] + new + BASE[place + len(old) :]
    with pytest.raises(UsageError, match=expected) as caught:
        load_suite(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_one_comparison_leads_on_a_pipeline_that_counts(tmp_path: Path) -> None:
    lead = BASE.replace("{a: 1, b: 20}", "{a: 1, b: 20, lead: true}")
    suite = load_suite(write(tmp_path, lead))
    assert suite.lead == ("1", "20", "a")
    assert make_suite(suite.mapping()).lead == suite.lead
    assert [row.get("lead") for row in suite.mapping()["comparisons"]] == [True, None]
    check = "a: {extractor: filters, classifier: sgd, sensitivity: true}"
    only = lead.replace("a: {extractor: filters, classifier: sgd}", check)
    with pytest.raises(UsageError, match=r"yaml:22 comparisons.0: .*with sensitivity pipelines on"):
        load_suite(write(tmp_path, only))
    twice = lead.replace("question: more}", "question: more, lead: true}")
    with pytest.raises(UsageError, match="one comparison at most is the lead"):
        load_suite(write(tmp_path, twice))
    suite = load_suite(write(tmp_path, only.replace(", lead: true", "")))
    assert suite.sensitivity == {"a"}
    assert make_suite(suite.mapping()).sensitivity == {"a"}
    paper = load_suite("paper", {"dataset": "synthetic:videos=4"})
    assert paper.lead == ("1by20", "400", "svm")


def test_svm_and_sgd_of_the_paper_minimise_one_objective() -> None:
    paper = load_suite("paper", {"dataset": "synthetic:videos=4"})
    svm, sgd = (paper.pipelines[name].classifier.params for name in ("svm", "sgd"))
    for name in ("loss", "C", "C_mode", "bias", "positive_weight", "standardise", "sigma_floor"):
        assert svm[name] == sgd[name], name
    assert paper.tunings["svm"].parameter == "C"
    assert paper.tunings["sgd"] == paper.tunings["svm"]
    arms, copied = {arm.name: arm for arm in paper.arms}, {"1x20": "1", "20x20": "1by20"}
    for name, arm in arms.items():
        for seed in paper.seeds(arm):
            follow = paper.setting(arm, "sgd", seed).follow
            assert follow is not None, "C is that of svm"
            assert follow.setting == paper.setting(arms[copied.get(name, name)], "svm", 0)


def test_samplers_that_need_labels_are_oracles() -> None:
    suite = load_suite("selectors")
    assert [arm.name for arm in suite.arms if arm.oracle] == ["foreground"]
    assert suite.mapping()["arms"]["foreground"]["oracle"] is True
    assert "oracle" not in suite.mapping()["arms"]["random"]
    noised = {"sampler": "noised:base=[foreground-random:n=2],copies=2"}
    data = {**suite.mapping(), "arms": {"a": noised}, "comparisons": []}
    assert make_suite(data).arms[0].oracle


def test_settings_of_one_name(tmp_path: Path) -> None:
    text = BASE.replace("  a: {extractor", "  x y: {extractor").replace("[a]", "[x y]")
    text = text.replace("  b:\n", "  y:\n").replace("  1: {", "  1 x: {sampler: 1}\n  1: {")
    with pytest.raises(UsageError, match=r"named '1 x y'.*rename the arm or the pipeline"):
        load_suite(write(tmp_path, text))


@pytest.mark.parametrize("name", ["pape", "no.yaml", "."])
def test_a_suite_that_is_not_there(name: str) -> None:
    with pytest.raises(UsageError, match=r"there is no suite and no YAML file.*paper"):
        load_suite(name)


@pytest.mark.parametrize("content", [b"- 1\n", b"\xff\xfe", b"", b"a: b: c\n"])
def test_files_that_hold_no_suite(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"suite.*odd.yaml"):
        load_suite(str(path))


@pytest.mark.parametrize("content", ["", "- 1\n"])
def test_an_empty_suite_says_where_to_start(tmp_path: Path, content: str) -> None:
    with pytest.raises(UsageError, match="a mapping; start from `vidseg suite show quickstart`"):
        load_suite(write(tmp_path, content))


@pytest.mark.parametrize(
    ("item", "value"),
    [
        ("delta=0.02", 0.02),
        ("seeds=[0, 1,2]", [0, 1, 2]),
        ("seeds=[]", []),
        ("arms.20.sampler=20:short=all", "20:short=all"),
        ("arms.20.sampler=noised:base=[successive:n=2]", "noised:base=[successive:n=2]"),
        ("split=null", None),
        ("name='5'", "5"),
    ],
)
def test_values_of_set(item: str, value: Any) -> None:
    assert parse_overrides([item]) == {item.partition("=")[0]: value}


@pytest.mark.parametrize("item", ["delta", "=1", "  =1"])
def test_set_without_a_key_or_a_value(item: str) -> None:
    with pytest.raises(UsageError, match=r"--set: .*is not key=value"):
        parse_overrides([item])


@pytest.mark.parametrize(
    ("path", "places"),
    [
        ("x", ["x"]),
        ("arms.a.n", ["arms.a.n"]),
        ("arms.*.n", ["arms.a.n", "arms.a.b.n", "arms.{q} every {r}.n", "arms.0.5.n", "arms.7.n"]),
        ("arms.a.b.n", ["arms.a.b.n"]),
        ("arms.0.5.n", ["arms.0.5.n"]),
        ("arms.{q} every {r}.n", ["arms.{q} every {r}.n"]),
        ("arms.7.new", ["arms.7.new"]),
        ("arms.a.b", ["arms.a.b"]),
        ("*.a", ["arms.a"]),
    ],
)
def test_set_paths(path: str, places: list[str]) -> None:
    arms = {name: {"n": 0} for name in ("a", "a.b", "{q} every {r}", "0.5")}
    data: dict[str, Any] = {"arms": {**arms, 7: {"n": 0}}}
    assert override(data, path, "new") == places
    flat = {f"arms.{n}.{k}": v for n, arm in data["arms"].items() if isinstance(arm, dict)
            for k, v in arm.items()}  # fmt: skip
    changed = [place for place, value in flat.items() if value == "new"]
    if path in ("x", "arms.a.b", "*.a"):
        whole = {"x": data, "arms.a.b": data["arms"], "*.a": data["arms"]}[path]
        assert whole[path if path == "x" else path.split(".", 1)[1]] == "new"
    else:
        assert changed == places


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("arm.20.sampler", "there is no 'arm'.*did you mean 'arms'"),
        ("arms.21.sampler", "there is no '21'.*did you mean.*1"),
        ("pipelines.a.classifier.C", "leads through 'classifier', which is 'sgd'.*as a whole"),
        ("dataset.videos", "leads through 'dataset'"),
    ],
)
def test_set_paths_that_lead_nowhere(tmp_path: Path, path: str, expected: str) -> None:
    with pytest.raises(UsageError, match=f"--set: .*{expected}"):
        load_suite(write(tmp_path), {path: 1})


def test_a_wrong_value_of_the_command_line_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    path = write(tmp_path)
    with pytest.raises(UsageError, match=r"^delta, as the command line has it: 7 is refused"):
        load_suite(path, {"delta": 7})
    with pytest.raises(UsageError, match=r"^pipelines.a.classifier, as the command line has it"):
        load_suite(path, {"pipelines.*.classifier": "sdg"})


def test_a_number_of_seeds_counts_from_0(tmp_path: Path) -> None:
    assert load_suite(write(tmp_path), {"seeds": 3}).mapping()["seeds"] == [0, 1, 2]
    assert load_suite(write(tmp_path), {"seeds": [3]}).mapping()["seeds"] == [3]


@pytest.mark.parametrize(
    ("name", "lead"),
    [("leakage", ("group", "frame", "svm")), ("labels", ("key frames", "mended", "svm"))],
)
def test_the_comparison_that_answers_the_question_leads(
    name: str, lead: tuple[str, str, str]
) -> None:
    assert load_suite(name, {"dataset": "synthetic:videos=4"}).lead == lead


def test_changes_reach_the_cells(tmp_path: Path) -> None:
    changes = {
        "pipelines.*.classifier": "sgd:C=5",
        "arms.{n} of {every}.matrix.n": [3],
        "comparisons": [],
        "seeds": [4, 7],
        "arms.20.sampler": "20:short=all",
        "epochs": 2,
    }
    suite = load_suite(write(tmp_path), changes)
    assert [arm.name for arm in suite.arms] == ["1", "20", "3 of 1", "3 of 5.0"]
    assert {c.classifier.params["C"] for c in suite.pipelines.values()} == {5.0}
    assert {cell.seed for cell in expand(suite, GROUPS)} == {4, 7}
    assert suite.setting(suite.arms[0], "a", 4).budget.base == 2


LABELS = """\
train_labels: boxes
prior: 0.2
arms:
  boxes: {sampler: 1}
  truth: {sampler: 1, train_labels: truth, prior: none}
  "{rule}": {sampler: 1, refine: "{rule}", matrix: {rule: [ellipse, grabcut]}}
  "{share}": {sampler: 1, prior: "{share}", matrix: {share: [0.1, 0.5]}}
comparisons:
  - {a: boxes, b: grabcut}
"""


def with_labels(folder: Path, change: tuple[str, str] = ("", "")) -> str:
    head = BASE[: BASE.index("arms:")]
    return write(folder, head + LABELS.replace(*change))


class TestLabelsOfArms:
    def test_arms_have_the_suites_unless_they_say_otherwise(self, tmp_path: Path) -> None:
        suite = load_suite(with_labels(tmp_path))
        found = {
            arm.name: (arm.labelling.source.name, arm.labelling.refine, arm.labelling.prior)
            for arm in suite.arms
        }
        assert found == {
            "boxes": ("boxes", "box", 0.2),
            "truth": ("truth", "box", None),
            "ellipse": ("boxes", "ellipse", 0.2),
            "grabcut": ("boxes", "grabcut", 0.2),
            "0.1": ("boxes", "box", 0.1),
            "0.5": ("boxes", "box", 0.5),
        }
        for arm, pipeline in suite.settings:
            assert suite.setting(arm, pipeline, 0).labelling == arm.labelling

    def test_the_resolved_suite_repeats_it(self, tmp_path: Path) -> None:
        suite = load_suite(with_labels(tmp_path))
        again = make_suite(yaml.safe_load(yaml.safe_dump(suite.mapping(), sort_keys=False)))
        assert cells(again) == cells(suite)
        assert [arm.labelling for arm in again.arms] == [arm.labelling for arm in suite.arms]

    def test_the_command_line_changes_them(self, tmp_path: Path) -> None:
        path = with_labels(tmp_path)
        suite = load_suite(path, {"train_labels": "truth", "arms.boxes.refine": "ellipse"})
        boxes = next(arm for arm in suite.arms if arm.name == "boxes")
        assert (boxes.labelling.source.name, boxes.labelling.refine) == ("truth", "ellipse")
        assert load_suite(path, {"threshold": "inner"}).pipelines["a"].threshold == "inner"

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (("train_labels: truth", "train_labels: trut"), r"yaml:16 arms\.truth\.train_labels"),
            (
                ("[ellipse, grabcut]", "[cube, grabcut]"),
                r"yaml:17 .*'cube' is refused; refine is box, el",
            ),
            (("[0.1, 0.5]", "[0.1, 5]"), r"yaml:18 .*prior.*5 is refused; prior is a share"),
            (("prior: 0.2", "prior: 2"), r"yaml:13 prior.*prior is a share"),
            (("refine:", "refined:"), r"no key 'refined'; did you mean 'refine'"),
        ],
    )
    def test_what_is_wrong_is_named(
        self, tmp_path: Path, change: tuple[str, str], message: str
    ) -> None:
        with pytest.raises(VidsegError, match=message):
            load_suite(with_labels(tmp_path, change))

    def test_a_weight_and_a_prior_are_refused(self, tmp_path: Path) -> None:
        weighted = {"pipelines.a.classifier": "sgd:positive_weight=3"}
        with pytest.raises(UsageError, match=r"positive_weight is given"):
            load_suite(with_labels(tmp_path), weighted)
