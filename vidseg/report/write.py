"""A report on disk and on the terminal."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from vidseg.errors import StoreError, UsageError
from vidseg.records import SuiteRecord
from vidseg.report.build import build
from vidseg.report.facts import Report
from vidseg.report.frames import cvat_files, frames_csv, unique_names
from vidseg.report.html import to_html
from vidseg.report.latex import to_latex
from vidseg.report.markdown import to_markdown
from vidseg.report.pages import make_page
from vidseg.report.wording import level, p_value, points, span

FORMAT = 1


def write_report(records: Sequence[SuiteRecord], folder: Path) -> dict[str, Path]:
    """Write the report of one suite, or of several on one page; each file whole or not at all.

    Args:
        records: finished suites.
        folder: made if absent; files of the same names are replaced.

    Returns:
        Path of each: ``html``, ``markdown``, ``latex``, ``json``, ``frames``, and ``cvat`` (a
        folder) where there are frames to label.

    Raises:
        UsageError: no suite is given.
        StoreError: the folder cannot be written.
    """
    if not records:
        raise UsageError("a report needs one suite at least", where="report")
    reports = [build(record) for record in records]
    names = unique_names(str(i) for i in range(len(reports)))
    pages = [make_page(one, f"s{name}") for one, name in zip(reports, names, strict=True)]
    title = ", ".join(dict.fromkeys(report.suite for report in reports)) + ": report"
    data = {"format": FORMAT, "reports": [report.to_json() for report in reports]}
    texts = {
        "html": ("report.html", to_html(pages, title)),
        "markdown": ("report.md", to_markdown(pages, title)),
        "latex": ("report.tex", to_latex(pages, title)),
        "json": ("report.json", json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False)),
        "frames": ("frames.csv", frames_csv(reports)),
    }
    try:
        paths = {kind: _write(folder / name, text) for kind, (name, text) in texts.items()}
        return paths | _write_cvat(reports, folder / "cvat")
    except OSError as error:
        raise StoreError(
            f"the report cannot be written: {error.strerror or error}",
            where=folder,
            hint="name another folder, or make room",
        ) from error


def short(report: Report) -> str:
    """Return a report for the terminal: the sentence, then one line a comparison or curve."""
    lines = [report.sentence]
    for pair in report.pairs:
        if pair.result is None:
            lines.append(f"  {pair.a} -> {pair.b}: not compared, {pair.reason}")
            continue
        r = pair.result
        lines.append(
            f"  {pair.a} -> {pair.b}: {points(r.difference)} points, {r.verdict} "
            f"({level(r.interval.level)} {span(r.interval)}, p {p_value(r.p_adjusted)})"
        )
    for curve in report.curves:
        scores = ", ".join(
            f"{n}: {points(mean, sign=False)}"
            for n, mean in zip(curve.counts, curve.means, strict=True)
        )
        name = " ".join(part for part in (curve.pipeline, curve.label) if part)
        lines.append(f"  {name}, frames: {report.primary} %  {scores}")
    for row in report.failures[:5]:
        lines.append(f"  failed: {row['cell']}: {row['error']}")
    return "\n".join(lines)


def _write_cvat(reports: Sequence[Report], folder: Path) -> dict[str, Path]:
    chosen = {i: report.frame_lists[0] for i, report in enumerate(reports) if report.frame_lists}
    titles = unique_names(f"{reports[i].suite} {one.setting}" for i, one in chosen.items())
    for i, one in chosen.items():
        place = folder / titles[f"{reports[i].suite} {one.setting}"]
        for name, text in cvat_files(one).items():
            _write(place / name, text)
    return {"cvat": folder} if chosen else {}


def _write(path: Path, text: str) -> Path:
    """Write a file so that a reader sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", newline="\n", dir=path.parent, suffix=".part", delete=False
    ) as part:
        try:
            part.write(text)
            part.flush()
            Path(part.name).chmod(0o666 & ~_umask())
            os.replace(part.name, path)  # noqa: PTH105 - atomic, and overwrites everywhere
        except BaseException:
            Path(part.name).unlink(missing_ok=True)
            raise
    return path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
