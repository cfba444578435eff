"""What a report writes: HTML, Markdown, LaTeX, JSON, lists of frames; names that bite."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from tests.helpers import reports
from vidseg.errors import StoreError, UsageError
from vidseg.experiment.records import SuiteRecord
from vidseg.report import build, latex, markdown, write_report
from vidseg.report.agreement import with_disagreements
from vidseg.report.charts import nice_ticks
from vidseg.report.closing import ranges
from vidseg.report.document import Table
from vidseg.report.facts import Report
from vidseg.report.frames import TAG, cvat_xml, unique_names
from vidseg.report.html import marked, to_html
from vidseg.report.pages import make_page
from vidseg.report.wording import between, data_name, sentence_case
from vidseg.report.write import short
from vidseg.stats import Interval

EVIL = ["<script>alert(1)</script>", "a&b | c_d %", "x`y*z~\\{}", "quote\"'", "日本", "[x]"]
VOID = {"meta", "link", "br", "hr", "img"}


class Outline(HTMLParser):
    """Checks that tags nest, and gathers what a page holds."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def evil() -> SuiteRecord:
    record = reports.paper(EVIL, undefined=[EVIL[1]])
    record.question = "Is <b>this</b> & that | safe?"
    record.settings[2] = reports.setting(
        "1by20",
        "pixel_svm",
        EVIL,
        lambda *_: 0.5,
        failures=[{"cell": "1by20/0", "error": "<img src=x onerror=alert(1)> | 5 % & $x$"}],
    )
    record.notes.append("note with </style><script>")
    return record


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_report([evil(), reports.gain_curve(EVIL)], tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(written: dict[str, Path]) -> Outline:
    outline = Outline()
    outline.feed(written["html"].read_text("utf-8"))
    assert not outline.open
    return outline


def test_html_is_one_safe_file(page: Outline, written: dict[str, Path]) -> None:
    names = [tag for tag, _ in page.tags]
    assert "script" not in names
    assert "img" not in names
    for tag, attributes in page.tags:
        assert not any(key.startswith("on") for key in attributes), tag
        assert tag not in ("link", "iframe", "object")
        href = attributes.get("href")
        assert href is None or href.startswith("#")
    text = written["html"].read_text("utf-8")
    assert "url(" not in text
    assert "@import" not in text
    assert EVIL[0] in "".join(page.text)


def test_html_is_accessible(page: Outline) -> None:
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.tags:
        if tag == "th":
            assert attributes.get("scope") in ("col", "row", "colgroup")
        if tag == "a":
            assert str(attributes["href"])[1:] in ids
        if tag == "svg":
            assert attributes["role"] == "img"
    names = [tag for tag, _ in page.tags]
    assert names.count("svg") == sum(
        names[i + 1] == "title" for i, name in enumerate(names) if name == "svg"
    )
    assert names.count("caption") == names.count("table")
    assert ("html", {"lang": "en"}) in page.tags


def test_svg_is_well_formed_and_inside_its_frame() -> None:
    for record in (evil(), reports.gain_curve(EVIL), reports.iso_budget(EVIL)):
        for section in make_page(build(record), "s").sections:
            for block in section.blocks:
                if block.kind != "figure":
                    continue
                root = ElementTree.fromstring(block.svg)
                wide, high = (float(v) for v in root.attrib["viewBox"].split()[2:])
                for node in root.iter():
                    for key, most in (("x", wide), ("cx", wide), ("y", high), ("cy", high)):
                        assert -1 <= float(node.get(key, 0)) <= most + 1


def test_markdown_tables_keep_their_columns(written: dict[str, Path]) -> None:
    lines = written["markdown"].read_text("utf-8").splitlines()
    width = 0
    for line in lines:
        if not line.startswith("|"):
            width = 0
            continue
        cells = len(re.findall(r"(?<!\\)\|", line))
        assert width in (0, cells)
        width = cells
    text = "\n".join(lines)
    assert "<script>" not in re.sub(r"```.*?```", "", text, flags=re.S)
    assert markdown.escaped("a|b\n# <c>") == r"a\|b \# \<c\>"


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("try `--prior` on SBI_Board.", "<p>try <code>--prior</code> on SBI_Board.</p>"),
        ("a `b", "<p>a `b</p>"),
        ("_a_ __b__ a_ _ c__d_e", "<p>_a_ __b__ a_ _ c__d_e</p>"),
        ("`<i>` and <i>", "<p><code>&lt;i&gt;</code> and &lt;i&gt;</p>"),
    ],
)
def test_markdown_is_rendered_as_it_was_said(text: str, html: str) -> None:
    assert MarkdownIt().render(markdown.escaped(text)).strip() == html
    # a bar would end the cell of a table
    assert "`" not in markdown.escaped("`a|b`")
    assert markdown.escaped("SBI_Board") == "SBI_Board"


def test_html_and_latex_set_code_as_code() -> None:
    said = "with '400': `--threshold a_b` or <i>, a -- b \N{EN DASH}"
    assert marked(said) == (
        "with &#39;400&#39;: <code>--threshold a_b</code> or &lt;i&gt;, a -- b \N{EN DASH}"
    )
    assert latex.escaped(said) == (
        r"with `400': \texttt{-{}-threshold a\_b} or \textless{}i\textgreater{}, a -{}- b --"
    )
    assert latex.escaped("the paper's 'a' ` b") == r"the paper's `a' \`{} b"


def test_a_pipeline_is_told_in_words(tmp_path: Path) -> None:
    svm = {"extractor": {"use": "timm"}, "classifier": {"use": "pixel_svm", "C": 1}}
    choosing = {"tune": {"C": [0.1, 1]}, "path": {"C": [1, 100]}, "sensitivity": True}
    record = evil()
    record.config["pipelines"] = {
        "svm": svm | choosing,
        "sgd": {"extractor": {"use": "filters"}, "classifier": {"use": "sgd"}, "tune_from": "svm"},
    }
    told = write_report([record], tmp_path)["markdown"].read_text("utf-8")
    both = "chooses C of 0.1, 1; compared at C of 1, 100 too."
    assert f"- Pipeline svm: timm, then pixel_svm (C=1); {both}" in told
    assert "- Pipeline sgd: filters, then sgd; takes what svm chose." in told


def test_latex_is_balanced_and_escaped(written: dict[str, Path]) -> None:
    text = written["latex"].read_text("utf-8")
    assert text.count(r"\begin{") == text.count(r"\end{")
    assert latex.escaped("a_b % & # $ ~ ^ \\ {x}") == (
        r"a\_b \% \& \# \$ \textasciitilde{} \textasciicircum{} \textbackslash{} \{x\}"
    )
    for block in re.findall(r"\\begin\{tabular\}\{(.*)\}\n([\s\S]*?)\\end\{tabular\}", text):
        columns = len(re.sub(r"p\{[^}]*\}+", "p", block[0]))
        for line in block[1].splitlines():
            if line.endswith(r"\\"):
                spans = [int(n) for n in re.findall(r"\\multicolumn\{(\d+)\}", line)]
                cells = len(re.findall(r"(?<!\\)&", line)) + 1
                assert cells + sum(n - 1 for n in spans) == columns
    assert not re.search(r"\\\\\s*\n\s*[\[*]", text)


def test_json_holds_the_sentences(written: dict[str, Path]) -> None:
    data = json.loads(written["json"].read_text("utf-8"))
    first, second = data["reports"]
    assert first["sentence"] == build(evil()).sentence
    assert second["curves"][0]["counts"] == [1, 2, 5, 10, 20, 50, 100]


def test_frames_lists_are_exact(written: dict[str, Path]) -> None:
    with written["frames"].open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    mine = [int(r["frame"]) for r in rows if r["setting"] == "1by20 sgd" and r["video"] == EVIL[0]]
    assert mine == list(range(0, 400, 20))
    assert {int(r["frame_from_1"]) - int(r["frame"]) for r in rows} == {1}
    files = sorted(written["cvat"].rglob("*.xml"))
    assert len(files) == len(EVIL), "the one suite that showed something"
    assert {r["suite"] for r in rows if r["advised"] == "yes"} == {"gain-curve"}
    assert all(path.resolve().is_relative_to(written["cvat"].resolve()) for path in files)


def test_the_terminal_names_groups_that_are_left_out() -> None:
    said = short(build(reports.paper(["a", "b", "c"], undefined=["b"])))
    assert "  Group b, undefined in both arms: left out of 8 comparisons" in said.splitlines()
    assert "left out" not in short(build(reports.paper(["a", "b"])))


def test_two_reports_of_one_name_keep_their_lists_apart(tmp_path: Path) -> None:
    records = [reports.paper(list("abcdefgh")), reports.paper(list("ijklmnop"))]
    files = write_report(records, tmp_path)["cvat"].rglob("*.xml")
    found = sorted((path.parent.name, path.name) for path in files)
    assert [name for _, name in found] == [f"{letter}.xml" for letter in "abcdefghijklmnop"]
    assert found[0][0] == found[7][0] != found[8][0]


def test_lists_of_an_earlier_report_are_removed_and_nothing_else(tmp_path: Path) -> None:
    write_report([reports.paper(list("abcdefgh"))], tmp_path)
    (mine,) = (tmp_path / "cvat").iterdir()
    (mine / "z.xml").write_text("of the user")
    (tmp_path / "videos").mkdir()
    data = json.loads((tmp_path / "report.json").read_text("utf-8"))
    data["cvat"] += ["../videos", "cvat/../../x.xml", 7]
    (tmp_path / "report.json").write_text(json.dumps(data), "utf-8")
    record = reports.paper(list("ijklmnop"))
    record.name = "another"
    write_report([record], tmp_path)
    left = [path.relative_to(tmp_path / "cvat") for path in (tmp_path / "cvat").rglob("*.xml")]
    assert sorted(path.name for path in left) == [f"{letter}.xml" for letter in "ijklmnopz"]
    (mine / "z.xml").unlink()
    assert (tmp_path / "videos").is_dir()


def test_cvat_tags_are_frames() -> None:
    root = ElementTree.fromstring(cvat_xml([0, 20, 380]))
    assert [int(image.attrib["id"]) for image in root.iter("image")] == [0, 20, 380]
    assert {tag.attrib["label"] for tag in root.iter("tag")} == {TAG}
    assert root.findtext("version") == "1.1"


def test_unique_names_are_safe_and_distinct() -> None:
    names = unique_names(["../../etc", "a/b", "a_b", "A_b", "日本", "x" * 300, ""])
    assert len({name.casefold() for name in names.values()}) == len(names)
    assert all(re.fullmatch(r"[\w.-]{1,90}", name, re.ASCII) for name in names.values())
    assert not any(name.startswith(".") for name in names.values())


def test_files_are_whole_or_absent(tmp_path: Path) -> None:
    write_report([reports.paper(EVIL)], tmp_path)
    write_report([reports.paper(EVIL)], tmp_path)
    assert not list(tmp_path.rglob("*.part"))
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="report cannot be written"):
        write_report([reports.paper(EVIL)], tmp_path / "file")
    with pytest.raises(UsageError):
        write_report([], tmp_path)


def test_paper_tables_only_for_the_paper() -> None:
    def titles(record: SuiteRecord) -> list[str]:
        sections = make_page(build(record), "s").sections
        tables = [b for s in sections for b in s.blocks if isinstance(b, Table)]
        return [table.caption for table in tables]

    record = reports.paper(EVIL)
    assert "Table II: 1by20 vs 400 for CNN+SVM on MOT16" in titles(record)
    record.name = "mine"
    assert not any(title.startswith("Table") for title in titles(record))


def test_virat_has_no_accuracy_in_the_papers_layout() -> None:
    record = reports.paper(EVIL)
    record.dataset.source = "virat:aerial"
    sections = make_page(build(record), "s").sections
    paper = next(s for s in sections if s.anchor == "s-paper")
    table = next(b for b in paper.blocks if isinstance(b, Table))
    assert table.head == ["setting", "iou", "gscore", "iou", "gscore"]
    assert table.rows[0][-2:] == ["17", "8"]
    said = [b.text for s in sections for b in s.blocks if b.kind == "text"]
    assert any("filled boxes" in text for text in said)


def test_small_parts() -> None:
    assert ranges([*range(20), 40, 45]) == "0-19, 40, 45"
    assert ranges([0, 20, 40, 60]) == "0-60 by 20"
    assert ranges([5]) == "5"
    assert ranges([1, 2, 9]) == "1, 2, 9"
    assert nice_ticks(-2, 11.2) == [-2.5, 0, 2.5, 5, 7.5, 10, 12.5]
    assert len(nice_ticks(3, 3)) >= 2
    assert sentence_case("merged: a and b") == "Merged: a and b"
    for name in ("a_orig (frame 12) and b", "/tmp/groups.csv: no video d", "car shows one place"):
        assert sentence_case(name, ["car"]) == name
    masks = {"name": "masks", "source": "masks:../data/persons-masks,void=128"}
    assert data_name(masks) == "persons-masks (masks)"
    assert data_name({"name": "synthetic", "source": "synthetic:videos=4"}) == "synthetic"
    assert data_name({"name": "mot", "source": "mot:data/mot"}) == "mot"
    assert between(Interval(-math.inf, math.inf, 0.0, bounded=False)) == "no interval"


def test_suites_on_the_same_videos_that_disagree_say_why() -> None:
    groups = [f"g{i}" for i in range(12)]
    weak, strong = ({"1": 0.3, "400": 0.4}, {"1": 0.45, "400": 0.45})
    made = []
    for name, worth in (("one", weak), ("two", strong)):
        settings = [
            reports.setting(
                arm, "svm", groups, lambda a, _, w=worth: w[a], frames=range(int(arm)), noise=0.001
            )
            for arm in worth
        ]
        arms = {arm: {"sampler": {"use": arm}} for arm in worth}
        record = reports.suite(name, settings, [("1", "400")], arms=arms)
        record.config["pipelines"]["svm"]["classifier"]["C"] = len(made)
        made.append(build(record))
    first, second = with_disagreements(made)
    assert (
        "The suite two on the same videos advises the first frame of each video" in first.hints[0]
    )
    assert "('1': 12 labels, IoU 44.3 %); this one advises the first 400 frames" in first.hints[0]
    assert first.near == made[0].near + 1
    assert first.hints[0].endswith("its pipelines are not the same")
    assert "The suite one on the same videos advises the first 400" in second.hints[0]
    assert with_disagreements([made[0]])[0].hints == made[0].hints
    assert with_disagreements([made[0], made[0]])[0].hints == made[0].hints


def test_suites_that_disagree_name_the_conditions_that_differ() -> None:
    groups = [f"g{i}" for i in range(8)]

    def made(name: str, gain: float, **more: Any) -> Report:
        worth = {"1": 0.4, "20": 0.4 + gain}
        settings = [
            reports.setting(
                arm, "svm", groups, lambda a, _: worth[a], frames=range(int(arm)), noise=0.001
            )
            for arm in worth
        ]
        record = reports.suite(name, settings, [("1", "20")], **more)
        return build(record)

    one, coarse = made("one", 0.03), made("two", 0.03, delta=0.05)
    assert (
        with_disagreements([one, coarse])[0]
        .hints[0]
        .endswith(": differences matter from 5.0 points on there, from 1.0 here")
    )
    other = made("three", -0.03)
    other.config.update(threshold="inner", test_stride=20)
    assert (
        with_disagreements([one, other])[0]
        .hints[0]
        .endswith(": its threshold and test stride are not the same")
    )
    rate = build(reports.iso_budget(groups))
    assert with_disagreements([one, rate])[0].hints == one.hints
    again = made("four", 0.03)
    again.config["arms"]["20"] = {"sampler": {"use": "first", "n": 20}}
    assert with_disagreements([one, again])[0].hints == one.hints


def test_a_page_opens_with_what_to_do_and_folds_the_rest() -> None:
    groups = [f"g{i}" for i in range(12)]
    page = make_page(build(reports.paper(groups)), "s")
    assert page.sentence == f"{page.headline} {page.certainty}"
    assert [s.anchor for s in page.sections[: page.front]] == ["s-chart", "s-hints", "s-arms"]
    text = to_html([page], "t")
    answer = text.index(f"<strong>{page.headline}".replace("'", "&#39;"))
    fold = text.index('<details class="fold"')
    assert answer < text.index('id="s-chart"') < text.index('id="s-arms"') < fold
    assert fold < text.index('id="s-evidence"') < text.index('id="s-comparisons"')
    (table,) = (b for b in page.sections[2].blocks if isinstance(b, Table))
    told = {row[0]: row[1:5] for row in table.rows}
    assert told["1by20"] == ["–", "every 20th frame of each video", "240", "28"]
    assert told["400"][0] == "take it"
