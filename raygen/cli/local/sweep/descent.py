"""Whose training a trial went on with, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def descent(trial: Mapping[str, Any]) -> str:
    """The line that a trial ends, as "trial 0, 3 from step 100, 7 from step 250"; empty for one that began by itself.

    Args:
        trial: As `raygen.sweeps.summary.described` gives it.
    """
    first, *others = trial.get("lineage") or [None]
    if first is None:
        return ""
    return ", ".join(
        [f"trial {first['trial']}", *(f"{one['trial']} from step {one['fromStep']}" for one in others)]
    )
