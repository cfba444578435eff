"""What the colours of an image are normalised with: options, a file beside the weights, library."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidseg.errors import DataError, UsageError, VidsegError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Normalisation = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of each colour, in 0..1."""

Colours = float | tuple[float, ...]
"""An option: one number for red, green and blue, or one for each."""

GIVEN = "as given"

_KEYS = {"mean": ("mean", "image_mean"), "std": ("std", "image_std")}
_DOUBLE_SUFFIXES = (".pth.tar", ".pt.tar")
_HUB_STEMS = ("model", "pytorch_model")
_HUB_FILES = ("config.json", "preprocessor_config.json")


@dataclass(frozen=True)
class Colour:
    """Mean or standard deviation of red, green and blue, in 0..1, and where it comes from."""

    values: tuple[float, ...]
    source: str

    def __str__(self) -> str:
        return f"{', '.join(f'{value:g}' for value in self.values)} ({self.source})"


def checked(name: str, given: Any) -> tuple[float, ...]:
    """Return mean or standard deviation as three numbers.

    Args:
        name: mean or std.
        given: one number for all colours, or three.

    Raises:
        ValueError: another number of them, not a number, a mean outside 0..1, or a standard
            deviation that is not above 0 and at most 1.
    """
    values = list(given) if isinstance(given, list | tuple) else [given] * 3
    if len(values) != 3:
        raise ValueError(f"{name} has {len(values)} numbers, not one or three (red, green, blue)")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{name} holds {value!r}, which is no number")
        if not (math.isfinite(value) and 0 <= value <= 1 and (name == "mean" or value > 0)):
            wanted = "from 0 to 1" if name == "mean" else "above 0 and at most 1"
            raise ValueError(
                f"{name} holds {value:g}; it must be {wanted} (of colours in 0..1, so figures of "
                "0..255 are divided by 255)"
            )
    return tuple(float(value) for value in values)


def option(name: str, given: Colours | None) -> Colour | None:
    """Return an option's values.

    Raises:
        UsageError: as :func:`checked`.
    """
    if given is None:
        return None
    try:
        return Colour(checked(name, given), GIVEN)
    except ValueError as error:
        raise UsageError(str(error), where=f"extractor, {name}=") from None


def beside(weights: Path) -> dict[str, Colour]:
    """Return what a JSON file beside a weights file says of mean and std; nothing without one.

    Read are ``NAME.json`` beside ``NAME.safetensors``, and for the files of a hub's repository
    (``model.safetensors``, ``pytorch_model.bin``) ``config.json`` and ``preprocessor_config.json``:
    the first that names one of them. The keys are ``mean`` and ``std``, at the top or in
    ``pretrained_cfg`` (timm), or ``image_mean`` and ``image_std`` (transformers).

    Raises:
        DataError: the file is not a JSON object, or its values are refused; names the file.
    """
    for path in json_files(weights):
        if path.is_file() and (found := _read(path)):
            return found
    return {}


def json_files(weights: Path) -> tuple[Path, ...]:
    """Return the JSON files that belong to a weights file, whether they exist or not."""
    double = next((s for s in _DOUBLE_SUFFIXES if weights.name.endswith(s)), weights.suffix)
    stem = weights.name.removesuffix(double)
    names = (f"{stem}.json", *(_HUB_FILES if stem in _HUB_STEMS else ()))
    return tuple(weights.with_name(name) for name in names)


def _read(path: Path) -> dict[str, Colour]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=path) from error
    except ValueError as error:
        raise _refused(f"is not JSON: {error}", path) from error
    if not isinstance(content, dict):
        raise _refused("holds no JSON object", path)
    try:
        return _values(content, path.name)
    except ValueError as error:
        raise _refused(str(error), path) from None


def _values(content: Mapping[str, Any], source: str) -> dict[str, Colour]:
    nested = content.get("pretrained_cfg")
    places = (content, nested) if isinstance(nested, dict) else (content,)
    found = {
        name: Colour(checked(name, place[key]), source)
        for name, keys in _KEYS.items()
        for place in reversed(places)
        for key in reversed(keys)
        if key in place
    }
    factor = content.get("rescale_factor", 1 / 255)
    if found and not (isinstance(factor, int | float) and math.isclose(factor, 1 / 255)):
        raise ValueError(f"rescale_factor {factor!r} is not 1/255: its mean and std are not read")
    if found and content.get("do_normalize") is False:
        return {"mean": Colour((0.0,) * 3, source), "std": Colour((1.0,) * 3, source)}
    return found


def _refused(what: str, path: Path) -> VidsegError:
    hint = 'write {"mean": [R, G, B], "std": [R, G, B]}, or give both mean= and std='
    return DataError(what, where=path, hint=hint)
