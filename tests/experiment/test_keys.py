"""Keys: whatever a cell's numbers depend on is in its key, and nothing else is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import ROOT
from vidseg.classifiers.base import Budget
from vidseg.errors import PluginError
from vidseg.experiment import keys
from vidseg.experiment.config import LabelConfig, RunConfig, Setting, make_config
from vidseg.experiment.experiment import Experiment
from vidseg.experiment.ledger import Ledger
from vidseg.experiment.open import OpenDataset, open_dataset, open_experiment
from vidseg.experiment.options import OPTIONS
from vidseg.experiment.splits import Fold, Part, folds
from vidseg.plugins import registry
from vidseg.plugins.registry import Plugin
from vidseg.plugins.spec import Spec
from vidseg.store import Store
from vidseg.types import Size
from vidseg.utils import sources
from vidseg.utils.progress import Quiet

PLAIN = {
    "dataset": "synthetic:videos=3,frames=8,size=64x48",
    "sampler": "successive:n=4",
    "extractor": "filters:octaves=1",
    "image_size": "32x24",
    "device": "cpu",
    "threads": 1,
}


@dataclass(frozen=True)
class Cell:
    """What the keys of a cell are made of."""

    config: RunConfig
    fold: Fold
    videos: tuple[Any, ...]
    labels: tuple[str, ...] = ("label a", "label b")
    margin: float = 2.0
    setting: Setting | None = None
    init: str | None = None

    def fit(self) -> dict[str, Any]:
        setting = self.setting or self.config.setting
        return keys.fit_inputs(self.config, setting, self.fold, self.videos, self.labels, self.init)

    def score(self, key: str = "k") -> dict[str, Any]:
        return keys.score_inputs(self.config, key, self.fold, self.videos, self.margin)


def video(labelled: tuple[int, ...] = (0, 1, 2), **changed: str) -> Any:
    given = {
        "name": "v",
        "image_key": "i",
        "label_key": "l",
        "group": "g",
        "key": "e",
        "task": "t",
        **changed,
    }
    own = {name: given.pop(name) for name in ("group", "key", "task")}
    return SimpleNamespace(
        group=own["group"],
        labelled=labelled,
        length=3,
        extractor=SimpleNamespace(key=own["key"]),
        task=SimpleNamespace(name=own["task"]),
        video=SimpleNamespace(**given),
    )


def cell(**options: Any) -> Cell:
    fold = Fold(0, ("one", "two"), ("three",))
    return Cell(make_config(PLAIN | options), fold, (video(), video(name="w")))


def with_setting(one: Cell, **changed: Any) -> Cell:
    return replace(one, setting=replace(one.config.setting, **changed))


def with_config(one: Cell, **changed: Any) -> Cell:
    return replace(one, config=replace(one.config, **changed))


def with_video(one: Cell, **changed: Any) -> Cell:
    return replace(one, videos=(video(**changed), one.videos[1]))


def with_part(one: Cell, *part: Any) -> Cell:
    return replace(one, fold=replace(one.fold, part=Part(*part)))


SUCCESSIVE = {"n": 5, "short": "error"}
FIT: dict[str, list[Callable[[Cell], Cell]]] = {
    "task": [lambda c: with_video(c, task="other")],
    "videos": [
        lambda c: with_video(c, name="other"),
        lambda c: with_video(c, image_key="other"),
        lambda c: with_video(c, labelled=(0, 2)),
        lambda c: with_video(c, labelled=(0, 1)),
        lambda c: replace(c, labels=("label a", "other")),
    ],
    "groups": [lambda c: with_video(c, group="other")],
    "train": [lambda c: replace(c, fold=replace(c.fold, train=("one",)))],
    "held_out": [
        lambda c: with_part(c, "frame", 2, 0),
        lambda c: with_part(c, "frame", 2, 1),
        lambda c: with_part(c, "frame", 3, 1),
        lambda c: with_part(c, "block", 3, 1),
    ],
    "sampler": [lambda c: with_setting(c, sampler=Spec("successive", None, SUCCESSIVE))],
    "extractor": [lambda c: with_video(c, key="other")],
    "classifier": [
        lambda c: with_setting(c, classifier=Spec("pixel_svm", None, {"C": 2.0})),
        lambda c: with_setting(c, classifier=Spec("pixel_svm", None, {"loss": "hinge"})),
    ],
    "image_size": [
        lambda c: with_config(c, image_size=Size(24, 48)),
        lambda c: with_config(c, image_size=None),
    ],
    "mask_size": [lambda c: with_config(c, mask_size=Size(24, 32))],
    "prior": [lambda c: with_setting(c, labelling=LabelConfig(prior=0.25))],
    "seed": [lambda c: with_setting(c, seed=1)],
    "init": [lambda c: replace(c, init="a"), lambda c: replace(c, init="b")],
    "budget": [
        lambda c: with_setting(c, budget=Budget("equal-steps")),
        lambda c: with_setting(c, budget=Budget(base=3)),
        lambda c: with_setting(c, budget=Budget(max_time=60.0)),
    ],
    "memory_budget": [lambda c: with_config(c, memory_budget=10**9)],
    "device": [lambda c: with_config(c, device="cuda")],
    "threads": [lambda c: with_config(c, threads=2)],
}
"""Changes of a cell that change one input of its fit alone."""

SCORE: dict[str, list[Callable[[Cell], Cell]]] = {
    "videos": [
        lambda c: with_video(c, name="other"),
        lambda c: with_video(c, image_key="other"),
        lambda c: with_video(c, labelled=(0, 2)),
        lambda c: with_video(c, label_key="other"),
    ],
    "groups": [lambda c: with_video(c, group="other")],
    "held_out": FIT["held_out"],
    "test_stride": [lambda c: with_config(c, test_stride=2)],
    "threshold": [lambda c: with_config(c, threshold=0.5)],
    "margin": [lambda c: replace(c, margin=3.0)],
}


@pytest.fixture(scope="module")
def base() -> Cell:
    return cell()


@pytest.mark.parametrize("entry", FIT)
def test_each_input_of_a_fit_is_in_its_key(base: Cell, entry: str) -> None:
    stands = base.fit()
    seen = [stands[entry]]
    for change in FIT[entry]:
        inputs = change(base).fit()
        assert {name for name in stands if stands[name] != inputs[name]} == {entry}
        assert inputs[entry] not in seen
        seen.append(inputs[entry])


@pytest.mark.parametrize("entry", SCORE)
def test_each_input_of_scoring_is_in_its_key(base: Cell, entry: str) -> None:
    stands = base.score()
    seen = [stands[entry]]
    for change in SCORE[entry]:
        inputs = change(base).score()
        assert {name for name in stands if stands[name] != inputs[name]} == {entry}
        assert inputs[entry] not in seen
        seen.append(inputs[entry])


def test_no_input_is_missing_or_untested(base: Cell) -> None:
    """What is not in the two tables has tests of its own below."""
    assert base.fit().keys() == FIT.keys() | {"stage", "threshold", "sources", "versions"}
    assert base.score().keys() == SCORE.keys() | {"stage", "fit", "sources"}
    assert base.score("k")["fit"] != base.score("other")["fit"]
    assert (base.fit()["stage"], base.score()["stage"]) == ("fit", "score")


def test_a_threshold_that_is_chosen_belongs_to_the_fit(base: Cell) -> None:
    given = with_config(base, threshold=0.5).fit()
    chosen = with_config(base, threshold="inner").fit()
    assert given == base.fit()
    assert chosen["threshold"] != given["threshold"]


# ---- every option of a run, through an opened experiment ----

TRIED: dict[str, Any] = {
    "dataset": "synthetic:videos=3,frames=8,size=64x48,seed=1",
    "sampler": "successive:n=5",
    "extractor": "filters:octaves=2",
    "classifier": "pixel_svm:C=2",
    "train_labels": "boxes",
    "refine": "ellipse",
    "prior": 0.25,
    "split": "frame:k=2",
    "image_size": "48x32",
    "mask_size": "16x12",
    "seed": 1,
    "budget": "equal-steps",
    "epochs": 3,
    "max_time": 60,
    "memory_budget": "1GB",
    "threads": 2,
    "threshold": "inner",
    "device": None,  # one machine has one device; the table above has another
}
SCORING_ONLY: dict[str, Any] = {"test_stride": 2, "threshold": 0.5}
NOT_IN_IT: dict[str, Any] = {
    "refit": False,
    "groups": "groups.csv",  # the groups that it gives are in the key, not the file
}


@pytest.fixture(scope="module")
def opened() -> dict[str, OpenDataset]:
    specs = [
        make_config(PLAIN | {"dataset": d}).dataset for d in (PLAIN["dataset"], TRIED["dataset"])
    ]
    return {str(spec): open_dataset(spec, Quiet()) for spec in specs}


@pytest.fixture
def keys_of(tmp_path: Path, opened: dict[str, OpenDataset]) -> Callable[..., tuple[str, str]]:
    def found(folder: str = "a", **options: Any) -> tuple[str, str]:
        config = make_config(PLAIN | options)
        experiment: Experiment = open_experiment(
            config,
            opened[str(config.dataset)],
            store=Store(tmp_path / folder / "store"),
            ledger=Ledger(tmp_path / folder / "ledger"),
            progress=Quiet(),
        )
        fold = folds(config.split, experiment.groups, config.seed)[0]
        key = experiment.key(config.setting, fold)
        return key, keys.score_stage(experiment._score_inputs(key, fold))

    return found


def test_every_option_changes_the_keys_that_it_should(
    keys_of: Callable[..., tuple[str, str]],
) -> None:
    assert OPTIONS.keys() == TRIED.keys() | SCORING_ONLY.keys() | NOT_IN_IT.keys()
    fit, score = keys_of()
    for name, value in TRIED.items():
        if value is not None:
            other = keys_of(**{name: value})
            assert other[0] != fit, name
            assert other[1] != score, name
    for name, value in SCORING_ONLY.items():
        other = keys_of(**{name: value})
        assert other[0] == fit, name
        assert other[1] != score, name
    for name, value in NOT_IN_IT.items():
        assert keys_of(**{name: value}) == (fit, score), name


def test_places_and_what_else_is_installed_are_not_in_it(
    keys_of: Callable[..., tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = keys_of()
    assert keys_of("b") == before
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.chdir("/")
    known = registry.all_plugins()
    more = Plugin("sampler", "unrelated", "nowhere:Unrelated", "nowhere", "1")
    monkeypatch.setattr(registry, "all_plugins", lambda: (*known, more))
    monkeypatch.setattr("vidseg.__version__", "99")
    assert keys_of() == before


# ---- versions ----


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str | None]]:
    """Versions that differ from those installed; None is a package that is not there."""
    changed: dict[str, str | None] = {}
    real = metadata.version

    def version(name: str) -> str:
        found = changed[name] if name in changed else real(name)
        if found is None:
            raise metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(metadata, "version", version)
    yield changed
    keys.package_versions.cache_clear()


COMPUTING = [
    "av",
    "liblinear-official",
    "numba",
    "numpy",
    "pillow",
    "scikit-learn",
    "scipy",
    "timm",
    "torch",
    "torchvision",
]
OPENCV = [
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
]


@pytest.mark.parametrize("package", [*COMPUTING, "opencv"])
def test_the_version_of_each_package_that_computes_is_in_it(
    base: Cell, versions: dict[str, str | None], package: str
) -> None:
    keys.package_versions.cache_clear()
    before = base.fit()
    for other in ("0.0.1", None):
        versions |= dict.fromkeys(OPENCV if package == "opencv" else [package], other)
        keys.package_versions.cache_clear()
        assert {k for k, v in base.fit().items() if v != before[k]} == {"versions"}


def test_opencv_is_one_library_under_four_names(versions: dict[str, str | None]) -> None:
    for name in OPENCV:
        versions |= dict.fromkeys(OPENCV) | {name: "4.10"}
        keys.package_versions.cache_clear()
        assert keys.package_versions()["opencv"] == "4.10"


# ---- code ----

WIDE = {
    "dataset": "virat:path=.",
    "sampler": "noised:base=[mine]",
    "extractor": "timm:model=vgg16",
    "classifier": "liblinear",
    "train_labels": "boxes",
}
NAMED = {
    "vidseg.experiment.experiment",
    "vidseg.experiment.fit",
    "vidseg.experiment.training",
    "vidseg.types",
    "vidseg.media.resize",
    "vidseg.tasks.segmentation.rasterise",
    "vidseg.labels.boxes",
    "vidseg.samplers.noised",
    "vidseg.samplers.noise",
    "vs_mine.sampler",
    "vs_mine.helper",
    "vs_mine/table.csv",
    "vidseg.datasets.virat",
    "vidseg.datasets.virat_tracks",
    "vidseg/datasets/virat_groups.csv",
    "vidseg.extractors.timm",
    "vidseg.extractors.frozen",
    "vidseg.classifiers.linear.liblinear",
    "vidseg.classifiers.linear.liblinear_child",
    "vidseg.classifiers.linear.standardise",
}
"""Some of what that cell runs, whatever else it does."""

MINE = {
    "__init__.py": "",
    "sampler.py": (
        "from pathlib import Path\n\nfrom vs_mine import helper\n\n"
        "TABLE = Path(__file__).with_name('table.csv')\n\n\n"
        "class Mine:\n"
        '    """Takes the first frame."""\n\n'
        "    contract = 1\n\n"
        "    def sample(self, videos, ctx):\n"
        "        return [ctx.ref(video, helper.FIRST) for video in videos]\n"
    ),
    "helper.py": "FIRST = 0\n",
    "table.csv": "1\n",
    "unused.py": "x = 1\n",
}


@dataclass
class Code:
    """A copy of vidseg and a plugin package of somebody else's, to be changed."""

    folder: Path

    def file(self, name: str) -> Path:
        """Return the file of a name in a closure."""
        path = self.folder / name if "/" in name else self.folder / name.replace(".", "/")
        return (
            path
            if "/" in name
            else path / "__init__.py"
            if path.is_dir()
            else path.with_suffix(".py")
        )

    def forget(self) -> None:
        """Let the next key read the files, as another process would."""
        sources._read_once.cache_clear()
        sources._data_once.cache_clear()
        keys._sources.cache_clear()
        keys.plugin_code.cache_clear()

    def keys(self, one: Cell) -> tuple[str, str]:
        self.forget()
        return one.fit()["sources"], one.score()["sources"]

    def changed(
        self, one: Cell, name: str, before: tuple[str, str] | None = None
    ) -> tuple[bool, bool]:
        """Return whether a longer file changes the code of the fit, and that of scoring."""
        before, file = before or self.keys(one), self.file(name)
        whole = file.read_text(encoding="utf-8")
        file.write_text(f"{whole}\nchanged = 1\n", encoding="utf-8")
        after = self.keys(one)
        file.write_text(whole, encoding="utf-8")
        return before[0] != after[0], before[1] != after[1]


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Code]:
    here = Code(tmp_path)
    shutil.copytree(ROOT / "vidseg", tmp_path / "vidseg", ignore=shutil.ignore_patterns("*.pyc"))
    (tmp_path / "vs_mine").mkdir()
    for name, text in MINE.items():
        (tmp_path / "vs_mine" / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(keys, "OWN", replace(keys.OWN, paths=(str(tmp_path / "vidseg"),)))
    known = registry.all_plugins()
    mine = Plugin("sampler", "mine", "vs_mine.sampler:Mine", "vs-mine", "1.0")
    monkeypatch.setattr(registry, "all_plugins", lambda: (*known, mine))
    yield here
    here.forget()
    for name in [name for name in sys.modules if name.startswith("vs_mine")]:
        del sys.modules[name]


def test_each_file_that_a_cell_runs_is_in_its_key(code: Code) -> None:
    wide = cell(**WIDE)
    plugins = keys.used_plugins(wide.config, wide.config.setting)
    fit = sources.closure(keys.ENTRY, {keys.OWN}, keys.AROUND | keys.SCORING)
    files = fit.keys() | {name for plugin in plugins for name in keys.plugin_code(plugin, keys.OWN)}
    assert files >= NAMED
    assert len(files) > 60
    before = code.keys(wide)
    assert [name for name in sorted(files) if not code.changed(wide, name, before)[0]] == []


def test_what_only_scores_scores_again_and_fits_where_it_chooses_a_threshold(code: Code) -> None:
    plain, inner = cell(), cell(threshold="inner")
    for name in ("vidseg.experiment.evaluate", "vidseg.tasks.segmentation.counts"):
        assert code.changed(plain, name) == (False, True)
        assert code.changed(inner, name) == (True, True)
    for name in ("baselines", "margin", "thresholds"):
        assert code.changed(plain, f"vidseg.tasks.segmentation.{name}") == (False, True)
    for name in ("overlays", "contact_sheet"):
        assert code.changed(plain, f"vidseg.tasks.segmentation.{name}") == (False, False)


def test_no_other_file_is_in_it(code: Code) -> None:
    one = cell(sampler="mine")
    everything = {
        ".".join(path.relative_to(code.folder).with_suffix("").parts).removesuffix(".__init__")
        for path in (code.folder / "vidseg").rglob("*.py")
    }
    others = {
        name
        for name in everything
        if name.split(".")[1:2]
        in (["api"], ["cli"], ["report"], ["serving"], ["stats"], ["suites"])
        or name.split(".")[1:2] == ["tracking"]
        or name.startswith(
            ("vidseg.datasets.virat", "vidseg.datasets.clip", "vidseg.extractors.timm")
        )
        or name.startswith(("vidseg.classifiers.linear.sgd", "vidseg.samplers.k_center"))
    }
    assert len(others) > 60
    before = code.keys(one)
    for name in sorted(
        others | keys.AROUND | {"vs_mine.unused", "vidseg/datasets/virat_groups.csv"}
    ):
        file = code.file(name)
        file.write_text(file.read_text(encoding="utf-8") + "\nchanged = 1\n", encoding="utf-8")
    assert code.keys(one) == before


def test_comments_and_docstrings_are_not_in_it(code: Code) -> None:
    wide = cell(**WIDE)
    before = code.keys(wide)
    for file in code.folder.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        text = text.replace('"""', '"""Another text. ', 1) if text.startswith('"""') else text
        file.write_text(text + "\n\n# a comment\n", encoding="utf-8")
    assert code.keys(wide) == before


def test_the_modules_left_out_exist() -> None:
    for name in keys.AROUND | keys.SCORING | {keys.ENTRY}:
        path = ROOT.joinpath(*name.split("."))
        assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file(), name


def test_what_is_imported_is_in_it() -> None:
    """The closure is read from the text; Python itself says what is imported."""
    targets = [
        "vidseg.datasets.synthetic",
        "vidseg.samplers.paper",
        "vidseg.classifiers.linear.sgd",
    ]
    script = f"import sys, {', '.join([keys.ENTRY, *targets])}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = {name for name in done.stdout.split() if name.partition(".")[0] == "vidseg"}
    found = set(sources.closure(keys.ENTRY, {keys.OWN}))
    for target in targets:
        found |= set(sources.closure(target, {keys.OWN}))
    assert loaded <= found


# ---- plugins of others ----


@pytest.mark.parametrize(
    "sampler",
    [
        "mine",
        "noised:base=[mine]",
        "noised:base=mine",
        "noised:base=[augmented:base=[mine]]",
    ],
)
def test_a_plugin_counts_however_deep_it_is_nested(code: Code, sampler: str) -> None:
    one = cell(sampler=sampler)
    assert code.changed(one, "vs_mine.helper") == (True, False)
    assert code.changed(one, "vs_mine/table.csv") == (True, False)
    assert one.fit()["versions"]["vs-mine"] == "1.0"


def test_a_nested_name_that_is_a_number(code: Code) -> None:
    assert code.changed(cell(sampler="noised:base=20"), "vidseg.samplers.paper") == (True, False)
    assert code.changed(cell(sampler="successive:n=20"), "vidseg.samplers.paper") == (False, False)


def test_the_version_of_a_plugins_package_is_in_it(
    code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = cell(sampler="noised:base=[mine]")
    before = one.fit()
    known = registry.all_plugins()
    newer = tuple(replace(p, version="2.0") if p.package == "vs-mine" else p for p in known)
    monkeypatch.setattr(registry, "all_plugins", lambda: newer)
    assert {k for k, v in one.fit().items() if v != before[k]} == {"versions"}
    own = tuple(replace(p, version="99") if p.package == "vidseg" else p for p in known)
    monkeypatch.setattr(registry, "all_plugins", lambda: own)
    assert one.fit() == before, "the code of vidseg is in the key, not its version"


def test_a_plugin_whose_code_cannot_be_found_is_an_error() -> None:
    lost = Plugin("sampler", "lost", "vs_lost.module:Lost", "vs-lost", "1.0")
    with pytest.raises(
        PluginError, match=r"plugin 'lost' of vs-lost 1\.0: the source of .*vs_lost"
    ):
        keys.plugin_code(lost, keys.OWN)
