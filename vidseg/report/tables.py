"""The sections of a report that are tables: the paper's, scores, videos, budget, baselines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vidseg.report.document import Block, Section, Table, Text
from vidseg.report.facts import Kind, Report, SettingFacts
from vidseg.report.published import (
    SAME_OBJECTIVE,
    TABLES,
    Printed,
    PublishedTable,
    paper_pipeline,
    tables_for,
)
from vidseg.report.tuned import grid_of
from vidseg.report.wording import MISSING, data_name, joined, number, points, seconds, whole
from vidseg.tasks.base import Readings, Score
from vidseg.tasks.registry import find_task

PAPER = "paper"
WIDE = 8


def paper(report: Report) -> Section | None:
    """Return the paper's tables with our numbers, where the suite is the paper's."""
    if report.suite != PAPER:
        return None
    beside = tables_for(str(report.dataset["source"]))
    blocks: list[Block] = [
        Text(
            "Whole percents, in the paper's layout. Published numbers are those of "
            f"{beside[0].data} with VGG16 features, as printed. Ours are of "
            f"the data set {data_name(report.dataset)}: other videos or sizes, so compare "
            "directions, not values."
        )
    ]
    blocks += [_paper_table(report, table) for table in beside if _runs(report, table)]
    extra = [s for s in report.settings if s.arm not in {a for t in beside for a in t.arms}]
    if extra:
        rows = [[s.name, *_ours(s, beside[0].rows[0].accuracy is not None)] for s in extra]
        head = ["setting", *_score_names(beside[0])]
        notes = ["The paper says what came out of these settings, but prints no numbers."]
        blocks.append(Table("Other settings of this suite", head, rows, notes=notes))
    blocks += [_printed_table(t) for t in TABLES if not (t in beside and _runs(report, t))]
    return Section("The paper's tables", "paper", blocks)


def scores(report: Report) -> Section | None:
    """Return every score of every setting, and the task's further readings of some."""
    settings = [s for s in report.settings if s.scores]
    if not settings:
        return None
    task = find_task(report.task)
    columns = [c for c in task.report_order if any(c in s.scores for s in settings)]
    spread = any(s.seed_spread is not None for s in settings)
    head = [
        "setting",
        *(task.scores[c].label for c in columns),
        *(["spread over seeds"] if spread else []),
    ]
    rows = [
        [
            s.name + ("" if s.complete else " (incomplete)"),
            *(_score(s.scores.get(c), task.scores[c]) for c in columns),
            *([points(s.seed_spread, sign=False)] if spread else []),
        ]
        for s in settings
    ]
    notes = [
        "Percent; means over groups of the mean over each group's videos, seeds averaged.",
        *filter(None, [task.words.scores_note.format(margin=number(report.margin))]),
    ]
    if spread:
        notes.append("Spread: standard deviation over seeds of the mean over groups.")
    blocks: list[Block] = [Table("Scores", head, rows, notes=notes)]
    blocks += [_readings(one, settings) for one in task.readings]
    return Section("Scores", "scores", blocks)


def per_video(report: Report) -> Section | None:
    """Return the primary score of every video, with the smaller side as columns."""
    settings = [s for s in report.settings if s.videos]
    videos = list(dict.fromkeys(v for s in settings for v in s.videos))
    if not videos:
        return None
    groups = {str(r["video"]): str(r.get("group", "")) for r in report.dataset["videos"]}
    name = report.unit
    if len(settings) <= max(WIDE, len(videos)):
        head = ["video", "group", *(s.name for s in settings)]
        rows = [
            [v, groups.get(v, ""), *(points(s.videos.get(v), sign=False) for s in settings)]
            for v in videos
        ]
    else:
        head = ["setting", *videos]
        rows = [[s.name, *(points(s.videos.get(v), sign=False) for v in videos)] for s in settings]
    lack = find_task(report.task).words.empty
    notes = [f"{name}, percent. {MISSING}: undefined, the video has {lack}."]
    return Section("Per video", "videos", [Table(f"{name} of each video", head, rows, notes=notes)])


def budget(report: Report) -> Section | None:
    """Return what each setting trained on and for how long."""
    settings = [s for s in report.settings if s.budget]
    if not settings:
        return None
    columns = [
        ("train_videos", "videos", number),
        ("train_frames", "training images", number),
        ("train_positive_share", find_task(report.task).words.positives, _share),
        ("epochs", "epochs", number),
        ("updates", "updates", number),
        ("pixels_seen", "pixels seen", number),
        ("fit_seconds", "time of a fit", seconds),
    ]
    used = [c for c in columns if any(c[0] in s.budget for s in settings)]
    chosen = [*_costs_column(settings), *_tuned_column(report, settings)]
    head = ["setting", "frames per video", *(title for _, title, _ in used)]
    head += [column.title for column in chosen]
    rows = [
        [s.name, _per_video(s), *(show(s.budget.get(key)) for key, _, show in used)]
        + [column.show(s) for column in chosen]
        for s in settings
    ]
    notes = ["Means over folds and seeds. Training images count noisy copies, frames do not."]
    notes += [column.note for column in chosen]
    if report.kind is Kind.LEAKAGE:
        notes.append(
            "A split by frame or block holds a part of every video out: its arms train on more "
            "videos, and on fewer images of each than the sampler takes."
        )
    if any(s.budget.get("out_of_time") for s in settings):
        late = [s.name for s in settings if s.budget.get("out_of_time")]
        notes.append(f"Ended by the time limit in some folds: {joined(late)}.")
    return Section(
        "Budget and balance", "budget", [Table("What each arm had", head, rows, notes=notes)]
    )


@dataclass(frozen=True)
class _Column:
    """A column of the budget's table, and the note on it."""

    title: str
    show: Callable[[SettingFacts], str]
    note: str


def _costs_column(settings: Sequence[SettingFacts]) -> list[_Column]:
    if not any(s.costs for s in settings):
        return []
    note = (
        "C: how much the loss weighs against the regularisation. What more frames gain depends "
        "on it: hold other values against this one, or let inner groups choose (C as a list)."
    )
    return [_Column("C", lambda s: _range(s.costs), note)]


def _tuned_column(report: Report, settings: Sequence[SettingFacts]) -> list[_Column]:
    if not any(s.tuned for s in settings):
        return []
    grids = [
        f"{name}: {grid[0]} of {', '.join(map(str, grid[1]))}"
        for name in report.config["pipelines"]
        if (grid := grid_of(report.config, name))
    ]
    note = (
        f"Tuned: what the cells chose in inner folds of their training groups ({'; '.join(grids)})"
        "; × counts cells. Where most took an end of the grid, a wider one may be better."
    )
    return [_Column("tuned", _tuned, note)]


def _tuned(setting: SettingFacts) -> str:
    """Return ``"0.1 × 3, 1 × 1"``."""
    return ", ".join(f"{value} × {count}" for value, count in setting.tuned) or MISSING


def _range(costs: Sequence[float]) -> str:
    """Return ``1``, or ``0.1 to 10`` where folds chose."""
    if not costs:
        return MISSING
    return " to ".join(f"{cost:g}" for cost in dict.fromkeys((costs[0], costs[-1])))


def baselines(report: Report) -> Section | None:
    """Return the primary score of predictors that look at no shape, beside each setting's."""
    settings = [s for s in report.settings if s.baselines]
    kinds = list(dict.fromkeys(kind for s in settings for kind in s.baselines))
    if not kinds:
        return None
    words, name = find_task(report.task).words, report.unit
    head = ["setting", "this setting", *(words.baselines.get(kind, kind) for kind in kinds)]
    rows = [
        [
            s.name,
            points(s.scores.get(report.primary), sign=False),
            *(points(s.baselines.get(kind), sign=False) for kind in kinds),
        ]
        for s in settings
    ]
    notes = [f"{name}, percent. {words.baselines_note}".strip()]
    return Section("Baselines", "baselines", [Table("Baselines", head, rows, notes=notes)])


def effective(report: Report) -> Section | None:
    """Return how many independent frames each test video is worth."""
    if not report.effective:
        return None
    task = find_task(report.task)
    unit = task.scores[task.primary].label
    rows = [
        [str(r["video"]), number(r["frames"]), number(r["low"], 2), number(r["high"], 2)]
        for r in report.effective
    ]
    head = ["video", "scored frames", "effective, fewest", "effective, most"]
    notes = [
        f"From the autocorrelation of {unit} over time, over settings and seeds. This is about how "
        "exactly a video's own score is known; verdicts count groups, never frames."
    ]
    known = {str(row["video"]) for row in report.effective}
    if gone := [
        name for row in report.dataset["videos"] if (name := str(row["video"])) not in known
    ]:
        notes.append(
            f"Left out: {joined(gone)}; not tested, its score undefined on some frames, or its "
            "scored frames not equally spaced."
        )
    table = Table("Effective test frames", head, rows, notes=notes)
    return Section("Effective test frames", "effective", [table])


def _runs(report: Report, table: PublishedTable) -> bool:
    ran = {(s.arm, paper_pipeline(s.pipeline, report.config)) for s in report.settings}
    return any((row.arm, row.pipeline) in ran for row in table.rows)


def _paper_table(report: Report, table: PublishedTable) -> Table:
    names = _score_names(table)
    with_accuracy = "accuracy" in names
    rows, seen, notes = [], set(), _Notes()
    for setting in report.settings:
        if setting.arm not in table.arms:
            continue
        pipeline = paper_pipeline(setting.pipeline, report.config)
        row = table.row(setting.arm, pipeline) if pipeline else None
        seen.add((setting.arm, pipeline))
        printed = _printed(row, with_accuracy, notes)
        rows.append([setting.name, *_ours(setting, with_accuracy), *printed])
    for row in table.rows:
        if (row.arm, row.pipeline) not in seen:
            blank = [MISSING] * len(names)
            name = f"{row.arm} {row.pipeline} (not run)"
            rows.append([name, *blank, *_printed(row, with_accuracy, notes)])
    return Table(
        f"Table {table.number}: {table.title}",
        ["setting", *names, *names],
        rows,
        spans=[("", 1), ("ours", len(names)), ("published", len(names))],
        notes=[*_stand_ins(report, table), *notes.texts],
    )


def _printed_table(table: PublishedTable) -> Table:
    names, notes = _score_names(table), _Notes()
    rows = [
        [f"{row.arm} {row.pipeline}", *_printed(row, "accuracy" in names, notes)]
        for row in table.rows
    ]
    title = f"Table {table.number}: {table.title}, as published"
    return Table(title, ["setting", *names], rows, notes=notes.texts, folded=True)


class _Notes:
    """Footnotes, numbered in the order of their first use."""

    def __init__(self) -> None:
        self._found: list[str] = []

    def mark(self, note: str) -> str:
        if note not in self._found:
            self._found.append(note)
        return "¹²³⁴⁵"[self._found.index(note)]

    @property
    def texts(self) -> list[str]:
        return [f"{'¹²³⁴⁵'[i]} {note}" for i, note in enumerate(self._found)]


def _stand_ins(report: Report, table: PublishedTable) -> list[str]:
    pairs: dict[str, str] = {}
    for setting in report.settings:
        published = paper_pipeline(setting.pipeline, report.config)
        if (
            setting.arm in table.arms
            and published in SAME_OBJECTIVE
            and published != setting.pipeline
        ):
            pairs[setting.pipeline] = published
    return [
        f"{ours} stands beside the paper's {published}: {_objective(report, ours)}."
        for ours, published in pairs.items()
    ]


def _objective(report: Report, pipeline: str) -> str:
    """Return how a pipeline's loss is weighed against its regularisation."""
    classifier = (report.config["pipelines"].get(pipeline) or {}).get("classifier") or {}
    if classifier.get("C_mode") == "sum":
        return "the same loss, at liblinear's own scale"
    tuned = any(one.tuned for one in report.settings if one.pipeline == pipeline)
    return f"the same loss{', C chosen by inner groups' if tuned else ''}"


def _score_names(table: PublishedTable) -> list[str]:
    with_accuracy = any(row.accuracy is not None for row in table.rows)
    return ["accuracy", "iou", "gscore"] if with_accuracy else ["iou", "gscore"]


def _ours(setting: SettingFacts, with_accuracy: bool) -> list[str]:
    names = ["accuracy", "iou", "gscore"] if with_accuracy else ["iou", "gscore"]
    return [whole(setting.scores.get(name)) for name in names]


def _printed(row: Printed | None, with_accuracy: bool, notes: _Notes) -> list[str]:
    if row is None:
        return [MISSING] * (3 if with_accuracy else 2)
    mark = notes.mark(row.note) if row.note else ""
    accuracy = [MISSING if row.accuracy is None else str(row.accuracy)] if with_accuracy else []
    return [*accuracy, f"{row.iou}{mark}", f"{row.gscore}{mark}"]


def _readings(readings: Readings, settings: Sequence[SettingFacts]) -> Table:
    head = ["setting", *(title for _, title in readings.columns)]
    rows = [
        [s.name, *(points(s.scores.get(key), sign=False) for key, _ in readings.columns)]
        for s in settings
    ]
    spans = [("", 1), *readings.spans]
    return Table(readings.title, head, rows, spans=spans, notes=list(readings.notes), folded=True)


def _score(value: float | None, score: Score) -> str:
    return points(value, sign=False) if score.share else number(value)


def _per_video(setting: SettingFacts) -> str:
    if setting.per_video is None:
        return MISSING
    low, high = setting.per_video
    return str(low) if low == high else f"{low} to {high}"


def _share(value: float | None) -> str:
    return MISSING if value is None else f"{number(100 * value, 2)} %"
