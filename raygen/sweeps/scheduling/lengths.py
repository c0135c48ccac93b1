"""The steps at which trials come back, all of them evaluations."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import ceil

MOST_POINTS = 20
"""Decisions about one trial, where their distance is ours to choose."""


def rungs(first: int, reduction: int, every: int, steps: int) -> tuple[int, ...]:
    """Lengths that grow geometrically (Li et al. 2020, section 3.2).

    Args:
        first: The first one, in steps.
        reduction: Each is so many times the one before.
        every: Distance between evaluations, in steps; lengths are rounded up to multiples of it.
        steps: The last length, whether it is a multiple or not.
    """
    found: list[int] = []
    length = first
    while (rounded := _rounded(length, every)) < steps:
        if rounded not in found:
            found.append(rounded)
        length *= reduction
    return (*found, steps)


def points(first: int, every: int, steps: int) -> tuple[int, ...]:
    """The first length and then every evaluation, or every so many that there are at most `MOST_POINTS` before the end."""
    begin = _rounded(first, every)
    if begin >= steps:
        return (steps,)
    apart = every * max(ceil((steps - begin) / (every * MOST_POINTS)), 1)
    return (*range(begin, steps, apart), steps)


def intervals(length: int, every: int, steps: int) -> tuple[int, ...]:
    """Equal lengths."""
    apart = _rounded(length, every)
    return (*range(apart, steps, apart), steps)


def lease(lengths: Sequence[int], place: int) -> int | None:
    """One of these lengths as a lease has it, of which the last is the end."""
    return lengths[place] if place < len(lengths) - 1 else None


def next_lease(lengths: Sequence[int], judged: int, step: int) -> int | None:
    """The length that a trial is to come to next.

    Args:
        lengths: All of them.
        judged: At how many it has a score.
        step: Steps that it has done. Where it was trained as far as a length and has no score there, it is to come there again.
    """
    return lease(lengths, max(judged, bisect_left(lengths, step)))


def _rounded(length: int, every: int) -> int:
    return ceil(length / every) * every
