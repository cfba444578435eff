"""From a suite's record to the facts of its report: everything is computed here, once."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence

from vidseg.experiment.records import Row, SettingRecord, SuiteRecord
from vidseg.report.advice import certainty, headline, make_decision
from vidseg.report.arms import drawn_videos, fewer_videos
from vidseg.report.baselines import unbeaten
from vidseg.report.effective import effective_table
from vidseg.report.facts import Curve, FrameList, Grid, Kind, Pair, Report, Role, SettingFacts
from vidseg.report.grids import make_curves, make_grids
from vidseg.report.hints import Hint, in_order, make_hints, one_line
from vidseg.report.pairs import make_pairs, score_by_group
from vidseg.report.regularisation import make_paths, turning
from vidseg.report.sentence import evidence
from vidseg.report.tuned import chosen_values, grid_of
from vidseg.stats import Decision, Standing, Verdict
from vidseg.tasks.registry import find_task


def build(record: SuiteRecord) -> Report:
    """Return the facts of a finished suite: scores, verdicts, curves, the advice.

    Nothing is estimated that the record cannot carry: what is missing is None, with a reason
    beside it where one is known.
    """
    settings = [_setting(record, setting) for setting in record.settings]
    pairs = make_pairs(record, {setting.name: setting for setting in settings})
    curves, grids = make_curves(record, settings), make_grids(record, settings)
    kind = _kind(pairs, curves, grids)
    frames_matter = kind not in (Kind.LEAKAGE, Kind.ISO_BUDGET)
    decision = make_decision(record, settings) if frames_matter else None
    lead = _lead(kind, settings, pairs, curves, grids, decision)
    draft = Report(
        suite=record.name,
        question=record.question,
        key=record.key,
        kind=kind,
        headline="",
        certainty="",
        evidence="",
        decision=decision,
        lead=lead,
        primary=record.primary,
        delta=record.delta,
        level=record.level,
        dataset={
            "name": record.dataset.name,
            "source": record.dataset.source,
            "digest": record.dataset.digest,
            "videos": record.dataset.videos,
        },
        labels=_about_labels(record),
        groups=sorted({str(row.get("group")) for row in record.dataset.videos}),
        settings=settings,
        pairs=pairs,
        curves=curves,
        grids=grids,
        effective=effective_table(record.settings),
        frame_lists=_frame_lists(record, decision),
        config=record.config,
        axes=record.axes,
        margin=record.margin,
        plan=record.plan,
        notes=_notes(record, kind),
        task=record.task,
        paths=make_paths(record, pairs),
        pictures=record.pictures,
    )
    draft = _with_hints(draft, record)
    return dataclasses.replace(
        draft, headline=headline(draft), certainty=certainty(draft), evidence=evidence(draft)
    )


def _with_hints(draft: Report, record: SuiteRecord) -> Report:
    main = _main(draft)
    hints = make_hints(record, draft.settings, draft.pairs, draft.decision, main)
    turns = [Hint(line) for line in one_line(turning(draft), "comparison")]
    lines, near = in_order([*hints, *turns], main)
    return dataclasses.replace(draft, hints=lines, near=near)


def _main(report: Report) -> set[str]:
    """Return the settings that the advice is about; none where it is about all."""
    if report.chosen is not None:
        return {report.chosen.name}
    if report.lead is None or report.kind not in (Kind.COMPARISONS, Kind.LEAKAGE):
        return set()
    pair = report.pairs[report.lead]
    return {pair.a, pair.b}


def _about_labels(record: SuiteRecord) -> str:
    """Return what to know about the labels of each data set."""
    task, parts = find_task(record.task), record.dataset.parts or [record.dataset]
    lines = [task.about_labels(part.source.partition(":")[0]) for part in parts]
    if all(lines):
        return next(iter(lines))
    named = [f"{p.source}: {line}" for p, line in zip(parts, lines, strict=True) if line]
    return " ".join(named)


def _setting(record: SuiteRecord, setting: SettingRecord) -> SettingFacts:
    frames = [len(set(indices)) for indices in setting.frames.values() if indices]
    per_seed = [_mean_over_groups(record, groups) for groups in setting.by_seed.values()]
    defined = [value for value in per_seed if value is not None]
    return SettingFacts(
        name=setting.name,
        arm=setting.arm,
        pipeline=setting.pipeline,
        scores={k: v for k, v in setting.run.headline.items() if v is not None},
        groups=score_by_group(setting, record.primary),
        videos={
            video: scores.get(record.primary) for video, scores in setting.video_scores.items()
        },
        seeds=len(setting.by_seed),
        seed_spread=statistics.stdev(defined) if len(defined) > 1 else None,
        budget={k: v for k, v in setting.facts.items() if v is not None},
        costs=_costs(record, setting),
        labelled=sum(frames),
        per_video=(min(frames), max(frames)) if frames else None,
        baselines={str(r["baseline"]): r.get(record.primary) for r in setting.run.baselines},
        failures=list(setting.failures),
        complete=setting.complete,
        oracle=bool(_arm(record, setting.arm).get("oracle")),
        tuned=chosen_values(record.config, setting),
        trained=dict(setting.trained),
        mean_frames=round(sum(frames) / len(frames), 1) if frames else None,
        effort=dict(setting.effort),
    )


def _arm(record: SuiteRecord, name: str) -> Row:
    found = record.config.get("arms", {}).get(name)
    return found if isinstance(found, dict) else {}


def _costs(record: SuiteRecord, setting: SettingRecord) -> tuple[float, ...]:
    """Return the C that each fold used, as its fit told, else as it was asked for."""
    pipeline = record.config.get("pipelines", {}).get(setting.pipeline, {})
    told = "tune_value" if (grid_of(record.config, setting.pipeline) or "")[:1] == ("C",) else "C"
    found = {fold.facts[told] for fold in setting.run.folds if fold.facts.get(told) is not None}
    if not found:
        asked = pipeline.get("classifier", {})
        cost = asked.get("C") if isinstance(asked, dict) else None
        found = {float(cost)} if isinstance(cost, int | float) else set()
    return tuple(sorted(found))


def _mean_over_groups(record: SuiteRecord, groups: dict[str, dict[str, float]]) -> float | None:
    values = [scores.get(record.primary) for scores in groups.values()]
    defined = [value for value in values if value is not None]
    return statistics.fmean(defined) if defined else None


def _kind(pairs: Sequence[Pair], curves: Sequence[Curve], grids: Sequence[Grid]) -> Kind:
    if any(pair.leaky for pair in pairs):
        return Kind.LEAKAGE
    if grids:
        return Kind.ISO_BUDGET
    if any(len(curve.counts) > 2 for curve in curves):
        return Kind.GAIN_CURVE
    return Kind.COMPARISONS if pairs else Kind.SETTINGS


def _lead(
    kind: Kind,
    settings: Sequence[SettingFacts],
    pairs: Sequence[Pair],
    curves: Sequence[Curve],
    grids: Sequence[Grid],
    decision: Decision | None,
) -> int | None:
    """Return what the evidence is about: the lead comparison, else the first that could be made.

    A split that is shown to flatter goes before all, one of the choice before the others. Of
    several curves it is the one of the choice.
    """
    if kind is Kind.GAIN_CURVE:
        choice = decision.choice if decision else None
        own = [i for i, curve in enumerate(curves) if choice in curve.settings]
        return next(iter([*own, *(i for i, curve in enumerate(curves) if curve.fit)]), 0)
    if kind is Kind.ISO_BUDGET:
        return next((i for i, grid in enumerate(grids) if grid.rate), 0)
    oracles = {setting.name for setting in settings if setting.oracle}
    places = [i for i, p in enumerate(pairs) if kind is not Kind.LEAKAGE or p.leaky]
    places = [i for i in places if not oracles & {pairs[i].a, pairs[i].b}]
    made = [i for i in places if pairs[i].result is not None]
    leads = [i for i in places if pairs[i].role is Role.LEAD]
    told = [i for i in made if kind is Kind.LEAKAGE and pairs[i].told]
    flatter = [i for i in told if (found := pairs[i].result) and found.verdict is Verdict.BETTER]
    chosen = {s.arm for s in settings if decision and s.name == decision.choice}
    counted = [i for i in made if pairs[i].role is not Role.SENSITIVITY]
    own = [i for i in counted if chosen & {pairs[i].arm_a, pairs[i].arm_b}]
    return next(iter(flatter or leads or told or own or made or places), None)


def _frame_lists(record: SuiteRecord, decision: Decision | None) -> list[FrameList]:
    """Return each distinct list once: pipelines of an arm usually take the same frames.

    The chosen one comes first. Those of an oracle are left out: only who has all labels can take
    them. Those of some videos, drawn at random, are never advised.
    """
    choice = decision.choice if decision else None
    shown = decision is not None and decision.standing is Standing.SHOWN
    open_ = [one for one in record.settings if not _arm(record, one.arm).get("oracle")]
    ordered = sorted(open_, key=lambda setting: setting.name != choice)
    lists: list[FrameList] = []
    for setting in ordered:
        known = any(one.arm == setting.arm and one.frames == setting.frames for one in lists)
        if setting.frames and not known:
            sure = shown and setting.name == choice and _worth_labelling(record, setting)
            lists.append(FrameList(setting.name, setting.arm, sure, dict(setting.frames)))
    return lists


def _worth_labelling(record: SuiteRecord, setting: SettingRecord) -> bool:
    """Return whether a setting beats its baselines, and has frames of all videos."""
    baselines = {str(row["baseline"]): row.get(record.primary) for row in setting.run.baselines}
    beats = unbeaten(setting.run.headline.get(record.primary), baselines) is None
    return beats and drawn_videos(record.config, setting.arm) is None


def _notes(record: SuiteRecord, kind: Kind) -> list[str]:
    own = [note for setting in record.settings for note in setting.run.notes]
    empty: list[Row] = [r for r in record.dataset.videos if r.get("positive_share") == 0]
    oracles = [
        f"the arm {name!r} is an oracle: it chooses its frames by their labels; it is compared, "
        "and never advised"
        for name in record.config.get("arms", {})
        if _arm(record, name).get("oracle")
    ]
    drawn = [
        f"the arm {name!r} trains on fewer videos, drawn at random in each fold: it is compared, "
        "and never advised"
        for name in (() if kind is Kind.ISO_BUDGET else fewer_videos(record.config))
    ]
    notes, lack = [*record.notes, *oracles, *drawn, *own], find_task(record.task).words.empty
    for row in empty:
        if not any(lack in note and str(row["video"]) in note for note in notes):
            notes.append(f"{lack} in {row['video']}: left out of both arms of comparisons")
    return list(dict.fromkeys(notes))
