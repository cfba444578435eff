"""The ledger: what was written is read back, and what was torn, altered or killed is absent."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vidseg.errors import StoreError
from vidseg.experiment.ledger import Ledger, Stage, default_root
from vidseg.utils.hashing import digest, plain

KEY = "0123456789abcdef" * 2
STATE = {"w": np.arange(6, dtype=np.float32).reshape(2, 3).T, "b": np.array([1.5])}
RESULT = {"facts": {"seconds": 0.1 + 0.2, "none": None}, "curves": [["loss", 1e-300, 3]]}

LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    return Ledger(tmp_path / "ledger")


def written(ledger: Ledger) -> Path:
    ledger.write(KEY, "fit", Stage({"stage": "fit"}, RESULT), STATE)
    return ledger.folder(KEY)


def test_a_stage_is_read_as_it_was_written(ledger):
    assert ledger.read(KEY, "fit") is None
    written(ledger)
    stage = ledger.read(KEY, "fit")
    assert (stage.inputs, stage.result) == ({"stage": "fit"}, RESULT)
    state = stage.model.load()
    assert state.keys() == STATE.keys()
    for name, array in STATE.items():
        np.testing.assert_array_equal(state[name], array)
        assert state[name].dtype == array.dtype
    assert stage.model.nbytes == stage.model.path.stat().st_size
    assert ledger.read(KEY, "score") is None


def test_whether_a_cell_is_fitted_is_known_without_reading_the_model(ledger, monkeypatch):
    written(ledger)
    opened = []
    plain_open = Path.open

    def noting(path, *args, **options):
        opened.append(path.suffix)
        return plain_open(path, *args, **options)

    monkeypatch.setattr(Path, "open", noting)
    monkeypatch.setattr("safetensors.numpy.load_file", lambda *a, **k: pytest.fail("was read"))
    assert ledger.read(KEY, "fit").model is not None
    assert ".safetensors" not in opened


def fit_of(ledger):
    """Return result and state of the fit stage as far as they are there."""
    stage = ledger.read(KEY, "fit")
    state = None if stage is None or stage.model is None else stage.model.load()
    return None if state is None else (stage.result, state)


@given(result=st.dictionaries(st.text(max_size=4), JSON, max_size=3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_any_plain_result_survives(ledger, result):
    ledger.write(KEY, "score", Stage({}, result))
    assert ledger.read(KEY, "score").result == result


def test_numbers_as_keys_and_undefined_values_survive(ledger):
    ledger.write(KEY, "score", Stage({}, {"by": {2: "b", 10: "a"}, "ap": math.nan}))
    read = ledger.read(KEY, "score").result
    assert read["by"] == {"2": "b", "10": "a"}
    assert math.isnan(read["ap"])


@pytest.mark.parametrize("name", ["fit.json", "fit.safetensors"])
def test_a_torn_file_is_absent(ledger, name):
    file = written(ledger) / name
    whole = file.read_bytes()
    for length in sorted({*range(0, len(whole), 7), len(whole) - 1}):
        file.write_bytes(whole[:length])
        assert fit_of(ledger) is None, length
    file.write_bytes(whole + b"\0")
    assert fit_of(ledger) is None
    file.write_bytes(whole)
    assert fit_of(ledger) is not None
    file.unlink()
    assert fit_of(ledger) is None


@pytest.mark.parametrize("name", ["fit.json", "fit.safetensors"])
def test_a_file_that_cannot_be_read_is_not_absent(ledger, name):
    file = written(ledger) / name
    file.unlink()
    file.symlink_to(file)  # of all that cannot be read, this also stops the superuser
    with pytest.raises(StoreError, match=f"{name}: cannot be read: .*; make it readable"):
        ledger.read(KEY, "fit")


@pytest.mark.parametrize("name", ["fit.json", "fit.safetensors"])
def test_a_flipped_bit_is_noticed(ledger, name):
    file = written(ledger) / name
    whole = file.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.choice(len(whole), 150):
        bits = bytearray(whole)
        bits[place] ^= 1 << int(rng.integers(8))
        file.write_bytes(bits)
        found = fit_of(ledger)
        # 1e-300 and 1E-300 are one number
        assert found is None or (found[0] == RESULT and name == "fit.json"), place


@pytest.mark.parametrize("text", ["", "null", "[]", "1", '"x"', "{}", '{"format": 1}', "\udce4"])
def test_a_foreign_file_is_absent(ledger, text):
    file = written(ledger) / "fit.json"
    file.write_bytes(text.encode(errors="surrogateescape"))
    assert ledger.read(KEY, "fit") is None


def test_an_edited_result_is_absent(ledger):
    file = written(ledger) / "fit.json"
    entry = json.loads(file.read_text())
    entry["body"]["result"]["facts"]["seconds"] = 7
    file.write_text(json.dumps(entry))
    assert ledger.read(KEY, "fit") is None


def test_a_stage_that_is_written_again_replaces_the_first(ledger):
    written(ledger)
    ledger.write(KEY, "fit", Stage({}, {"second": 1}), {"b": np.zeros(1)})
    stage = ledger.read(KEY, "fit")
    assert stage.result == {"second": 1}
    assert stage.model.load().keys() == {"b"}
    assert {file.name for file in ledger.folder(KEY).iterdir()} == {"fit.json", "fit.safetensors"}


@pytest.mark.parametrize("key", ["", "..", "../../etc", "0123", "g" * 32, "A" * 32, KEY + "\n"])
def test_keys_are_hashes_and_never_paths(ledger, key):
    for use in (ledger.folder, ledger.workdir, lambda key: ledger.read(key, "fit")):
        with pytest.raises(StoreError, match="is no key"):
            use(key)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    blocked = Ledger(tmp_path / "file")
    for use in (lambda: written(blocked), lambda: blocked.workdir(KEY)):
        with pytest.raises(StoreError, match=r"file: cannot be written.*VIDSEG_LEDGER"):
            use()
    assert blocked.read(KEY, "fit") is None


def test_a_write_that_fails_leaves_the_old_stage_and_nothing_else(ledger, monkeypatch):
    folder = written(ledger)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        ledger.write(KEY, "fit", Stage({}, {}), STATE)
    monkeypatch.undo()
    assert ledger.read(KEY, "fit").result == RESULT
    assert {file.name for file in folder.iterdir()} == {"fit.json", "fit.safetensors"}


WRITER = """
import sys
import numpy as np
from pathlib import Path
from vidseg.experiment.ledger import Ledger, Stage
ledger, mine = Ledger(Path(sys.argv[1])), int(sys.argv[2])
print("ready", flush=True)
for number in range(int(sys.argv[3])):
    state = {"w": np.full(20_000, mine, np.float32)} if sys.argv[4] == "fit" else None
    ledger.write("0123456789abcdef", sys.argv[4], Stage({}, {"mine": [mine] * 2000}), state)
"""


def writer(ledger: Ledger, mine: int, times: int, stage: str) -> subprocess.Popen[bytes]:
    arguments = [str(ledger.root), str(mine), str(times), stage]
    started = subprocess.Popen(
        [sys.executable, "-c", WRITER, *arguments],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    started.stdout.readline()
    return started


def test_writers_at_once_never_leave_a_mixture(ledger):
    writers = [writer(ledger, mine, 25, "fit") for mine in (1, 2, 3)]
    seen = set()
    while any(one.poll() is None for one in writers):
        stage = ledger.read("0123456789abcdef", "fit")
        if stage is not None and stage.model is not None:
            (whose,) = set(stage.result["mine"])
            state = stage.model.load()
            if state is not None:  # another writer was between its two files
                assert set(state["w"]) == {whose}
                seen.add(whose)
    assert [one.wait() for one in writers] == [0, 0, 0]
    for one in writers:
        one.stdout.close()
    ledger.write("0123456789abcdef", "fit", Stage({}, {"mine": [4]}), {"w": np.ones(1)})
    assert ledger.read("0123456789abcdef", "fit").result == {"mine": [4]}
    assert not list(ledger.folder("0123456789abcdef").glob(".*"))


def test_a_killed_writer_leaves_a_whole_stage(ledger):
    ledger.write("0123456789abcdef", "score", Stage({}, {"mine": [0]}))
    rng = np.random.default_rng(0)
    for mine in range(1, 6):
        killed = writer(ledger, mine, 10**6, "score")
        time.sleep(float(rng.uniform(0.005, 0.03)))
        killed.send_signal(signal.SIGKILL)
        assert killed.wait() == -signal.SIGKILL
        killed.stdout.close()
        stage = ledger.read("0123456789abcdef", "score")
        assert stage is not None
        assert len(set(stage.result["mine"])) == 1


def test_the_workdir_survives_and_is_made_once(ledger):
    folder = ledger.workdir(KEY)
    (folder / "checkpoint").write_text("x")
    assert ledger.workdir(KEY) == folder
    assert (folder / "checkpoint").exists()


@given(JSON)
def test_digests_do_not_depend_on_the_order_of_keys(value):
    wrapped = {"a": value, "b": 1}
    assert digest(wrapped) == digest({"b": 1, "a": value})
    assert digest(wrapped) == digest(json.loads(json.dumps(wrapped)))
    assert digest(wrapped) != digest({"a": value, "b": 2})
    assert len(digest(value, 16)) == 16


def test_plain_data_of_numpy():
    value = {1: np.float32(0.5), "a": (np.int64(3), np.arange(2)), "b": [np.bool_(True), None]}
    found = plain(value)
    assert found == {"1": 0.5, "a": [3, [0, 1]], "b": [True, None]}
    json.dumps(found)


def test_the_default_place(monkeypatch, tmp_path):
    monkeypatch.setenv("VIDSEG_LEDGER", str(tmp_path))
    assert default_root() == tmp_path == Ledger().root
    monkeypatch.delenv("VIDSEG_LEDGER")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert default_root().name == "ledger"
