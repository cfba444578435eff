"""What stands in front of a report: pictures, prices, scenes."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers import reports
from vidseg.api.results import RunResult
from vidseg.experiment.records import PictureRecord, SuiteRecord
from vidseg.report import build, main_settings, suite_from_json, suite_to_json, write_report
from vidseg.report.arms import in_words, label_cost, price_notes
from vidseg.report.document import Table
from vidseg.report.front import arms
from vidseg.report.html import to_html
from vidseg.report.pages import make_page

TWELVE = [f"g{i}" for i in range(12)]


def picture(setting: str, rank: str, score: float) -> PictureRecord:
    buffer = io.BytesIO()
    Image.new("RGB", (240, 135), (40, 90, 40)).save(buffer, "JPEG")
    jpeg = base64.b64encode(buffer.getvalue()).decode()
    return PictureRecord(setting, rank, "g3", 17, score, 240, 135, jpeg)


def pictured() -> SuiteRecord:
    record = reports.paper(TWELVE)
    record.pictures = [
        picture(name, rank, score)
        for name in main_settings(build(record))
        for rank, score in (("worst", 0.0), ("median", 0.413), ("best", 0.9))
    ]
    return record


def test_pictures_of_the_main_arms_stand_between_the_answer_and_the_chart(tmp_path: Path) -> None:
    record = pictured()
    page = make_page(build(record), "s")
    assert [s.anchor for s in page.sections[: page.front]][:2] == ["s-pictures", "s-chart"]
    text = to_html([page], "t")
    assert text.index('class="sure"') < text.index('id="s-pictures"') < text.index('id="s-chart"')
    sources = re.findall(r'<img src="([^"]*)"', text)
    assert len(sources) == 3 * len(main_settings(build(record)))
    assert all(one.startswith("data:image/jpeg;base64,") for one in sources)
    assert "median, 41.3\u00a0%: g3, frame 17" in text
    assert "outline of the truth" in text
    assert re.search(r"frames, [\d.]+\u00a0min of labels", text)
    written = write_report([record], tmp_path)
    assert "median, 41.3 %: g3, frame 17" in written["markdown"].read_text()
    facts = json.loads(written["json"].read_text())["reports"][0]["pictures"]
    assert facts[1]["score"] == 0.413
    assert "jpeg" not in facts[1]


def test_a_report_made_again_has_the_pictures_and_one_without_has_none() -> None:
    record = pictured()
    again = suite_from_json(json.loads(json.dumps(suite_to_json(record))))
    assert again.pictures == record.pictures
    old = {k: v for k, v in suite_to_json(record).items() if k != "pictures"}
    assert suite_from_json(old).pictures == []
    page = make_page(build(replace(record, pictures=[])), "s")
    assert "s-pictures" not in [section.anchor for section in page.sections]


def test_the_main_arms_are_the_choice_and_what_the_lead_compares() -> None:
    record = reports.paper(TWELVE)
    report = build(record)
    assert report.chosen is not None
    assert report.lead is not None
    lead = report.pairs[report.lead]
    assert set(main_settings(report)) == {report.chosen.name, lead.a, lead.b}
    assert main_settings(report)[0] == report.chosen.name


@pytest.mark.parametrize(
    ("effort", "minutes", "said"),
    [
        ({"seconds": 600.0, "boxes": 1.0}, "10 min", "Minutes: what the label source counted, 7 s"),
        ({"boxes": 1200.0, "of_masks": 0.0}, "140 min", "every box of these frames drawn by hand"),
        ({"of_masks": 1.0}, "316 min", "one polygon on each frame, 79 s"),
        ({}, "28 min", "one box on each frame, 7 s"),
    ],
    ids=["measured", "boxes", "masks", "unknown"],
)
def test_labels_are_priced_by_what_is_known_of_them(
    effort: dict[str, float], minutes: str, said: str
) -> None:
    report = build(reports.paper(TWELVE))
    one = replace(next(s for s in report.settings if s.arm == "1by20"), effort=effort)
    assert label_cost(one) == f"240 frames, {minutes}"
    assert said in price_notes(report, [one])[0]
    section = arms(replace(report, settings=[one, *report.settings]))
    assert section is not None


def test_an_arm_says_how_its_labels_are_made() -> None:
    report = build(reports.paper(TWELVE))
    one = report.setting("400 svm") if any(s.name == "400 svm" for s in report.settings) else None
    one = one or next(s for s in report.settings if s.arm == "400")
    arm = {"sampler": "all", "train_labels": {"use": "propagated"}, "refine": "grabcut"}
    told = in_words(replace(report, config={**report.config, "arms": {"400": arm}}), one)
    assert told == (
        "every frame of each video, key boxes drawn, the frames between filled in, boxes cut out "
        "by grabCut"
    )


def test_options_in_a_hint_are_code_and_nothing_else_is() -> None:
    report = replace(build(reports.paper(TWELVE)), hints=["<b>: try `--threshold inner`"])
    text = to_html([make_page(report, "s")], "t")
    assert "&lt;b&gt;: try <code>--threshold inner</code>" in text
    assert "`" not in text


def test_the_answer_names_videos_and_scenes_where_they_differ() -> None:
    record = reports.paper(TWELVE)
    assert "12 scenes" in build(record).sentence
    rows = record.dataset.videos
    copies = [{**row, "video": f"{row['video']} again"} for row in rows[:3]]
    more = replace(record.dataset, videos=[*rows, *copies])
    assert "15 videos, 12 scenes" in build(replace(record, dataset=more)).sentence


def test_a_run_says_in_the_words_of_the_report_that_it_does_not_beat_a_baseline() -> None:
    low = reports.setting("20", "svm", TWELVE, lambda *_: 0.2, noise=0.0)
    said = (
        "20 svm does not beat mean mask: such scores say little about frames; try more scenes, "
        "another extractor or C"
    )
    assert RunResult(low.run).hints == [said]
    high = reports.setting("400", "svm", TWELVE, lambda *_: 0.4, noise=0.0)
    assert RunResult(high.run).hints == []
    assert said in build(reports.suite("mine", [low, high], [])).hints


def test_a_run_names_the_video_whose_threshold_is_off() -> None:
    run = reports.setting("20", "svm", TWELVE, lambda *_: 0.4, noise=0.0).run
    run.per_video = [{"video": "g3", "iou": 0.013, "ap": 0.664}, {"video": "g4", "iou": None}]
    (line,) = RunResult(run).hints
    assert "20 svm on g3 (1.3 beside 66.4)" in line
    assert "--threshold inner" in line


def test_a_column_without_any_number_is_no_column_of_numbers() -> None:
    table = Table("t", ["arm", "advice", "score"], [["1", "–", "1.0"], ["2", "–", "–"]])
    assert table.numeric == [False, False, True]
