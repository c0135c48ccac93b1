"""What of a sweep may change while it goes on."""

from __future__ import annotations

KEPT = ("template", "objectives", "constraints", "warmStart")
"""What decides the jobs of trials, or by what they were judged: of spec."""
_FROZEN = (*(f"spec.{name}" for name in KEPT), "spec.output")


def may_change(path: str) -> bool:
    """Whether a value of a Sweep may change while the object lives.

    Of parameters the driver sees to it, since it knows which of them has become which: their values may become more or fewer, and
    what they are may not change.
    """
    return not any(path == frozen or path.startswith((f"{frozen}.", f"{frozen}[")) for frozen in _FROZEN)
