"""The pipelines of a suite file: what each trains, starts from, and chooses by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vidseg import plugins
from vidseg.errors import UsageError, VidsegError
from vidseg.experiment.config import RunConfig, Scalar, Tuning, make_config
from vidseg.plugins.spec import Spec
from vidseg.suites.arms import Arm
from vidseg.suites.schema import Source, SuiteFile
from vidseg.tasks.registry import find_task
from vidseg.utils.suggest import did_you_mean


def make_pipelines(file: SuiteFile, source: Source) -> dict[str, RunConfig]:
    """Return the configuration of each pipeline, with the conditions that the file states.

    Raises:
        UsageError: a plugin, a parameter or a condition is refused.
    """
    common = file.conditions
    if file.dataset is not None:
        with source.at("dataset"):
            common["dataset"] = plugins.resolve_several("dataset", file.dataset)
    made = {}
    for name, pipeline in file.pipelines.items():
        with source.at("pipelines", name, "extractor"):
            extractor = plugins.resolve("extractor", pipeline.extractor)
        with source.at("pipelines", name, "classifier"):
            classifier = plugins.resolve("classifier", pipeline.classifier)
        try:
            made[name] = make_config({**common, "extractor": extractor, "classifier": classifier})
        except VidsegError as error:  # of a condition, which its place names
            with source.at(error.where.split()[0] if error.where else "conditions"):
                raise
    return made


def find_starts(
    file: SuiteFile, arms: Sequence[Arm], configs: Mapping[str, RunConfig], source: Source
) -> dict[str, str]:
    """Return by pipeline the one that it starts from.

    Raises:
        UsageError: there is none of that name, they start from each other, the classifier does not
            start from a model, or an arm runs a pipeline without the one that it starts from.
    """
    pipelines = file.pipelines
    starts = {name: one.init_from for name, one in pipelines.items() if one.init_from is not None}
    for name, before in starts.items():
        where = source.place(["pipelines", name, "init_from"])
        if before not in pipelines:
            hint = f"{did_you_mean(before, pipelines)}the pipelines are {', '.join(pipelines)}"
            raise UsageError(f"there is no pipeline {before!r}", where=where, hint=hint)
        _check_takes_init(configs[name].classifier, where)
        chain = [name]
        while (last := starts.get(chain[-1])) is not None and last not in chain:
            chain.append(last)
        if last is not None:
            text = " from ".join([*chain, last])
            raise UsageError(f"starts from itself ({text})", where=where, hint="remove one of them")
        for arm in arms:
            if name in arm.pipelines and before not in arm.pipelines:
                raise UsageError(
                    f"the arm {arm.name!r} runs {name}, but not {before}, from which it starts",
                    where=where,
                    hint=f"add {before} to the pipelines of the arm",
                )
    return starts


def _check_takes_init(classifier: Spec, where: str) -> None:
    found = plugins.load(plugins.find("classifier", classifier.name))
    if not getattr(found, "takes_init", False):
        raise UsageError(
            f"the classifier {classifier.name} does not start from a fitted model",
            where=where,
            hint="remove init_from, or choose one that does, such as pixel_svm",
        )


def find_tunings(
    file: SuiteFile, arms: Sequence[Arm], configs: Mapping[str, RunConfig], source: Source
) -> dict[str, Tuning]:
    """Return by pipeline the grid that it is tuned on.

    Raises:
        UsageError: it is no grid of one parameter, a value is refused, or the pipeline starts from
            another one's model.
    """
    found = {}
    for name, pipeline in file.pipelines.items():
        if pipeline.tune is None:
            continue
        with source.at("pipelines", name, "tune"):
            found[name] = tuning = _tuning(pipeline.tune, configs[name])
            if pipeline.init_from is not None:
                raise UsageError(
                    "tune and init_from exclude each other: the model to start from has seen the "
                    "groups that inner folds hold out",
                    hint="a network's init=[pixel_svm] is fitted in every inner fold",
                )
            for arm in arms:
                if name in arm.pipelines:
                    last = tuning.candidate(configs[name].classifier, -1)
                    find_task().check_prior(last, arm.labelling.prior)
    return found


def _tuning(given: Mapping[str, Sequence[Any]], config: RunConfig) -> Tuning:
    spec = config.classifier
    if len(given) != 1:
        named = f"{', '.join(given)} are" if given else "nothing is"
        raise UsageError(f"{named} tuned", hint="write a grid of one parameter: tune: {C: [1, 10]}")
    ((parameter, values),) = given.items()
    for value in values:
        if not isinstance(value, Scalar):
            raise UsageError(f"{value!r} is refused", hint=f"a value of {parameter} is one scalar")
    if len(set(values)) < len(values):
        twice = next(value for value in values if values.count(value) > 1)
        raise UsageError(f"{parameter}={twice} stands twice", hint="remove one")
    check_values(Tuning(parameter, tuple(values)), spec)
    if len(values) == 1:
        raise UsageError(
            f"{parameter} has one value, which leaves nothing to choose",
            hint=f"write classifier: {spec.name}:{parameter}={values[0]}, and remove tune",
        )
    if parameter == "epochs" and config.budget.base is not None:
        raise UsageError(
            f"epochs={config.budget.base} of the suite stands above the classifier's",
            hint="remove one of them",
        )
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    return Tuning(parameter, tuple(sorted(values) if numbers else values))


def find_follows(
    file: SuiteFile, configs: Mapping[str, RunConfig], tunings: Mapping[str, Tuning], source: Source
) -> dict[str, str]:
    """Return by pipeline the tuned one whose choices it takes.

    Raises:
        UsageError: there is none of that name, it is not tuned, the classifier has no such
            parameter or refuses a value, or the pipeline is tuned or starts from a model itself.
    """
    found = {}
    for name, pipeline in file.pipelines.items():
        if (leader := pipeline.tune_from) is None:
            continue
        with source.at("pipelines", name, "tune_from"):
            if leader not in file.pipelines:
                near = did_you_mean(leader, file.pipelines)
                hint = f"{near}the pipelines are {', '.join(file.pipelines)}"
                raise UsageError(f"there is no pipeline {leader!r}", hint=hint)
            for other in ("tune", "init_from"):
                if getattr(pipeline, other) is not None:
                    raise UsageError(f"tune_from and {other} exclude each other", hint="remove one")
            if leader not in tunings:
                hint = f"give {leader} a grid, tune: {{C: [1, 10]}}, or remove tune_from"
                raise UsageError(f"the pipeline {leader} is not tuned", hint=hint)
            check_values(tunings[leader], configs[name].classifier)
            found[name] = leader
    return found


def find_paths(
    file: SuiteFile, configs: Mapping[str, RunConfig], tunings: Mapping[str, Tuning], source: Source
) -> dict[str, Tuning]:
    """Return by pipeline the values at which its comparisons are made beside its own.

    Raises:
        UsageError: they are no grid of one parameter, or a value is refused; ``path: true`` of a
            pipeline that has no grid.
    """
    found = {}
    for name, pipeline in file.pipelines.items():
        if pipeline.path is False:
            continue
        with source.at("pipelines", name, "path"):
            if pipeline.path is not True:
                found[name] = _tuning(pipeline.path, configs[name])
            elif name in tunings:
                found[name] = tunings[name]
            else:
                hint = "write path: {C: [0.01, 1, 100]}, or give it a grid"
                raise UsageError("the pipeline is not tuned, so its path has no values", hint=hint)
    return found


def check_values(tuning: Tuning, classifier: Spec) -> None:
    """Let a classifier refuse the values of a grid.

    Raises:
        UsageError: it has no such parameter, or no such value of it.
    """
    for index in range(len(tuning.values)):
        made = tuning.candidate(classifier, index)
        plugins.resolve("classifier", Spec(made.name, None, made.params))


def choose_pipelines(
    file: SuiteFile, starts: Mapping[str, str], asked: Sequence[str] = ()
) -> list[str]:
    """Return the names of the pipelines that a suite runs, in the file's order.

    Args:
        file: the suite file.
        starts: by pipeline the one that has to be fitted before, which goes along.
        asked: exact names; none: all that are not optional.

    Raises:
        UsageError: there is no pipeline of a name, or all are optional and none is asked for.
    """
    known = list(file.pipelines)
    for name in asked:
        if name not in known:
            hint = f"{did_you_mean(name, known)}the pipelines are {', '.join(known)}"
            raise UsageError(f"there is no pipeline {name!r}", where="--pipeline", hint=hint)
    wanted = set(asked) or {name for name, one in file.pipelines.items() if not one.optional}
    if not wanted:
        hint = f"choose some of {', '.join(known)}: --pipeline {known[0]}"
        raise UsageError(f"all pipelines of the suite {file.name} are optional", hint=hint)
    for name in tuple(wanted):
        while (before := starts.get(name)) is not None:
            wanted.add(before)
            name = before
    return [name for name in known if name in wanted]
