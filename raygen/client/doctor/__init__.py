"""What of a cluster keeps jobs from running, and what to do about it."""

from __future__ import annotations

from raygen.client.doctor.checks import CHECKS
from raygen.client.doctor.finding import Finding
from raygen.client.doctor.view import View

__all__ = ["CHECKS", "Finding", "View", "examine"]


def examine(view: View, names: tuple[str, ...] = ()) -> list[Finding]:
    """What the checks find, in their order.

    Args:
        view: The cluster.
        names: Of the checks; none for all.
    """
    return [one for name, check in CHECKS.items() if not names or name in names for one in check(view)]
