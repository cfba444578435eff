"""Fits cells and scores them: the experiment itself. Knows nothing of MLflow or terminals.

A cell is one setting (frames and classifier) trained on the training groups of one fold. It has two
stages, fit and score, each kept in the ledger when it is finished; a stage whose key is there is
read, not done again. The models of many cells that wait for one fold are scored together, in one
forward of each test frame.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from vidseg import plugins
from vidseg.classifiers.base import Classifier
from vidseg.classifiers.load import load_model
from vidseg.errors import StoreError
from vidseg.experiment import live
from vidseg.experiment.config import CHOSEN, Setting, Start
from vidseg.experiment.distributed import team_for
from vidseg.experiment.fit import (
    FitJob,
    KeptModel,
    check_training,
    fit_model,
    make_classifier,
    prepare,
    refine_labels,
    smallest_part,
    torch_threads,
)
from vidseg.experiment.fold_frames import FoldFrames
from vidseg.experiment.keys import fit_inputs, score_inputs, score_stage
from vidseg.experiment.ledger import Ledger, Stage
from vidseg.experiment.locks import hold
from vidseg.experiment.options import INNER
from vidseg.experiment.score import TestSide, batches, score_batches
from vidseg.experiment.splits import Fold
from vidseg.experiment.stages import (
    CellCounts,
    CellResult,
    FitResult,
    ScoreResult,
    fit_result,
    read_counts,
    read_curves,
    read_facts,
)
from vidseg.experiment.threshold import held_out_groups
from vidseg.experiment.training import PreparedVideo
from vidseg.experiment.twins import twin_fit
from vidseg.extractors.base import ExtractorHandle
from vidseg.types import Model, State
from vidseg.utils.hashing import digest
from vidseg.utils.progress import Progress, Shared
from vidseg.utils.stop import check_stop


@dataclass
class Experiment(FoldFrames):
    """An opened data set with an extractor, ready to fit and score cells.

    Attributes:
        handle: the extractor.
        ledger: where finished stages are kept.
        progress: where to tell how far it is.
        stop: raises :class:`vidseg.errors.Stopped` when the user asked to stop.
        notes: facts that the user should see.
        siblings: experiments by pipeline, whose cells may be what others start from or follow.
    """

    handle: ExtractorHandle
    ledger: Ledger
    progress: Progress
    stop: Callable[[], None] = check_stop
    notes: list[str] = field(default_factory=list)
    siblings: Mapping[str, Experiment] = field(default_factory=dict, repr=False)
    _held: set[str] = field(default_factory=set, repr=False)

    def key(self, setting: Setting, fold: Fold) -> str:
        """Return the key of a cell: the same content, configuration and code, the same key."""
        return digest(self._fit_inputs(setting, fold))

    def finished(self, setting: Setting, fold: Fold) -> CellResult | None:
        """Return a cell whose two stages are in the ledger, without its model; else None."""
        key = self.key(setting, fold)
        fit = self.ledger.read(key, "fit")
        if fit is None:
            return None
        scored = self.kept_scores(key, fold)
        if scored is None:
            return None
        return CellResult(
            key, read_facts(fit.result["facts"]), read_curves(fit.result["curves"]), scored
        )

    def is_fitted(self, setting: Setting, fold: Fold) -> bool:
        """Return whether the ledger holds the fitted model of a cell."""
        stage = self.ledger.read(self.key(setting, fold), "fit")
        return stage is not None and stage.model is not None

    def forget(self, setting: Setting, fold: Fold) -> None:
        """Remove the two stages of a cell from the ledger, and what an unfinished fit left.

        Raises:
            StoreError: the ledger cannot be written.
        """
        key = self.key(setting, fold)
        if not self.ledger.folder(key).exists():
            return
        with self._alone([key], "forgetting"):
            self.ledger.remove(key, "fit")
            self.ledger.remove(key, score_stage(self._score_inputs(key, fold)))
            shutil.rmtree(self.ledger.workdir(key), ignore_errors=True)
            live.clear(self.ledger.folder(key))

    def restore(self, cell: Mapping[str, Any]) -> bool:
        """Write a finished cell of another machine into the ledger, without its model.

        Args:
            cell: ``key``, ``facts``, ``curves``, ``score_inputs`` and ``counts`` as plain data.

        Returns:
            False when it is damaged; it is left out then, and done again.

        Raises:
            StoreError: the ledger cannot be written.
        """
        try:
            facts, curves = read_facts(cell["facts"]), read_curves(cell["curves"])
            key, inputs, counts = str(cell["key"]), dict(cell["score_inputs"]), cell["counts"]
            read_counts(counts, self.task)
            self.ledger.folder(key)
        except (LookupError, TypeError, ValueError, AttributeError, StoreError):
            return False
        if self.ledger.read(key, "fit") is None:
            result = {"facts": facts, "curves": [list(row) for row in curves]}
            self.ledger.write(key, "fit", Stage({}, result))
        stage = score_stage(inputs)
        if self.ledger.read(key, stage) is None:
            self.ledger.write(key, stage, Stage(inputs, counts))
        return True

    def kept_scores(self, key: str, fold: Fold) -> ScoreResult | None:
        """Return the scores of a fitted cell that are in the ledger, else None."""
        inputs = self._score_inputs(key, fold)
        stage = self.ledger.read(key, score_stage(inputs))
        return (
            None
            if stage is None
            else ScoreResult(inputs, read_counts(stage.result, self.task), reused=True)
        )

    def fit(self, setting: Setting, fold: Fold, label: str) -> FitResult:
        """Fit a setting on the training side of a fold, or find the finished fit.

        Args:
            setting: what is trained.
            fold: its training groups, and which of their frames are held out.
            label: what progress calls it, such as ``"fold 2/4"``.

        What it starts from, or follows, is fitted before, if it is not there.

        Raises:
            VidsegError: whatever the classifier or the data refuses.
        """
        inputs = self._fit_inputs(setting, fold)
        key = digest(inputs)
        if kept := self._kept_fit(key, setting, fold):
            return kept
        if setting.init:  # before the cell is locked: nobody waits for two cells in two orders
            self._started(setting.init, fold, label)
        self._followed(setting, fold, label)
        with self._alone([key], label):
            kept = self._kept_fit(key, setting, fold) or self._twin_fit(inputs, setting, fold)
            return kept or self._fit_now(key, inputs, setting, fold, label)

    def _kept_fit(self, key: str, setting: Setting, fold: Fold) -> FitResult | None:
        stage = self.ledger.read(key, "fit")
        return None if stage is None else fit_result(key, setting, fold, stage, reused=True)

    def _twin_fit(self, inputs: dict[str, Any], setting: Setting, fold: Fold) -> FitResult | None:
        found = twin_fit(self.ledger, setting, inputs, lambda twin: self.key(twin, fold))
        if found is None:
            return None
        stage = self.ledger.write(digest(inputs), "fit", Stage(inputs, found[0]), found[1])
        return fit_result(digest(inputs), setting, fold, stage, reused=True)

    def _started(self, init: Start, fold: Fold, label: str) -> FitResult:
        """Return the cell that another one starts from."""
        return self.siblings[init.pipeline].fit(init.setting, fold, f"{label}: {init.name}")

    def _followed(
        self, setting: Setting, fold: Fold, label: str
    ) -> tuple[Setting, dict[str, float]]:
        """Return what is fitted once the cell that is followed has chosen, and the facts of it."""
        if setting.follow is None:
            return setting, {}
        leader = setting.follow
        owner = self.siblings[leader.pipeline]
        stage = self.ledger.read(owner.key(leader.setting, fold), "fit")
        facts = (
            read_facts(stage.result["facts"])
            if stage is not None
            else owner.fit(leader.setting, fold, f"{label}: {leader.name}").facts
        )
        chosen = {name: facts[name] for name in (CHOSEN, "tune_value") if name in facts}
        spec = setting.fitted_classifier(chosen)
        return replace(setting, classifier=spec, tune=None, follow=None), chosen

    def model(self, fitted: FitResult) -> Model:
        """Read the model of a fitted cell; where its file was altered, the fit is done again.

        Raises:
            DataError: the classifier refuses it; names the cell.
        """
        state = self.state(fitted)
        spec = fitted.setting.fitted_classifier(fitted.facts)
        classifier: Classifier = plugins.create("classifier", spec)
        where = f"cell {fitted.key} of ledger {self.ledger.root}"
        return load_model(classifier, state, self.handle, where=where)

    def state(self, fitted: FitResult) -> State:
        """Read the arrays of a fitted cell's model; see :meth:`model`."""
        state = fitted.state.load()
        if state is None:
            state = self._whole(fitted).state.load()
        if state is None:
            raise StoreError("is not read as it was written", where=fitted.state.path)
        return state

    def _whole(self, fitted: FitResult) -> FitResult:
        """Return a fitted cell, done again where the file of its model is not as it was written."""
        if fitted.state.intact:
            return fitted
        with self._alone([fitted.key], "fit again"):
            kept = self._kept_fit(fitted.key, fitted.setting, fitted.fold)
            if kept is not None and kept.state.intact:
                return kept
            inputs = self._fit_inputs(fitted.setting, fitted.fold)
            return self._fit_now(fitted.key, inputs, fitted.setting, fitted.fold, "fit again")

    @contextlib.contextmanager
    def _alone(self, keys: Iterable[str], label: str) -> Iterator[None]:
        """Be the only process that works on some cells; another one is waited for."""
        keys = set(keys) - self._held
        with hold((self.ledger.lock(key) for key in keys), label, self.progress, self.stop):
            self._held |= keys
            try:
                yield
            finally:
                self._held -= keys

    def score(
        self,
        fitted: Mapping[str, FitResult],
        fold: Fold,
        label: str,
        moved: Callable[[float], None] = lambda share: None,
    ) -> dict[str, ScoreResult]:
        """Score fitted cells and their baselines on the test side of a fold, or read the scores.

        All cells whose scores are not there yet are scored in one forward of each test frame.

        Args:
            fitted: fitted cells of the fold, by any name.
            fold: the fold.
            label: what progress calls it.
            moved: called after each frame with its share of the work.
        """
        result = self._scored(fitted, fold)
        waiting = {name: cell for name, cell in fitted.items() if name not in result}
        if waiting:
            with self._alone((cell.key for cell in waiting.values()), label):
                result |= self._scored(waiting, fold)
                left = {name: cell for name, cell in waiting.items() if name not in result}
                if left:
                    result |= self._score_now(left, fold, label, moved)
        return {name: result[name] for name in fitted}

    def _scored(self, fitted: Mapping[str, FitResult], fold: Fold) -> dict[str, ScoreResult]:
        """Return the scores that are in the ledger."""
        kept = {name: self.kept_scores(cell.key, fold) for name, cell in fitted.items()}
        return {name: scores for name, scores in kept.items() if scores is not None}

    def _fit_now(
        self, key: str, inputs: dict[str, Any], setting: Setting, fold: Fold, label: str
    ) -> FitResult:
        asked = setting
        setting, followed = self._followed(asked, fold, label)
        train = self.training(asked, fold)
        if self.config.threshold == INNER:
            held_out_groups(train, setting.seed)  # what cannot be chosen is refused before the fit
        facts = refine_labels(train, label, self.progress, self.stop)
        counted = check_training(train, self.task)
        classifier, _ = make_classifier(setting, counted, self.task)
        features = "features" in classifier.needs
        prepare(train, label, self.progress, self.stop, features=features)
        job = FitJob(
            train,
            self.handle,
            self.task,
            setting,
            counted,
            self.config.threshold == INNER,
            self.config.device,
            self.config.memory_budget,
            self.config.threads,
            self.ledger.workdir(key),
            self._init(setting, fold, label),
            0.0 if isinstance(self.config.threshold, str) else self.config.threshold,
            self.ledger.folder(key),
            keeps=not fold.test or self.config.split.name == "fixed",
        )
        team = team_for(classifier, smallest_part(train, setting))
        model, found, curves = team.run(fit_model, job, progress=self.progress, stop=self.stop)
        rows = [list(row) for row in curves]
        result = {"facts": facts | counted | found | followed, "curves": rows}
        stage = self.ledger.write(key, "fit", Stage(inputs, result), model.export())
        shutil.rmtree(job.workdir, ignore_errors=True)
        live.finish(self.ledger.folder(key))
        fitted = fit_result(key, asked, fold, stage, reused=False)
        assert fitted is not None
        return fitted

    def _init(self, setting: Setting, fold: Fold, label: str) -> KeptModel | None:
        """Return the model that a fit starts from, if it starts from one."""
        if setting.init is None:
            return None
        owner = self.siblings[setting.init.pipeline]
        start = owner._whole(self._started(setting.init, fold, label))
        spec = start.setting.fitted_classifier(start.facts)
        return KeptModel(start.state, spec, owner.handle)

    def _score_now(
        self,
        cells: Mapping[str, FitResult],
        fold: Fold,
        label: str,
        moved: Callable[[float], None],
    ) -> dict[str, ScoreResult]:
        side = TestSide(
            self.members(fold.test),
            lambda material: self.test_frames(fold, material),
            self.task,
            self.margin,
            self.config.device,
            self.stop,
        )
        groups = batches(cells, self.config.memory_budget)
        names = ", ".join(material.video.name for material in side.videos)
        threads = torch_threads(self.config.threads)
        title, total = f"{label}: scoring {names}", len(groups) * side.count
        with self.progress.task(title, total) as bar, threads:
            for material in side.videos:
                material.stored.prepare(side.frames(material))
            scored = score_batches(
                groups,
                side,
                load=self.model,
                training=lambda cell: self.training(cell.setting, fold),
                threshold=self.threshold,
                bar=Shared(bar, total, moved),
            )
            return {name: self._keep_scores(cells[name], counts, fold) for name, counts in scored}

    def threshold(self, fitted: FitResult) -> float:
        """Return the threshold of a fitted cell: the configuration's, or the one it chose."""
        given = self.config.threshold
        return fitted.facts["threshold"] if isinstance(given, str) else given

    def _keep_scores(self, cell: FitResult, counts: CellCounts, fold: Fold) -> ScoreResult:
        inputs = self._score_inputs(cell.key, fold)
        result = {kind: [video.to_json() for video in rows] for kind, rows in counts.items()}
        self.ledger.write(cell.key, score_stage(inputs), Stage(inputs, result))
        return ScoreResult(inputs, counts, reused=False)

    def _fit_inputs(self, setting: Setting, fold: Fold) -> dict[str, Any]:
        members = self.training_videos(setting, fold.train)
        keys = [self._label_key(setting, material) for material in members]
        init, follow = (
            self.siblings[one.pipeline].key(one.setting, fold) if one else None
            for one in (setting.init, setting.follow)
        )
        return fit_inputs(self.config, setting, fold, members, keys, init, follow)

    def _label_key(self, setting: Setting, material: PreparedVideo) -> str:
        if setting.labelling.plain:
            return material.video.label_key
        return self.labels_of(setting, material.video.name).labels.key

    def _score_inputs(self, key: str, fold: Fold) -> dict[str, Any]:
        return score_inputs(self.config, key, fold, self.members(fold.test), self.margin)
