"""Settings of the process: freed pages are kept."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from tests.conftest import ROOT

FAULTS = """
import resource, sys
from vidseg.utils.threads import configure_threads
configure_threads()
def count():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
bytearray(b"x") * 2**26
before = count()
for _ in range(8):
    bytearray(b"x") * 2**26
print(count() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")
def test_freed_pages_are_kept() -> None:
    def faults(**environment: str) -> int:
        done = subprocess.run(
            [sys.executable, "-c", FAULTS],
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        return int(done.stdout)

    assert faults() < 100
    # what glibc does by itself, which the user may want: at least one fault a huge page
    assert faults(MALLOC_MMAP_THRESHOLD_=str(2**17)) >= 8 * 2**26 / 2**21
