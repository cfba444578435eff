"""Where every random draw gets its seed: from what it depends on, and from nothing else.

Three recipes, each with its own bytes, since another seed would change published numbers.
"""

from __future__ import annotations

import hashlib

import numpy as np


def seed_of(*parts: object) -> int:
    """Return a 64-bit seed that depends on nothing but the text of ``parts``."""
    text = "\0".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def generator(seed: int, *what: object) -> np.random.Generator:
    """Return a random generator seeded by ``seed`` and anything with a stable ``repr``."""
    digest = hashlib.blake2b(repr((seed, *what)).encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def copy_generator(seed: int, video: str, index: int, copy: int, epoch: int) -> np.random.Generator:
    """Return the random generator of one changed copy of frame ``index``, as seen in ``epoch``."""
    return np.random.default_rng([seed, index, copy, epoch, *video.encode()])
