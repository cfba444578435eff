"""Suite files: read, overridden from the command line, checked, with errors that name the line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vidseg.errors import UsageError
from vidseg.experiment.config import RunConfig, Setting, Start, Tuning
from vidseg.experiment.options import CONDITIONS
from vidseg.labels.effort import Price
from vidseg.suites.adapt import adapt
from vidseg.suites.arms import (
    Arm,
    arm_mapping,
    check_tuned_as,
    expand_arm,
    priced,
    setting_name,
)
from vidseg.suites.overrides import override
from vidseg.suites.pipelines import (
    choose_pipelines,
    find_follows,
    find_paths,
    find_starts,
    find_tunings,
    make_pipelines,
)
from vidseg.suites.schema import SCHEMA, Source, SuiteFile
from vidseg.utils.paths import user_path
from vidseg.utils.suggest import did_you_mean
from vidseg.utils.yaml import parse_yaml, read_text

FILES = Path(__file__).parent / "files"


@dataclass(frozen=True)
class Suite:
    """A checked suite.

    Attributes:
        file: what was read, overrides applied; its YAML form repeats the suite.
        arms: grids expanded, in the file's order.
        pipelines: run configurations by name; their sampler is not used.
        comparisons: (a, b, question) by arm names.
        starts: by name of a pipeline the one whose fitted model it starts from (``init_from``).
        tunings: by name of a pipeline the grid of which each cell takes its best (``tune``); one
            that follows another has the other's.
        follows: by name of a pipeline the one whose choice it takes (``tune_from``): on the arms
            that both run, and on others that are ``tuned_as`` one of them. Without such an arm it
            chooses from the same grid itself.
        paths: by name of a pipeline the values at which its comparisons are made as well.
        not_run: names of the pipelines of the file that are left out.
        notes: what changes of the command line took along.
    """

    file: SuiteFile
    arms: tuple[Arm, ...]
    pipelines: dict[str, RunConfig]
    comparisons: tuple[tuple[str, str, str], ...]
    starts: dict[str, str] = field(default_factory=dict)
    tunings: dict[str, Tuning] = field(default_factory=dict)
    follows: dict[str, str] = field(default_factory=dict)
    paths: dict[str, Tuning] = field(default_factory=dict)
    not_run: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the suite."""
        return self.file.name

    @property
    def settings(self) -> list[tuple[Arm, str]]:
        """(arm, pipeline) of every setting, pipelines in turn."""
        return [
            (arm, name) for name in self.pipelines for arm in self.arms if name in arm.pipelines
        ]

    @property
    def sensitivity(self) -> frozenset[str]:
        """Names of the pipelines whose comparisons are checks outside the family.

        None where only such are run: they carry the verdicts then.
        """
        file = self.file.pipelines
        checks = frozenset(
            name for name in self.pipelines if name in file and file[name].sensitivity
        )
        return checks if len(checks) < len(self.pipelines) else frozenset()

    @property
    def lead(self) -> tuple[str, str, str] | None:
        """(a, b, pipeline) of the comparison that is tested alone, of the first such pipeline."""
        chosen = next((one for one in self.file.comparisons if one.lead), None)
        if chosen is None:
            return None
        a, b = str(chosen.a), str(chosen.b)
        run = {arm.name: arm.pipelines for arm in self.arms}
        for name in self.pipelines:
            if name not in self.sensitivity and all(name in run.get(arm, ()) for arm in (a, b)):
                return a, b, name
        return None

    def setting(self, arm: Arm, pipeline: str, seed: int) -> Setting:
        """Return what one setting trains with one seed."""
        config, init, follow = self.pipelines[pipeline], None, None
        if (before := self.starts.get(pipeline)) is not None:
            init = Start(setting_name(arm, before), before, self.setting(arm, before, seed))
        if (leader := self._leader(arm, pipeline)) is not None:
            own = self.seeds(leader[0])
            setting = self.setting(*leader, seed if seed in own else own[0])
            follow = Start(setting_name(*leader), leader[1], setting)
        return Setting(
            arm.sampler,
            config.classifier,
            seed,
            arm.videos,
            config.budget,
            arm.labelling,
            init,
            self.tunings.get(pipeline),
            follow,
        )

    def path(self, arm: Arm, pipeline: str) -> Tuning | None:
        """Return the values at which a setting is fitted beside its own; of compared arms only."""
        compared = {name for a, b, _ in self.comparisons for name in (a, b)}
        return self.paths.get(pipeline) if arm.name in compared else None

    def _leader(self, arm: Arm, pipeline: str) -> tuple[Arm, str] | None:
        """Return arm and pipeline whose choice a setting takes, None where it chooses itself."""
        leader = self.follows.get(pipeline)
        if leader is not None and leader in arm.pipelines:
            return arm, leader
        like = next((one for one in self.arms if one.name == arm.tuned_as), None)
        chooser = leader or pipeline
        if like is None or chooser not in like.pipelines or pipeline not in self.tunings:
            return None
        return like, chooser

    def tuned_alone(self, names: Collection[str]) -> Suite:
        """Return the suite with some arms choosing from grids themselves."""
        arms = [replace(a, tuned_as=None) if a.name in names else a for a in self.arms]
        return replace(self, arms=tuple(arms))

    def seeds(self, arm: Arm) -> Sequence[int]:
        """Return the seeds over which an arm's scores are averaged."""
        return self.file.seeds if arm.seeds is None else arm.seeds

    @property
    def price(self) -> Price | None:
        """What a box and a look take; None where the suite does not count minutes."""
        box, look = self.file.seconds_per_box, self.file.seconds_per_look
        return None if box is None and look is None else Price.of(box, look)

    def depth(self, arm: Arm, pipeline: str) -> int:
        """Return how many fits come before one of a setting: 0 where it is by itself."""
        if (before := self.starts.get(pipeline)) is not None:
            return 1 + self.depth(arm, before)
        leader = self._leader(arm, pipeline)
        return 0 if leader is None else 1 + self.depth(*leader)

    def restricted(self, names: Collection[str]) -> Suite:
        """Return the suite with some of its pipelines, and the arms and comparisons they run.

        Raises:
            UsageError: no arm runs one of them.
        """
        arms = [
            replace(a, pipelines=tuple(p for p in a.pipelines if p in names)) for a in self.arms
        ]
        runs = {arm.name: set(arm.pipelines) for arm in arms}
        if not any(runs.values()):
            raise UsageError(f"no arm runs {', '.join(names)}", where="--pipeline")
        return replace(
            self,
            arms=tuple(arm for arm in arms if arm.pipelines),
            pipelines={name: one for name, one in self.pipelines.items() if name in names},
            comparisons=tuple(one for one in self.comparisons if runs[one[0]] & runs[one[1]]),
            starts={name: one for name, one in self.starts.items() if name in names},
            tunings={name: one for name, one in self.tunings.items() if name in names},
            follows={name: one for name, one in self.follows.items() if name in names},
            paths={name: one for name, one in self.paths.items() if name in names},
            not_run=tuple(name for name in self.pipelines if name not in names),
        )

    def mapping(self) -> dict[str, Any]:
        """Return the resolved suite as plain data."""
        first = next(iter(self.pipelines.values()))
        common = {k: v for k, v in first.mapping().items() if k in (*CONDITIONS, "dataset")}
        return {
            **self.file.model_dump(include={"name", "question", "primary", "delta", "level"}),
            "seeds": self.file.seeds,
            **({"fold_seed": self.file.fold_seed} if self.file.fold_seed else {}),
            **self.file.model_dump(
                include={"seconds_per_box", "seconds_per_look"}, exclude_none=True
            ),
            **common,
            "arms": {arm.name: arm_mapping(arm, first) for arm in self.arms},
            "pipelines": {name: self._pipeline_mapping(name) for name in self.pipelines},
            "comparisons": [
                {"a": a, "b": b, "question": question}
                | ({"lead": True} if self.lead and (a, b) == self.lead[:2] else {})
                for a, b, question in self.comparisons
            ],
        }

    def _pipeline_mapping(self, name: str) -> dict[str, Any]:
        config = self.pipelines[name]
        made: dict[str, Any] = {
            "extractor": config.extractor.mapping(),
            "classifier": config.classifier.mapping(),
        }
        if name in self.starts:
            made["init_from"] = self.starts[name]
        if name in self.follows:
            made["tune_from"] = self.follows[name]
        elif name in self.tunings:
            made["tune"] = self.tunings[name].mapping()
        if name in self.paths:
            made["path"] = self.paths[name].mapping()
        if name in self.sensitivity:
            made["sensitivity"] = True
        return made


def shipped() -> dict[str, Path]:
    """Return the suites that come with vidseg, by name."""
    return {path.stem: path for path in sorted(FILES.glob("*.yaml"))}


def find_suite(name: str) -> Path:
    """Return the file of a shipped suite, or the file that ``name`` is.

    Raises:
        UsageError: there is neither.
    """
    path = user_path(name)
    if name in shipped():
        return shipped()[name]
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return path
    raise UsageError(
        f"there is no suite and no YAML file {name!r}",
        hint=f"{did_you_mean(name, shipped())}`vidseg suite list` shows {', '.join(shipped())}",
    )


def load_suite(
    name: str, overrides: Mapping[str, Any] | None = None, pipelines: Sequence[str] = ()
) -> Suite:
    """Read, override and check a suite.

    Args:
        name: a shipped suite or a YAML file.
        overrides: values by dotted path, such as ``{"pipelines.sgd.classifier": "sgd:C=1"}``.
        pipelines: names of those to run; none: all that are not optional.

    Raises:
        UsageError: names the file, the line and the key.
    """
    path = find_suite(name)
    text = read_text(path, where="suite")
    data = _mapping(text, path)
    changed: list[str] = []
    for key, value in (overrides or {}).items():
        changed += override(data, key, value)
    return _checked(data, Source(str(path), text, changed), pipelines)


def make_suite(mapping: Mapping[str, Any]) -> Suite:
    """Check a suite that is given as plain data, such as :meth:`Suite.mapping`.

    Raises:
        UsageError: names the key.
    """
    return _checked(dict(mapping), Source(str(mapping.get("name", ""))))


def _mapping(text: str, path: Path) -> dict[str, Any]:
    data = parse_yaml(text, where=f"suite {path}")
    if not isinstance(data, dict):
        raise UsageError(
            "does not hold a mapping",
            where=f"suite {path}",
            hint="start from `vidseg suite show quickstart`",
        )
    return data


def _text_keys(data: Any) -> Any:
    """Return the data with every key as text: an arm may be called 20."""
    if isinstance(data, dict):
        return {str(key): _text_keys(value) for key, value in data.items()}
    return [_text_keys(one) for one in data] if isinstance(data, list) else data


def _checked(data: dict[str, Any], source: Source, chosen: Sequence[str] = ()) -> Suite:
    data = _text_keys(data)
    try:
        file = SCHEMA.model_validate(data)
    except ValidationError as error:
        raise source.refuse(error, data) from error
    adapted = adapt(file, source.changed)
    file = adapted.file
    pipelines = make_pipelines(file, source)
    arms: list[Arm] = []
    for name, arm in file.arms.items():
        arms.extend(expand_arm(name, arm, pipelines, source))
    arms = [priced(arm, file.seconds_per_box, file.seconds_per_look) for arm in arms]
    _check_names(arms, source)
    check_tuned_as(arms, source)
    starts = find_starts(file, arms, pipelines, source)
    tunings = find_tunings(file, arms, pipelines, source)
    follows = find_follows(file, pipelines, tunings, source)
    paths = find_paths(file, pipelines, tunings, source)
    tunings |= {name: tunings[leader] for name, leader in follows.items()}
    comparisons = _comparisons(file, arms, source)
    notes = tuple(adapted.notes)
    whole = Suite(
        file, tuple(arms), pipelines, comparisons, starts, tunings, follows, paths, notes=notes
    )
    chosen = [adapted.renamed.get(name, name) for name in chosen]
    names = choose_pipelines(file, {**starts, **follows}, chosen)
    return whole if len(names) == len(pipelines) else whole.restricted(names)


def _check_names(arms: Sequence[Arm], source: Source) -> None:
    """Refuse two arms, or two settings, of one name.

    Raises:
        UsageError: there are.
    """
    twice = [name for name, count in Counter(arm.name for arm in arms).items() if count > 1]
    if twice:
        raise UsageError(
            f"two arms are named {twice[0]!r}",
            where=source.place(["arms"]),
            hint="rename one; the name of a grid holds each of its axes, such as {frames}",
        )
    names = Counter(f"{arm.name} {pipeline}" for arm in arms for pipeline in arm.pipelines)
    same = [name for name, count in names.items() if count > 1]
    if same:
        raise UsageError(
            f"two pairs of arm and pipeline are named {same[0]!r}",
            where=source.place(["arms"]),
            hint="rename the arm or the pipeline",
        )


def _comparisons(
    file: SuiteFile, arms: Sequence[Arm], source: Source
) -> tuple[tuple[str, str, str], ...]:
    by_name = {arm.name: arm for arm in arms}
    found: list[tuple[str, str, str]] = []
    for place, comparison in enumerate(file.comparisons):
        keys = ["comparisons", str(place)]
        a, b = str(comparison.a), str(comparison.b)
        for side, name in (("a", a), ("b", b)):
            if name not in by_name:
                raise UsageError(
                    f"there is no arm {name!r}",
                    where=source.place([*keys, side]),
                    hint=f"{did_you_mean(name, by_name)}the arms are {', '.join(by_name)}",
                )
        if a == b:
            raise UsageError(f"compares {a!r} with itself", where=source.place(keys))
        earlier = [{one[0], one[1]} for one in found]
        if {a, b} in earlier:
            raise UsageError(
                f"compares {a!r} and {b!r}, as comparisons.{earlier.index({a, b})} does",
                where=source.place(keys),
                hint="remove one of them",
            )
        if not set(by_name[a].pipelines) & set(by_name[b].pipelines):
            raise UsageError(
                f"no pipeline runs both {a!r} and {b!r}",
                where=source.place(keys),
                hint="give them a common one",
            )
        both = set(by_name[a].pipelines) & set(by_name[b].pipelines)
        if comparison.lead and all(file.pipelines[name].sensitivity for name in both):
            raise UsageError(
                f"the lead comparison {a!r} against {b!r} runs with sensitivity pipelines only",
                where=source.place(keys),
                hint="give both arms a pipeline without sensitivity, or another lead",
            )
        found.append((a, b, comparison.question))
    return tuple(found)
