"""Atomic writes: whole or not at all, with the permissions that the umask leaves."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from vidseg.utils.files import replacing, write_atomic


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_a_file_has_the_permissions_that_the_umask_leaves(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_atomic(tmp_path / "bytes", b"x")
        with replacing(tmp_path / "arrays") as temporary:
            save_file({"a": np.zeros(3)}, temporary)  # makes a private file of its own
    finally:
        os.umask(before)
    for name in ("bytes", "arrays"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o666 & ~umask
    assert {file.name for file in tmp_path.iterdir()} == {"arrays", "bytes"}


def test_what_a_killed_process_left_is_written_over(tmp_path: Path) -> None:
    file = tmp_path / "file"
    with replacing(file, alone=True) as left:
        left.write_bytes(b"old")
    left.write_bytes(b"of a killed process")
    write_atomic(tmp_path / "other", b"x")
    assert left.exists()
    with replacing(file, sync=False, alone=True) as temporary:
        assert temporary.read_bytes() == b""
        temporary.write_bytes(b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "file": b"new",
        "other": b"x",
    }


def test_an_error_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_atomic(file, b"old")
    with pytest.raises(ZeroDivisionError), replacing(file) as temporary:
        temporary.write_bytes(bytes(1 // 0))
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]
