"""A report on disk and on the terminal."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from vidseg.errors import StoreError, UsageError
from vidseg.experiment.records import SuiteRecord
from vidseg.report.advice import merged
from vidseg.report.agreement import with_disagreements
from vidseg.report.build import build
from vidseg.report.comparisons import left_out, verdict
from vidseg.report.facts import Report, Role
from vidseg.report.frames import cvat_files, file_names, frames_csv
from vidseg.report.html import to_html
from vidseg.report.latex import to_latex
from vidseg.report.markdown import to_markdown
from vidseg.report.pages import make_page
from vidseg.report.regularisation import choices
from vidseg.report.wording import between, count, errors, number, p_value, points
from vidseg.utils.files import replacing

FORMAT = 1
CHECKS = 3
"""Lines on the terminal about what looks wrong, at most."""
CVAT = "cvat"
"""Folder of the files for CVAT."""


def write_report(records: Sequence[SuiteRecord], folder: Path) -> dict[str, Path]:
    """Write the report of one suite, or of several on one page; each file whole or not at all.

    Args:
        records: finished suites.
        folder: made if absent; files of the same names are replaced, and what an earlier report
            put into its ``cvat`` folder is removed. Anything else in it stays.

    Returns:
        Path of each: ``html``, ``markdown``, ``latex``, ``json``, ``frames``, and ``cvat`` (a
        folder) where there are frames to label.

    Raises:
        UsageError: no suite is given.
        StoreError: the folder cannot be written.
    """
    if not records:
        raise UsageError("a report needs one suite at least", where="report")
    reports = with_disagreements([build(record) for record in records])
    pages = [make_page(one, f"s{place}") for place, one in enumerate(reports)]
    title = ", ".join(dict.fromkeys(report.suite for report in reports)) + ": report"
    lists = _cvat_texts(reports)
    data = {
        "format": FORMAT,
        "cvat": list(lists),
        "reports": [report.to_json() for report in reports],
    }
    texts = {
        "html": ("report.html", to_html(pages, title)),
        "markdown": ("report.md", to_markdown(pages, title)),
        "latex": ("report.tex", to_latex(pages, title)),
        "json": ("report.json", json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False)),
        "frames": ("frames.csv", frames_csv(reports)),
    }
    try:
        old = _old_lists(folder)
        for name, text in lists.items():
            _write(folder / name, text)
        paths = {kind: _write(folder / name, text) for kind, (name, text) in texts.items()}
        for name in old.difference(lists):
            _remove(folder / name)
        return paths | ({"cvat": folder / CVAT} if lists else {})
    except OSError as error:
        raise StoreError(
            f"the report cannot be written: {error.strerror or error}",
            where=folder,
            hint="name another folder, or make room",
        ) from error


def short(report: Report) -> str:
    """Return a report for the terminal: the sentence, then one line a comparison or curve."""
    lines = [report.sentence, *filter(None, [report.evidence])]
    for pair in report.pairs:
        if pair.result is None:
            lines.append(f"  {pair.a} -> {pair.b}: not compared, {pair.reason}")
            continue
        r = pair.result
        holm = pair.role is Role.FAMILY and r.p_adjusted != r.p_value
        guarded = f", {p_value(r.p_adjusted)} after Holm" if holm else ""
        lines.append(
            f"  {pair.a} -> {pair.b}: {points(r.difference)} points, {verdict(pair)} "
            f"({between(r.interval)}, p {p_value(r.p_value)}{guarded})"
        )
    lines += [f"  {said}" for said in (*left_out(report), *merged(report), *choices(report))]
    for curve in report.curves:
        scores = ", ".join(
            f"{number(n)}: {points(mean, sign=False)}"
            for n, mean in zip(curve.counts, curve.means, strict=True)
        )
        name = " ".join(part for part in (curve.pipeline, curve.label) if part)
        lines.append(f"  {name}, frames: {report.primary} %  {scores}")
    own = report.hints[: min(report.near, CHECKS)]
    lines += [f"  check: {said}" for said in own]
    if left := len(report.hints) - len(own):
        lines.append(f"  check: {count(left, 'line')} more in the report")
    lines += [f"  failed: {said}" for said in errors(report.failures)]
    return "\n".join(lines)


def _cvat_texts(reports: Sequence[Report]) -> dict[str, str]:
    """Return the text of each file for CVAT, by its path below the report's folder."""
    chosen = [(report.suite, one) for report in reports if (one := report.to_label)]
    places = file_names(f"{suite} {one.setting}" for suite, one in chosen)
    return {
        f"{CVAT}/{place}/{name}": text
        for place, (_, one) in zip(places, chosen, strict=True)
        for name, text in cvat_files(one).items()
    }


def _old_lists(folder: Path) -> set[str]:
    """Return the files for CVAT that the report which is there wrote, as it says itself."""
    try:
        said = json.loads((folder / "report.json").read_text(encoding="utf-8"))["cvat"]
        names = {str(name) for name in said}
    except (OSError, ValueError, LookupError, TypeError):
        return set()
    return {name for name in names if re.fullmatch(rf"{CVAT}/[\w.-]+/[\w.-]+\.xml", name)}


def _remove(path: Path) -> None:
    """Remove a file, and its folder and the one above when they are empty then."""
    path.unlink(missing_ok=True)
    for parent in list(path.parents)[:2]:
        with contextlib.suppress(OSError):
            parent.rmdir()


def _write(path: Path, text: str) -> Path:
    """Write a file so that a reader sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")
    return path
