"""Axes with round numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

INTERVALS = 4
"""About how many intervals an axis is divided into."""
MOST_CATEGORIES = 12
"""Categories that are named, at most."""
CATEGORY_CHARACTERS = 48
"""Characters that the names of an axis' categories have together."""
LABELLED_DECADES = 2
"""Up to as many decades, a logarithmic axis also marks the twos and fives."""


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        low, high: Its ends.
        ticks: Value and label of its marks, all between the ends.
        logarithmic: Whether equal factors, not equal differences, are equally far apart.
    """

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Where a value lies: 0 at the low end, 1 at the high end, others outside."""
        if self.logarithmic:
            return (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return (value - self.low) / (self.high - self.low)


LEAST = 1e-290
"""Numbers below it are as good as zero, since their fractions lose digits."""


def linear_axis(low: float, high: float, *, whole: bool = False, widen: bool = False) -> Axis:
    """An axis over low to high, whose marks are 1, 2, 2.5 or 5 times a power of ten apart.

    Args:
        low: Lowest value.
        high: Highest value.
        whole: Marks are whole numbers.
        widen: The axis ends at marks, not at the values.
    """
    if high - low <= max(1e-9 * max(abs(low), abs(high)), LEAST):
        margin = 1.0 if whole or abs(high) <= LEAST else abs(high) * 0.05
        low, high = (low, high + margin) if whole else (low - margin, high + margin)
    step = _interval((high - low) / INTERVALS, whole=whole)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = [n * step for n in range(first, last + 1)]
    if widen:
        low, high = min(ticks[0], low), max(ticks[-1], high)
    inside = [tick for tick in ticks if low <= tick <= high]
    return Axis(low, high, tuple((tick, tick_label(tick, step, max(map(abs, inside)))) for tick in inside))


def logarithmic_axis(low: float, high: float) -> Axis:
    """An axis of decades over low to high, both above zero."""
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    last = max(last, first + 1)
    decades = last - first
    stride = max(math.ceil(decades / (INTERVALS + 1)), 1)
    factors = (1, 2, 5) if decades <= LABELLED_DECADES else (1,)
    ends = 10.0**first, 10.0**last
    ticks = [f * 10.0**n for n in range(first, last + 1, stride) for f in factors]
    marks = tuple((tick, tick_label(tick, tick, tick)) for tick in ticks if tick <= ends[1])
    return Axis(*ends, marks, logarithmic=True)


def category_axis(names: Sequence[str]) -> Axis:
    """An axis on which the categories 0, 1, 2 and so on each have a place of their own.

    Args:
        names: Of the categories; where they are many or long, some or their ends are not written.
    """
    # Else they would run into each other on a small screen.
    stride = -(-len(names) // MOST_CATEGORIES)
    room = max(CATEGORY_CHARACTERS * stride // len(names), 3)
    short = [name if len(name) <= room else f"{name[: room - 1]}…" for name in names]
    return Axis(-0.5, len(names) - 0.5, tuple((n, short[n]) for n in range(0, len(names), stride)))


def tick_label(value: float, step: float, largest: float) -> str:
    """The shortest exact label of a mark, alike for all marks of an axis.

    Args:
        value: The mark.
        step: Distance of the marks.
        largest: Size of the largest mark.
    """
    if value == 0:
        return "0"
    if largest >= 1e15 or largest < 1e-3:
        digits, power = f"{value:.3e}".split("e")
        return f"{digits.rstrip('0').rstrip('.')}e{int(power)}"
    for size, suffix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if largest >= size * (10 if suffix == "k" else 1):
            return f"{value / size:.{_decimals(step / size)}f}{suffix}"
    return f"{value:,.{_decimals(step)}f}"


def _interval(raw: float, *, whole: bool) -> float:
    power = 10.0 ** math.floor(math.log10(raw))
    choices = [factor * power for factor in (1, 2, 2.5, 5, 10)]
    if whole:
        choices = [choice for choice in choices if choice.is_integer()] or [1.0]
    return next((choice for choice in choices if choice >= raw * (1 - 1e-9)), choices[-1])


def _decimals(step: float) -> int:
    """Digits after the point that tell marks apart."""
    for digits in range(9):
        if abs(round(step, digits) - step) <= 1e-6 * step:
            return digits
    return 9
