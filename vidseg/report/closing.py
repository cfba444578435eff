"""The last sections of a report: what labels cost, which frames, failures, how to repeat it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from vidseg.report.arms import BOX_SECONDS, POLYGON_SECONDS
from vidseg.report.document import Block, Bullets, Code, Section, Table, Text
from vidseg.report.facts import Pair, Report
from vidseg.report.frames import TAG
from vidseg.report.wording import (
    MISSING,
    joined,
    number,
    points,
    seconds,
    sentence_case,
)
from vidseg.tasks.registry import find_task


def cost(report: Report) -> Section | None:
    """Return what labels cost for each point gained: as counted, else from the literature."""
    table = _counted(report) if _timed(report) else _by_literature(report)
    return None if table is None else Section("What labels cost", "cost", [table])


def _timed(report: Report) -> bool:
    """Return whether the minutes of every compared setting were counted."""
    named = [report.setting(name) for pair in report.pairs for name in (pair.a, pair.b)]
    return bool(named) and all(one.effort.get("seconds") for one in named)


def _counted(report: Report) -> Table | None:
    rows, free = [], []
    for pair in report.pairs:
        if pair.result is None or pair.leaky or pair.result.difference <= 0:
            continue
        spent = _spent(report, pair)
        name = f"{pair.arm_a} → {pair.arm_b} · {pair.pipeline}"
        if spent <= 0:
            free.append(f"{name} ({points(pair.result.difference)})")
            continue
        per_point = spent / (100 * pair.result.difference)
        gain = points(pair.result.difference)
        rows.append([name, seconds(spent), gain, str(pair.result.verdict), seconds(per_point)])
    if not rows and not free:
        return None
    notes = [
        "Boxes and looks as counted, all videos together. The price is of the gain as seen: where "
        "the verdict is open, so is the price; comparisons that gained nothing are left out.",
        *([f"Gained for no more time: {joined(free, 12)}."] if free else []),
    ]
    head = ["comparison", "extra time", "gain", "verdict", "time a point"]
    return Table("Cost of a point", head, rows, notes=notes)


def _spent(report: Report, pair: Pair) -> float:
    """Return the seconds that b's labels take beyond a's."""
    a, b = (report.setting(name).effort["seconds"] for name in (pair.a, pair.b))
    return b - a


def _by_literature(report: Report) -> Table | None:
    rows = []
    for pair in report.pairs:
        if pair.result is None or pair.leaky or pair.extra_frames <= 0:
            continue
        gain = 100 * pair.result.difference
        if gain <= 0:
            continue
        per_point = pair.extra_frames / gain
        rows.append(
            [
                f"{pair.arm_a} → {pair.arm_b} · {pair.pipeline}",
                str(pair.result.verdict),
                number(pair.extra_frames),
                points(pair.result.difference),
                number(per_point),
                seconds(per_point * BOX_SECONDS),
                seconds(per_point * POLYGON_SECONDS),
            ]
        )
    if not rows:
        return None
    head = [
        "comparison",
        "verdict",
        "extra frames",
        "gain",
        "boxes a point",
        "as boxes",
        "as polygons",
    ]
    notes = [
        f"For {find_task(report.task).words.effort} on every frame: multiply by how many there "
        "are. Extra frames over all training videos, copies not counted; every one drawn by hand, "
        "no tracker.",
        "7 s a box (extreme clicking, Papadopoulos et al., ICCV 2017), 79 s a polygon (COCO, Lin "
        "et al., ECCV 2014). The price is of the gain as seen: where the verdict is open, so is "
        "the price; comparisons that gained nothing have none, and are left out.",
    ]
    return Table("Cost of a point", head, rows, notes=notes)


def frames(report: Report) -> Section | None:
    """Return the exact frames of the advised arm, and where the lists are; None without one."""
    first = report.to_label
    if first is None:
        return None
    said = f"The frames that {first.setting} trains on, which this suite advises."
    rows = [
        [video, number(len(indices)), ranges(indices)] for video, indices in first.frames.items()
    ]
    notes = [
        "Counted from 0; of the first seed. frames.csv holds the lists of all settings. The cvat "
        f"folder holds one XML (CVAT 1.1) a video that marks these frames with the tag “{TAG}”.",
    ]
    table = Table("Frames to label", ["video", "number", "frames"], rows, notes=notes)
    return Section("Frames to label", "frames", [Text(said), table])


def ranges(indices: list[int], longest: int = 24) -> str:
    """Return ``0-19, 40, 60-380 by 20``: runs of three or more of one step are joined."""
    parts: list[str] = []
    rest = sorted(set(indices))
    while rest:
        length, step = 1, rest[1] - rest[0] if len(rest) > 1 else 1
        while length < len(rest) and rest[length] - rest[length - 1] == step:
            length += 1
        if length < 3:
            parts.append(str(rest.pop(0)))
            continue
        parts.append(f"{rest[0]}-{rest[length - 1]}" + ("" if step == 1 else f" by {step}"))
        rest = rest[length:]
    more = f", … ({len(parts) - longest} more)" if len(parts) > longest else ""
    return ", ".join(parts[:longest]) + more


def failures(report: Report) -> Section | None:
    """Return the cells that failed, and settings that lack some."""
    if not report.failures:
        return None
    rows = [[str(r["setting"]), str(r["cell"]), str(r["error"])] for r in report.failures]
    partial = [s.name for s in report.settings if not s.complete and s.groups]
    notes = ["Start the suite again to try these cells again; finished ones are kept."]
    if partial:
        notes.append(f"Scores of {joined(partial)} are of the seeds that are whole.")
    table = Table("Failed cells", ["setting", "cell", "error"], rows, notes=notes)
    return Section("Failed cells", "failures", [table])


def conditions(report: Report) -> Section | None:
    """Return the data, what the reader should know, and how to repeat the suite."""
    names = [str(row["video"]) for row in report.dataset["videos"]]
    blocks: list[Block] = []
    if report.labels:
        blocks.append(Text(report.labels))
    if report.notes:
        blocks.append(Bullets([sentence_case(note, names) for note in report.notes]))
    blocks.append(_videos_table(report))
    facts = _plan(report)
    if facts:
        blocks.append(Bullets(facts))
    text = yaml.safe_dump(report.config, sort_keys=False, allow_unicode=True, width=88)
    blocks.append(Code("The resolved suite: save it and run `vidseg suite run FILE`", text))
    return Section("Data, notes, and how to repeat this", "conditions", blocks)


def _videos_table(report: Report) -> Table:
    rows = [
        [
            str(r.get("video", "")),
            str(r.get("group", "")),
            number(r.get("frames"))
            + (f" ({number(r['labelled'])} labelled)" if "labelled" in r else ""),
            f"{r.get('width', MISSING)} × {r.get('height', MISSING)}",
            MISSING
            if r.get("positive_share") is None
            else f"{number(100 * float(r['positive_share']), 2)} %",
        ]
        for r in report.dataset["videos"]
    ]
    head = ["video", "group", "frames", "size", "positive pixels"]
    notes = [f"{report.dataset['source']}, content {report.dataset['digest']}."]
    return Table("The videos", head, rows, notes=notes)


def _plan(report: Report) -> list[str]:
    plan = report.plan
    items = [
        f"Pipeline {name}: {_pipeline(parts)}."
        for name, parts in report.config.get("pipelines", {}).items()
    ]
    items.append(f"Suite key {report.key}.")
    if plan.get("cells"):
        reused = plan.get("cells_reused")
        again = f", {reused} of them read from the ledger" if reused else ""
        items.append(f"{plan['cells']} cells{again}.")
    if plan.get("seconds") is not None:
        items.append(f"Took {seconds(float(plan['seconds']))}.")
    if plan.get("forwards") is not None:
        announced = plan.get("forwards_announced")
        told = f", {number(announced)} announced" if announced is not None else ""
        items.append(f"Extractor forwards: {number(plan['forwards'])}{told}.")
    versions = plan.get("versions")
    if isinstance(versions, dict):
        items.append("Versions: " + ", ".join(f"{k} {v}" for k, v in versions.items()) + ".")
    seeds = report.config.get("seeds")
    if seeds:
        items.append(f"Seeds used: {joined([str(seed) for seed in seeds], 12)}.")
    for name, one in report.config.get("arms", {}).items():
        if own := one.get("seeds"):
            items.append(f"Seeds of {name}: {joined([str(seed) for seed in own], 12)}.")
    return items


def _pipeline(parts: Mapping[str, Any]) -> str:
    """Return a pipeline in words: extractor, classifier, and what its fits choose or start from."""
    specs = (parts[key] for key in ("extractor", "classifier") if key in parts)
    told = [", then ".join(_named(spec) for spec in specs)]
    if "init_from" in parts:
        told.append(f"starts from the model of {parts['init_from']}")
    if "tune_from" in parts:
        told.append(f"takes what {parts['tune_from']} chose")
    for key, words in (("tune", "chooses {} of {}"), ("path", "compared at {} of {} too")):
        for parameter, values in (parts.get(key) or {}).items():
            told.append(words.format(parameter, ", ".join(str(value) for value in values)))
    return "; ".join(told)


def _named(spec: Any) -> str:
    """Return a resolved plugin with its parameters, such as ``sgd (C=1, epochs=8)``."""
    if not isinstance(spec, dict):
        return str(spec)
    rest = ", ".join(f"{k}={v}" for k, v in spec.items() if k != "use" and v is not None)
    return f"{spec.get('use')} ({rest})" if rest else str(spec.get("use"))
