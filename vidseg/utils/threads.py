"""Keeps thread pools from fighting over the cores; call it before numpy or torch is imported."""

from __future__ import annotations

import os


def configure_threads() -> None:
    """Let idle threads sleep, and numpy's BLAS be single beside torch; the user's settings win.

    OpenMP threads that spin while they wait take the core from whoever they wait for as soon as
    the machine does anything else: on two busy cores, features of one image took 600 ms instead of
    40. Sleeping ones cost nothing measurable on a quiet machine. All large products are torch's,
    and numpy's pool beside it would stall both.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
