"""Random numbers by key: each is a function of the sweep's seed and of what it is for, so that it can be drawn again.

Keys are spawn keys of NumPy's SeedSequence, which keep streams apart, and the generator is Philox, which counts (Salmon et al. 2011).
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


class Use(IntEnum):
    """What random numbers are for; the first part of their key."""

    DRAW = 0
    SCRAMBLE = 1
    MODEL = 2
    GENES = 3
    RESTART = 4
    EXPLOIT = 5
    EXPLORE = 6


def generator(seed: int, use: Use, *key: int) -> np.random.Generator:
    """A generator of its own for each key."""
    import numpy as np

    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(use, *key))))


def seed_of(seed: int, use: Use, *key: int) -> int:
    """A seed of 32 bits for each key, for libraries that want one."""
    import numpy as np

    return int(np.random.SeedSequence(seed, spawn_key=(use, *key)).generate_state(1)[0])
