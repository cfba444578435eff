"""What labels of some frames cannot give: arms that are left out before anything runs, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from vidseg import plugins
from vidseg.errors import UnlabelledError, VidsegError
from vidseg.experiment.experiment import Experiment
from vidseg.plugins.spec import Spec
from vidseg.samplers.base import usual_spacing
from vidseg.suites.cells import Cell
from vidseg.utils.text import plural


@dataclass(frozen=True)
class LeftOut:
    """Arms that the labels cannot give.

    Attributes:
        errors: what the sampler said first, by name of the arm.
        comparisons: (a, b) of the comparisons that lose an arm.
    """

    errors: Mapping[str, VidsegError] = field(default_factory=dict)
    comparisons: Sequence[tuple[str, str]] = ()

    @property
    def notes(self) -> list[str]:
        """One line for each arm, and one for the comparisons that go with them."""
        lines = [
            f"the arm {arm} is left out, the labels do not have its frames: {error}"
            for arm, error in self.errors.items()
        ]
        if self.comparisons:
            named = ", ".join(f"{a} against {b}" for a, b in self.comparisons)
            lines.append(f"not compared, because an arm is left out: {named}")
        return lines


def left_out(
    cells: Sequence[Cell],
    comparisons: Sequence[tuple[str, str, str]],
    experiment: Callable[[Cell], Experiment],
) -> LeftOut:
    """Return the arms whose sampler finds its frames unlabelled in every fold.

    Only samplers that ask for a spacing are tried, and only where some frames are not labelled: the
    others may look at whole videos.

    Args:
        cells: of the suite.
        comparisons: (a, b, question) by arm names.
        experiment: returns the experiment of a cell.
    """
    errors: dict[str, VidsegError] = {}
    possible: set[str] = set()
    for cell in cells:
        arm, owner = cell.arm.name, experiment(cell)
        sparse = any(len(one.labelled) < one.length for one in owner.materials.values())
        if arm in possible or not sparse or asked_spacing(cell.arm.sampler) is None:
            possible.add(arm)
            continue
        try:
            owner.training(cell.setting, cell.fold)
        except UnlabelledError as error:
            errors.setdefault(arm, error)
        except Exception:  # samplers are anybody's; the plan and the fit say why
            possible.add(arm)
        else:
            possible.add(arm)
    found = {arm: error for arm, error in errors.items() if arm not in possible}
    lost = [(a, b) for a, b, _ in comparisons if a in found or b in found]
    return LeftOut(found, lost)


def asked_spacing(sampler: Spec) -> int | None:
    """Return the distance of two frames that a sampler asks for, None where it asks for none."""
    try:
        spacing = getattr(plugins.create("sampler", sampler), "spacing", None)
    except VidsegError:
        return None
    return spacing if isinstance(spacing, int) else None


def spacing_note(arm: str, sampler: Spec, frames: Mapping[str, Sequence[int]]) -> str | None:
    """Return a line where frames lie further apart than the sampler asks, as the labels allow.

    Args:
        arm: how the line calls it.
        sampler: its spec.
        frames: 0-based frames of each video that it took, ascending.
    """
    asked = asked_spacing(sampler)
    if asked is None:
        return None
    used = {video: usual_spacing(own) for video, own in frames.items()}
    wider = {video: step for video, step in used.items() if step is not None and step != asked}
    if not wider:
        return None
    steps = sorted(set(wider.values()))
    apart = str(steps[0]) if len(steps) == 1 else f"{steps[0]} to {steps[-1]}"
    counts = sorted({len(frames[video]) for video in wider})
    each = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    where = "" if len(wider) == len(frames) else f" of {', '.join(wider)}"
    return (
        f"{arm} asks for frames {asked} apart; the labels{where} have them {apart} apart, "
        f"{each} {plural('frame', counts[-1])} of a video"
    )
