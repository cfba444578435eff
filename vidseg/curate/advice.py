"""The advice of a finished suite as a sampler for other videos."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidseg.errors import DataError
from vidseg.experiment.config import RunConfig
from vidseg.plugins.spec import Spec
from vidseg.suites.suite import Suite, make_suite

REPORT = "report.json"


@dataclass(frozen=True)
class Advice:
    """What a suite advises.

    Attributes:
        suite: its name.
        setting: the setting that it advises.
        sampler: which frames that takes.
        config: of its pipeline: the extractor whose features that sees, and the image size.
    """

    suite: str
    setting: str
    sampler: Spec
    config: RunConfig


def is_report(text: str) -> bool:
    """Return whether a text names a report's folder or its JSON file, not a run."""
    path = Path(text)
    return path.suffix == ".json" or path.is_dir()


def read_reports(path: Path) -> list[Mapping[str, Any]]:
    """Return the suites of a report that was written to disk.

    Args:
        path: its folder, or its ``report.json``.

    Raises:
        DataError: there is none, or it is damaged.
    """
    file = path / REPORT if path.is_dir() else path
    try:
        reports = json.loads(file.read_text(encoding="utf-8"))["reports"]
        return [dict(report) for report in reports]
    except OSError as error:
        raise DataError(
            f"cannot be read ({error.strerror})",
            where=file,
            hint=f"give the folder of a report, which holds {REPORT}, or a suite's name or run id",
        ) from error
    except (ValueError, LookupError, TypeError) as error:
        raise DataError("is no report of a suite", where=file) from error


def find_advice(reports: Sequence[Mapping[str, Any]], where: str) -> Advice:
    """Return the advice of the first suite that shows one.

    Args:
        reports: facts of suites, as ``report.json`` holds them.
        where: what named them, for errors.

    Raises:
        DataError: none showed what to label: a candidate is not taken for an advice.
    """
    try:
        for report in reports:
            for one in report["frame_lists"]:
                if one["advised"]:
                    return _advice(report, str(one["setting"]), str(one["arm"]))
        first = reports[0]
        choice = (first["decision"] or {}).get("choice")
        arms = [str(one["arm"]) for one in first["settings"] if one["name"] == choice]
        candidate = _sampler(first, arms[0]) if arms else None
    except (LookupError, TypeError, StopIteration) as error:
        raise DataError("the record of the suite is not whole", where=where) from error
    hint = "choose with --by"
    if candidate is not None:
        hint += f", such as its candidate --by '{candidate}'"
    raise DataError(
        f"the suite {first['suite']} has not shown which frames are worth labelling",
        where=where,
        hint=f"{hint}; or give the suite more scenes",
    )


def _advice(report: Mapping[str, Any], setting: str, arm: str) -> Advice:
    suite = _suite(report)
    pipeline = next(s["pipeline"] for s in report["settings"] if s["name"] == setting)
    sampler = next(one.sampler for one in suite.arms if one.name == arm)
    return Advice(suite.name, setting, sampler, suite.pipelines[pipeline])


def _sampler(report: Mapping[str, Any], arm: str) -> Spec:
    return next(one.sampler for one in _suite(report).arms if one.name == arm)


def _suite(report: Mapping[str, Any]) -> Suite:
    """Return the suite of a report, to be computed on the devices that are here."""
    config = dict(report["config"])
    return make_suite({**config, "device": "auto"} if "device" in config else config)
