"""How many examples a property is tried on: a fixed few in CI, always the same ones, and many others in `make soak`."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings

FACTOR = int(os.environ.get("RAYGEN_TEST_BUDGET", "1"))
"""How many times as many examples as in CI; above 1 they are other ones at each run."""


def examples(count: int, **options: Any) -> settings:
    """Settings of a property test.

    Args:
        count: Examples in CI.
        options: Further settings of Hypothesis.
    """
    return settings(max_examples=count * FACTOR, deadline=None, derandomize=FACTOR == 1, **options)
