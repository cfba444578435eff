"""``seqinfo.ini`` of a MOT sequence: every field is optional, and so is the file."""

from __future__ import annotations

import configparser
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class SeqInfo:
    """What the file announces.

    Attributes:
        folder: of the pictures, below the sequence's.
        suffix: of the pictures, with its dot; empty for any.
        length: number of frames, which is often another than that of the pictures.
        fps: frames per second.
        width, height: of the pictures that the boxes refer to, pixels.
        notes: what of the file was not used, and why.
    """

    folder: str = "img1"
    suffix: str = ""
    length: int | None = None
    fps: float | None = None
    width: int | None = None
    height: int | None = None
    notes: tuple[str, ...] = ()


def read_seqinfo(file: Path) -> SeqInfo:
    """Return what the file announces; what it lacks, or has in no usable form, is a default."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return SeqInfo()
    except (OSError, ValueError) as error:
        return SeqInfo(notes=(f"seqinfo.ini is not used: {_line(error)}",))
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        return SeqInfo(notes=(f"seqinfo.ini is not used: {_line(error)}",))
    if not parser.has_section("Sequence"):
        return SeqInfo(notes=("seqinfo.ini is not used: it has no section [Sequence]",))
    return _SectionReader(file.parent, dict(parser["Sequence"])).read()


class _SectionReader:
    """Reads the section; notes what is of no use."""

    def __init__(self, sequence: Path, values: dict[str, str]) -> None:
        self._sequence, self._values = sequence, values
        self._notes: list[str] = []

    def read(self) -> SeqInfo:
        found = {
            "folder": self._folder(),
            "suffix": self._values.get("imext", "").strip(),
            "length": self._number("seqLength", int),
            "fps": self._number("frameRate", float),
            "width": self._number("imWidth", int),
            "height": self._number("imHeight", int),
        }
        return SeqInfo(**found, notes=tuple(self._notes))

    def _folder(self) -> str:
        named = self._values.get("imdir", "img1").strip("/\\ ") or "img1"
        inside = Path(os.path.normpath(self._sequence / named)).is_relative_to(
            os.path.normpath(self._sequence)
        )
        if inside and (self._sequence / named).is_dir():
            return named
        if (self._sequence / "img1").is_dir():
            why = "there is no such folder" if inside else "it leads out of the sequence"
            self._notes.append(f"imDir={named} of seqinfo.ini is not used, but img1: {why}")
        return "img1"

    def _number(self, key: str, kind: Callable[[str], Any]) -> Any:
        text = self._values.get(key.lower(), "").strip()
        if not text:
            return None
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not (value > 0 and math.isfinite(value)):
            self._notes.append(f"{key}={text[:40]} of seqinfo.ini is not used: no positive number")
            return None
        return value


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
