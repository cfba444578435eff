"""What labels of some frames cannot give: arms that are left out before anything runs, and why."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from vidseg import plugins
from vidseg.errors import UnlabelledError, VidsegError
from vidseg.experiment.experiment import Experiment
from vidseg.plugins.spec import Spec
from vidseg.samplers.base import usual_spacing
from vidseg.suites.cells import Cell
from vidseg.utils.text import plural

ONE_EACH = "each video has one labelled frame"


@dataclass(frozen=True)
class LeftOut:
    """Arms that the labels cannot give.

    Attributes:
        errors: what the sampler said first, by name of the arm.
        asked: the distance of frames that each arm asks for, by name.
        spacing: the distance of labelled frames, in words: ``"5"``, ``"5 to 10"``; "" where each
            video has one labelled frame.
        comparisons: (a, b) of the comparisons that lose an arm.
        followers: by name of an arm that stays, the one that it is ``tuned_as`` and that does not:
            it chooses from the grid itself.
    """

    errors: Mapping[str, VidsegError] = field(default_factory=dict)
    asked: Mapping[str, int] = field(default_factory=dict)
    spacing: str = ""
    comparisons: Sequence[tuple[str, str]] = ()
    followers: Mapping[str, str] = field(default_factory=dict)

    @property
    def notes(self) -> list[str]:
        """One line for the arms of each spacing, and for what goes with them."""
        there = f"labelled frames are {self.spacing} apart" if self.spacing else ONE_EACH
        lines = []
        for step in dict.fromkeys(self.asked.values()):
            arms = [arm for arm, asked in self.asked.items() if asked == step]
            many = len(arms) > 1
            lines.append(
                f"left out: {plural('the arm', len(arms))} {', '.join(arms)}: "
                f"{'they ask' if many else 'it asks'} for frames {step} apart, and {there}"
            )
        if self.comparisons:
            named = ", ".join(f"{a} against {b}" for a, b in self.comparisons)
            lines.append(f"not compared, because an arm is left out: {named}")
        return lines + [
            f"the arm {arm} is tuned as {like}, which is left out: it chooses by itself"
            for arm, like in self.followers.items()
        ]

    @property
    def refusal(self) -> VidsegError:
        """What to tell where every arm is left out."""
        first = next(iter(self.errors.values()))
        if len(self.errors) == 1:
            return first
        return UnlabelledError(
            f"no arm can be had: {'; '.join(self.notes[: len(set(self.asked.values()))])}",
            hint="give their samplers that spacing: --set arms.NAME.sampler=window:n=10,every=N"
            if self.spacing
            else "label more frames of each video",
        )


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
    if not found:
        return LeftOut()
    samplers = {cell.arm.name: cell.arm.sampler for cell in cells}
    asked = {arm: asked_spacing(samplers[arm]) or 1 for arm in found}
    materials = experiment(cells[0]).materials.values()
    used = {step for one in materials if (step := usual_spacing(one.labelled)) is not None}
    lost = [(a, b) for a, b, _ in comparisons if a in found or b in found]
    apart = _from_to(used) if used else ""
    return LeftOut(found, asked, apart, lost, _followers(cells, found))


def _followers(cells: Sequence[Cell], gone: Collection[str]) -> dict[str, str]:
    """Return by name the arms that stay and take choices of one that does not, and that one."""
    return {
        cell.arm.name: like
        for cell in cells
        if (like := cell.arm.tuned_as) is not None
        and like in gone
        and cell.arm.name not in gone
        and cell.setting.follow is not None
        and cell.setting.follow.name == f"{like} {cell.setting.follow.pipeline}"
    }


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
    apart = _from_to(wider.values())
    counts = {len(frames[video]) for video in wider}
    where = "" if len(wider) == len(frames) else f" of {', '.join(wider)}"
    return (
        f"{arm} asks for frames {asked} apart; the labels{where} have them {apart} apart, "
        f"{_from_to(counts)} {plural('frame', max(counts))} of a video"
    )


def _from_to(numbers: Iterable[int]) -> str:
    """Return ``"5"``, or ``"5 to 10"``."""
    low, high = min(numbers := set(numbers)), max(numbers)
    return str(low) if low == high else f"{low} to {high}"
