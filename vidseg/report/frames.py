"""The frames to label: a CSV of every list, and XML files that CVAT imports as tags.

CVAT cannot be told at a task's creation which single frames to take: its frame filter knows
``step=N`` only. What it does take is an annotation file. These hold one tag a frame, in the format
"CVAT 1.1", for tasks made of a video's whole frames; annotators then step from tag to tag.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from xml.etree import ElementTree

from vidseg.report.facts import FrameList, Report

TAG = "label this frame"
COLUMNS = ("suite", "setting", "advised", "video", "frame", "frame_from_1")


def frames_csv(reports: Sequence[Report]) -> str:
    """Return every list as CSV with a header: one row a frame.

    ``frame`` counts from 0 as everywhere in vidseg, ``frame_from_1`` as MOT's file names do.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for report in reports:
        for one in report.frame_lists:
            advised = "yes" if one.advised else "no"
            for video, frames in one.frames.items():
                for i in frames:
                    writer.writerow([report.suite, one.setting, advised, video, i, i + 1])
    return out.getvalue()


def cvat_files(one: FrameList) -> dict[str, str]:
    """Return the text of one XML file for each video, by file name."""
    names = unique_names(one.frames)
    return {f"{names[video]}.xml": cvat_xml(frames) for video, frames in one.frames.items()}


def cvat_xml(frames: Iterable[int]) -> str:
    """Return frames as tags of the label :data:`TAG`, in the format CVAT 1.1.

    CVAT looks for a frame of the image's name first and takes the id as the frame's number if
    there is none; ``frame_000019`` is what it calls frame 19 of a video itself.
    """
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    for i in frames:
        image = ElementTree.SubElement(root, "image", id=str(i), name=f"frame_{i:06d}")
        ElementTree.SubElement(image, "tag", label=TAG, source="manual")
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def unique_names(names: Iterable[str]) -> dict[str, str]:
    """Return a file name for each name: letters, digits, ``.-_``; different for different names."""
    different = list(dict.fromkeys(names))
    return dict(zip(different, file_names(different), strict=True))


def file_names(names: Iterable[str]) -> list[str]:
    """Return a file name for each name, in order; no two alike, even where names are."""
    found: list[str] = []
    taken: set[str] = set()
    for name in names:
        safe = re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII).strip("._")[:80] or "unnamed"
        candidate, place = safe, 2
        while candidate.casefold() in taken:
            candidate, place = f"{safe}_{place}", place + 1
        taken.add(candidate.casefold())
        found.append(candidate)
    return found
