"""Weights files: found, read without pickle, compared layer by layer; servers that are silent."""

from __future__ import annotations

import hashlib
import os
import pickle
import socket
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vidseg.errors import DataError
from vidseg.extractors import weights

STATE = {"features.0.weight": torch.ones(2, 3), "features.0.bias": torch.zeros(2)}
SHAPES = {name: tuple(tensor.shape) for name, tensor in STATE.items()}
SAME = {name: name for name in STATE}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "w.safetensors"
    save_file(STATE, path)
    return path


def test_found_in_the_named_folders(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    with pytest.raises(DataError, match=f"looked in {elsewhere}"):
        weights.find_weights("w.safetensors")
    for variable in ("VIDSEG_DATA", "VIDSEG_WEIGHTS"):
        monkeypatch.setenv(variable, os.pathsep.join(["/nowhere", str(tmp_path)]))
        assert weights.find_weights("w.safetensors") == file
        monkeypatch.delenv(variable)
    assert weights.find_weights(file) == file
    assert weights.find_weights("../w.safetensors").samefile(file)


def test_hash_is_of_the_content_and_follows_changes(file: Path) -> None:
    assert weights.file_sha256(file) == hashlib.sha256(file.read_bytes()).hexdigest()
    file.write_bytes(b"other")
    assert weights.file_sha256(file) == hashlib.sha256(b"other").hexdigest()
    with pytest.raises(DataError, match="cannot be read"):
        weights.file_sha256(file.with_name("absent"))


@pytest.mark.parametrize(
    "nested", [None, "state_dict", "model", "model_state_dict", "net", "state_dict_ema"]
)
def test_torch_files_equal_safetensors(file: Path, tmp_path: Path, nested: str | None) -> None:
    path = tmp_path / "w.pth"
    torch.save({nested: STATE} if nested else STATE, path)
    read, reference = weights.read_weights(path), weights.read_weights(file)
    assert read.keys() == reference.keys()
    assert all(torch.equal(read[name], reference[name]) for name in read)


def test_half_precision_comes_as_float32(tmp_path: Path) -> None:
    path = tmp_path / "h.safetensors"
    save_file({"a": torch.tensor([0.1], dtype=torch.float16), "n": torch.tensor([3])}, path)
    read = weights.read_weights(path)
    assert (read["a"].dtype, read["n"].dtype) == (torch.float32, torch.int64)


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("evil-was-here",)


def test_pickled_code_is_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("raw.pth", "zip.pth"):
        if name == "raw.pth":
            Path(name).write_bytes(pickle.dumps({"a": Evil()}, protocol=2))
        else:
            torch.save({"a": Evil()}, name)
        with pytest.raises(DataError, match="not a readable weights file"):
            weights.read_weights(Path(name))
    assert not Path("evil-was-here").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.safetensors", b"version https://git-lfs", "is a pointer of Git LFS, not the weights"),
        ("a.pth.tar", b"version https://git-lfs", "pointer of Git LFS.*; fetch the file itself"),
        ("a.tar", b"x", r"\.tar are not read"),
        ("a.safetensors", b"", "not a readable weights file"),
        ("a.pth", b"\x80\x02junk", "not a readable weights file"),
        ("a.npz", b"x", r"\.npz are not read"),
        ("plain", b"x", "without suffix"),
    ],
)
def test_unreadable_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        weights.layer_shapes(path)
    with pytest.raises(DataError, match=message) as caught:
        weights.read_weights(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_truncated_file(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(DataError, match="not a readable"):
        weights.read_weights(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "no layers"),
        ([1], "no layers"),
        ({"epoch": 3}, "'epoch' is not a tensor"),
        ({"a": torch.tensor([1.0, float("nan")])}, "layer a holds NaN"),
    ],
)
def test_files_that_are_no_state(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "w.pth"
    torch.save(content, path)
    with pytest.raises(DataError, match=message):
        weights.read_weights(path)


def test_matching_renames_and_lets_heads_pass() -> None:
    needed = {name: name.replace(".", "_", 1) for name in STATE}
    found = weights.matched(
        {**STATE, "classifier.6.weight": torch.ones(9)}, SHAPES, needed, where="f"
    )
    assert list(found) == ["features_0.weight", "features_0.bias"]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"features.0.weight": torch.ones(2, 3)}, r"1 missing \(features\.0\.bias\)"),
        ({**STATE, "features.9.weight": torch.ones(1)}, r"1 unknown \(features\.9\.weight\)"),
        ({**STATE, "features.0.bias": torch.ones(3)}, r"1 of another shape \(features\.0\.bias\)"),
        ({"x": torch.ones(1)}, "2 missing .*; 1 unknown"),
    ],
)
def test_other_architectures_are_refused(state: weights.StateDict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        weights.matched(state, SHAPES, SAME, where="w.safetensors")


def test_a_head_that_is_a_level_is_needed() -> None:
    shapes = {"classifier.1.weight": (2,)}
    with pytest.raises(DataError, match="missing"):
        weights.matched({}, shapes, {n: n for n in shapes}, where="f")


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.mark.usefixtures("no_proxy")
def test_a_server_that_takes_no_calls_fails_at_once() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(DataError, match=r"fetch model\.bin .*weights=FILE"):
        weights.require_reachable(f"http://127.0.0.1:{port}", wanted="model.bin")
    assert time.monotonic() - began < 1


@pytest.mark.usefixtures("no_proxy")
def test_a_server_that_never_answers_fails_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        began = time.monotonic()
        with pytest.raises(DataError, match="does not answer"):
            weights.require_reachable(f"http://127.0.0.1:{port}", wanted="x", timeout=0.3)
        assert time.monotonic() - began < 1


@pytest.mark.usefixtures("no_proxy")
def test_a_server_that_refuses_politely_is_reachable() -> None:
    import http.server
    import threading

    class Refuses(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_error(403)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Refuses) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        weights.require_reachable(f"http://127.0.0.1:{server.server_port}", wanted="x")


def test_suffix_of_old_training_scripts(file: Path, tmp_path: Path) -> None:
    torch.save({"epoch": 3, "state_dict": STATE}, tmp_path / "best.pth.tar")
    assert weights.read_weights(tmp_path / "best.pth.tar").keys() == STATE.keys()


@pytest.mark.parametrize("prefix", ["module.", "model.", "backbone.", "module.backbone."])
def test_what_wrappers_put_before_every_name_is_left_out(tmp_path: Path, prefix: str) -> None:
    wrapped = {f"{prefix}{name}": tensor for name, tensor in STATE.items()}
    wrapped["head.weight"] = torch.zeros(1)
    left, found = weights.without_prefix(wrapped, SAME)
    assert found == prefix
    assert set(left) == {*STATE, "head.weight"}
    for path in (tmp_path / "a.pth", tmp_path / "a.safetensors"):
        torch.save(wrapped, path) if path.suffix == ".pth" else save_file(wrapped, path)
        shapes = {name: tuple(tensor.shape) for name, tensor in wrapped.items()}
        assert weights.layer_shapes(path) == shapes


@pytest.mark.parametrize(
    "names", [("module.a", "other.a"), ("encoder.a", "encoder.b"), ("features.0.weight",)]
)
def test_nothing_else_is_left_out(names: tuple[str, ...]) -> None:
    state = dict.fromkeys(names)
    assert weights.without_prefix(state, SAME) == (state, "")


def test_an_architectures_own_beginning_is_kept() -> None:
    state = {"model.0.weight": None, "model.0.bias": None}
    assert weights.without_prefix(state, ["model.0.weight"]) == (state, "")
