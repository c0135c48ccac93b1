"""What of a cluster keeps jobs from running, and what to do about it."""

from __future__ import annotations

from raygen.client.doctor.checks import CHECKS
from raygen.client.doctor.finding import Finding
from raygen.client.doctor.probe import CHECKS as PROBES
from raygen.client.doctor.probe import probe
from raygen.client.doctor.view import View

__all__ = ["CHECKS", "PROBES", "Finding", "View", "examine"]


def examine(view: View, names: tuple[str, ...] = (), *, probe_seconds: float | None = None) -> list[Finding]:
    """What the checks find, in their order.

    Args:
        view: The cluster.
        names: Of the checks; none for all.
        probe_seconds: Longest wait for the pod that answers PROBES. Default: none is made.
    """
    found = [one for name, check in CHECKS.items() if not names or name in names for one in check(view)]
    if probe_seconds is not None and (not names or set(names) & set(PROBES)):
        found += [one for one in probe(view, probe_seconds) if not names or one.check in names]
    return found
