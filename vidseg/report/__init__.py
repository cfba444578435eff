"""The report of a suite: facts, one sentence, and pages made of them.

``build`` turns a record into facts; ``write_report`` writes HTML, Markdown, LaTeX, JSON and the
frames to label; ``suite_to_json`` and ``suite_from_json`` carry a record through MLflow.
"""

from vidseg.report.build import build
from vidseg.report.facts import Report
from vidseg.report.front import main_settings
from vidseg.report.transport import suite_from_json, suite_to_json
from vidseg.report.write import short, write_report

__all__ = [
    "Report",
    "build",
    "main_settings",
    "short",
    "suite_from_json",
    "suite_to_json",
    "write_report",
]
