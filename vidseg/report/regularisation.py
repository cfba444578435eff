"""Does it depend on the regularisation? Comparisons along the path of C, and what arms chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vidseg.errors import DataError
from vidseg.experiment.records import PathRecord, SuiteRecord
from vidseg.report.charts import Line, curves
from vidseg.report.comparisons import verdict
from vidseg.report.document import Block, Bullets, Figure, Section, Table, Text
from vidseg.report.facts import Pair, Path, PathPoint, Report, Role, SettingFacts
from vidseg.report.pairs import score_by_group
from vidseg.report.tuned import grid_of
from vidseg.report.wording import MISSING, joined, level, points, span
from vidseg.stats import Comparison, Verdict, compare

CHARTED = 6
"""Comparisons that a chart can tell apart."""
SHOWN = ("C", "C_mode", "standardise")
"""Parameters of a linear classifier that decide how strongly it is regularised."""
Groups = Mapping[str, float | None]


def make_paths(record: SuiteRecord, pairs: Sequence[Pair]) -> list[Path]:
    """Return each comparison at every value of the path of its pipeline, the lead first.

    Groups for which both arms trained on the same frames are left out, as in the comparison. Each
    is by itself: no correction for how many there are.
    """
    ordered = sorted(pairs, key=lambda pair: pair.role is not Role.LEAD)
    made = (_path(record, pair) for pair in ordered if pair.result is not None)
    return [path for path in made if path is not None and path.points]


def _path(record: SuiteRecord, pair: Pair) -> Path | None:
    own = [one for one in record.paths if one.pipeline == pair.pipeline]
    settings = {one.name: score_by_group(one, record.primary) for one in record.settings}
    alone = _compared(record, pair, settings[pair.a], settings[pair.b])
    if not own or alone is None:
        return None
    found = []
    asked = record.config["pipelines"][pair.pipeline].get("path") or {own[0].parameter: []}
    there = dict.fromkeys(one.value for one in own)
    for value in dict.fromkeys([*next(iter(asked.values())), *there]):
        a, b = (_scores(record, own, arm, value) for arm in (pair.arm_a, pair.arm_b))
        result = None if a is None or b is None else _compared(record, pair, a, b)
        if result is not None:
            found.append(PathPoint(value, result))
    names = pair.a, pair.b, pair.arm_a, pair.arm_b, pair.pipeline
    return Path(*names, own[0].parameter, found, alone)


def _scores(
    record: SuiteRecord, own: Sequence[PathRecord], arm: str, value: object
) -> Groups | None:
    found = next((one for one in own if one.arm == arm and one.value == value), None)
    if found is None:
        return None
    return {group: scores.get(record.primary) for group, scores in found.group_scores.items()}


def _compared(record: SuiteRecord, pair: Pair, a: Groups, b: Groups) -> Comparison | None:
    left, right = (
        {group: value for group, value in scores.items() if group not in pair.same_groups}
        for scores in (a, b)
    )
    try:
        return compare(left, right, record.delta, record.level)
    except DataError:
        return None


def regularisation(report: Report) -> Section | None:
    """Return the comparisons along the path, with a chart, and what each arm chose."""
    blocks: list[Block] = []
    told = [*(path_line(report, path) for path in report.paths), *_other_lines(report)]
    if told:
        blocks.append(Bullets([f"{line}." for line in told]))
    for pipeline in dict.fromkeys(path.pipeline for path in report.paths):
        own = [path for path in report.paths if path.pipeline == pipeline]
        blocks += [*_chart(report, own), _table(report, own)]
    if table := _chosen(report):
        blocks.append(table)
    if not blocks:
        return None
    if not report.paths:
        blocks.insert(
            0, Text("What every arm chose by itself, in inner folds of its training groups.")
        )
        return Section("What each arm chose", "regularisation", blocks)
    return Section("Does it depend on the regularisation?", "regularisation", blocks)


def turning(report: Report) -> list[str]:
    """Return a line for the lead comparison, else each that counts, that turns along its path."""
    roles = {(pair.a, pair.b): pair.role for pair in report.pairs}
    leads = [path for path in report.paths if roles.get((path.a, path.b)) is Role.LEAD]
    counted = [p for p in report.paths if roles.get((p.a, p.b)) is not Role.SENSITIVITY]
    return [path_line(report, path) for path in leads or counted if _turn(report, path)]


def path_line(report: Report, path: Path) -> str:
    """Return whether the answer of a comparison turns along its path, with both figures."""
    own = f"{_best(report, path)} {_own(report, path)}"
    point = _turn(report, path)
    if point is None:
        values = [one.result.difference for one in path.points]
        ends = f"{points(min(values))} to {points(max(values))}"
        return (
            f"{path.arm_a} → {path.arm_b} does not turn along the path of {path.parameter} "
            f"({ends} {report.unit} points; {own})"
        )
    known = _differs(report, path.own, point.result)
    gain = points(point.result.difference)
    sure = _how_sure(point.result, str(point.result.verdict))
    return (
        f"{path.arm_a} → {path.arm_b} {'depends' if known else 'may depend'} on the "
        "regularisation: at "
        f"{path.parameter} = {point.value} '{path.arm_b}' gains {gain} {report.unit} points over "
        f"'{path.arm_a}' ({sure}), {own}"
    )


def _best(report: Report, path: Path) -> str:
    tuned = grid_of(report.config, path.pipeline)
    return "with each arm at its own best" if tuned else "with the pipeline as it is"


def _told(result: Comparison) -> str:
    return f"{points(result.difference)} ({_how_sure(result, str(result.verdict))})"


def _own(report: Report, path: Path) -> str:
    """Return the comparison with the verdict that it has among the others of the suite."""
    pairs = {(pair.a, pair.b): verdict(pair) for pair in report.pairs if pair.result}
    told = pairs.get((path.a, path.b), str(path.own.verdict))
    return f"{points(path.own.difference)} ({_how_sure(path.own, told)})"


def _differs(report: Report, one: Comparison, other: Comparison) -> bool:
    """Return whether two differences of the same groups are shown to differ from each other."""
    common = sorted(one.differences.keys() & other.differences.keys())
    if not common:
        return False
    left, right = ({g: made.differences[g] for g in common} for made in (one, other))
    found = compare(left, right, report.delta, report.level)
    return found.verdict in (Verdict.BETTER, Verdict.WORSE)


def _how_sure(result: Comparison, told: str) -> str:
    """Return ``"95 % +9.0 to +20.3, better"``."""
    interval = result.interval
    at = f"{level(interval.level)} {span(interval)}, " if interval.bounded else ""
    return f"{at}{told}"


def _turn(report: Report, path: Path) -> PathPoint | None:
    """Return the value of the path that says something else by most; None where none does."""
    own = _side(report, path.own)
    others = [one for one in path.points if _side(report, one.result) != own]
    away = [abs(one.result.difference - path.own.difference) for one in others]
    if not others or max(away) < report.delta:
        return None
    return others[away.index(max(away))]


def _side(report: Report, result: Comparison) -> int:
    """Return 1, -1 or 0: what b gains over a matters, harms, or neither; as seen if not shown."""
    match result.verdict:
        case Verdict.BETTER:
            return 1
        case Verdict.WORSE:
            return -1
        case Verdict.EQUIVALENT:
            return 0
    return (result.difference >= report.delta) - (result.difference <= -report.delta)


def _other_lines(report: Report) -> list[str]:
    """Return of which comparisons that have a path each other pipeline says the same."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for path in report.paths:
        for other in _others(report, path):
            same, differs = found.setdefault(other.pipeline, ([], []))
            name = f"{path.arm_a} → {path.arm_b}"
            if other.result is None or _side(report, other.result) == _side(report, path.own):
                same.append(name)
                continue
            told = f"{_told(other.result)} instead of {_own(report, path)}"
            differs.append(f"{name}, {told}")
    return [_agreement(report, name, *lists) for name, lists in found.items()]


def _agreement(report: Report, pipeline: str, same: list[str], differs: list[str]) -> str:
    parts = [f"the same of {joined(same)}"] * bool(same)
    parts += [f"otherwise of {'; of '.join(differs)}"] * bool(differs)
    return f"{pipeline} ({_classifier(report, pipeline)}) says {', and '.join(parts)}"


def _classifier(report: Report, pipeline: str) -> str:
    """Return the classifier with what a reader compares: its C, scale and standardisation."""
    spec = report.config["pipelines"][pipeline]["classifier"]
    shown = [name for name in SHOWN if name in spec]
    if grid := grid_of(report.config, pipeline):
        shown = [name for name in shown if name != grid[0]]
    return ", ".join([str(spec["use"]), *(f"{name}={spec[name]}" for name in shown)])


def _others(report: Report, path: Path) -> list[Pair]:
    return [
        pair
        for pair in report.pairs
        if (pair.arm_a, pair.arm_b) == (path.arm_a, path.arm_b)
        and pair.pipeline != path.pipeline
        and pair.result is not None
    ]


def _chart(report: Report, paths: Sequence[Path]) -> list[Figure]:
    """Return the differences against the parameter, where its values are positive numbers."""
    values = {point.value for path in paths for point in path.points}
    if len(values) < 2 or not all(_positive(value) for value in values):
        return []
    lines = [
        Line(
            f"{path.arm_a} → {path.arm_b} (own best {points(path.own.difference)})",
            [float(point.value) for point in path.points],
            [100 * point.result.difference for point in path.points],
        )
        for path in paths[:CHARTED]
    ]
    parameter, unit = paths[0].parameter, report.unit
    title = f"{unit} differences against {parameter}"
    svg = curves(lines, unit, title, across=parameter, up=f"difference, {unit} points")
    return [Figure(svg, path_caption(parameter))]


def path_caption(parameter: str) -> str:
    """Return what a chart along a path shows, and where regularisation is weak, if that is known.

    >>> path_caption("lr")
    'Difference b − a with both arms at the same lr.'
    """
    right = {"C": "weaker", "weight_decay": "stronger"}.get(parameter)
    said = f"; {right} regularisation to the right" if right else ""
    return f"Difference b − a with both arms at the same {parameter}{said}."


def _positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _table(report: Report, paths: Sequence[Path]) -> Table:
    parameter, pipeline = paths[0].parameter, paths[0].pipeline
    values = dict.fromkeys(point.value for path in paths for point in path.points)
    rows = [[f"{parameter} = {value}", *(_at(path, value) for path in paths)] for value in values]
    own = "own best" if grid_of(report.config, pipeline) else "as it is"
    rows.append([f"{own} ({pipeline})", *(_cell(path.own) for path in paths)])
    others = [{pair.pipeline: pair.result for pair in _others(report, path)} for path in paths]
    for name in dict.fromkeys(name for one in others for name in one):
        rows.append([name, *(_cell(one.get(name)) for one in others)])
    head = ["both arms at", *(f"{path.arm_a} → {path.arm_b}" for path in paths)]
    levels = {path.own.interval.level for path in paths}
    at = joined([level(one) for one in sorted(levels)])
    notes = [
        f"Points of {report.unit}, b − a, with the {at} interval; each by itself, without a "
        "correction for how many there are. A verdict stands where there is one.",
    ]
    return Table(f"Along the path of {parameter} ({pipeline})", head, rows, notes=notes)


def _at(path: Path, value: object) -> str:
    return _cell(next((one.result for one in path.points if one.value == value), None))


def _cell(result: Comparison | None) -> str:
    if result is None:
        return MISSING
    verdict = "" if result.verdict is Verdict.CANNOT_TELL else f", {result.verdict}"
    return f"{points(result.difference)} ({span(result.interval)}){verdict}"


def choices(report: Report) -> list[str]:
    """Return for each tuned setting what its cells chose: ``"20 svm chose C: 1 × 3, 10 × 1"``."""
    lines = []
    for one in report.settings:
        if one.tuned and (grid := grid_of(report.config, one.pipeline)):
            told = ", ".join(f"{value} × {count}" for value, count in one.tuned)
            lines.append(f"{one.name} chose {grid[0]}: {told}")
    return lines


def _chosen(report: Report) -> Table | None:
    """Return how many cells of each tuned setting took each value."""
    settings = [one for one in report.settings if one.tuned]
    if not settings:
        return None
    order = [
        str(value)
        for name in dict.fromkeys(one.pipeline for one in settings)
        for value in (grid_of(report.config, name) or ("", []))[1]
    ]
    values = list(dict.fromkeys([*order, *(value for one in settings for value, _ in one.tuned)]))
    parameters = {(grid_of(report.config, one.pipeline) or ("",))[0] for one in settings}
    named = parameters.pop() if len(parameters) == 1 else "value"
    rows = [
        [one.name, *(str(dict(one.tuned).get(value, "")) for value in values)] for one in settings
    ]
    notes = ["Cells (fold and seed) that took each value, in inner folds of their training groups."]
    if ends := [one.name for one in settings if _at_an_end(report, one)]:
        notes.append(
            f"Most cells took an end of the grid: {joined(ends)}. A wider one may be better."
        )
    head = ["setting", *(f"{named} = {value}" for value in values)]
    return Table("What each arm chose", head, rows, notes=notes)


def _at_an_end(report: Report, setting: SettingFacts) -> bool:
    grid = grid_of(report.config, setting.pipeline)
    ends = {str(grid[1][0]), str(grid[1][-1])} if grid else set()
    cells = sum(count for _, count in setting.tuned)
    return 2 * sum(count for value, count in setting.tuned if value in ends) > cells
