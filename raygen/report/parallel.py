"""Parallel coordinates as geometry that a template turns into inline SVG (Inselberg, The plane with parallel coordinates, 1985)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from raygen.report.axis import Axis

TALL = 300
"""Height of an axis in pixels."""
LANE = 34
"""Height of the lane below the axes, for lines without a value there, in pixels."""
WIDEST = 130
"""Pixels between two axes below which the picture is scrolled instead of made narrower."""
LEVELS = ((0.05, "best 5 %"), (0.25, "to 25 %"), (0.5, "to 50 %"), (0.75, "to 75 %"), (1.0, "the rest"))
"""Shares of all, from the best on, that have a colour of their own."""


@dataclass(frozen=True)
class Scale:
    """One of the axes.

    Attributes:
        name: What stands above it.
        title: What shows while a pointer is over the name.
        axis: Its values.
    """

    name: str
    title: str
    axis: Axis


@dataclass(frozen=True)
class DrawnScale:
    """An axis in the picture.

    Attributes:
        place: Where it is, in per cent of the width.
        name: What stands above it.
        title: What shows while a pointer is over the name.
        ticks: Marks: pixels down and label.
    """

    place: float
    name: str
    title: str
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Parallel:
    """The picture, ready for the template.

    Attributes:
        title: What it shows.
        width: The least width in pixels at which it can be read.
        scales: From left to right.
        levels: Name, number and SVG path of each colour's lines, 0 to 1000 across and 0 to `TALL + LANE` down; the best are
            last, and on top.
        lane: Whether some lines have no value at an axis.
        summary: One sentence for those who cannot see it.
        note: What is not drawn; empty if everything is.
    """

    title: str
    width: int
    scales: tuple[DrawnScale, ...]
    levels: tuple[tuple[str, int, str], ...]
    lane: bool
    summary: str
    note: str


def draw_parallel(
    title: str,
    scales: Sequence[Scale],
    lines: Sequence[Sequence[float | None]],
    shares: Sequence[float],
    summary: str,
    note: str = "",
) -> Parallel:
    """Parallel coordinates.

    Args:
        title: What they show.
        scales: Two axes or more.
        lines: The value at each axis, None where there is none: (lines, scales). Of one colour the last is on top.
        shares: What share of all is better, from 0 to below 1: (lines,).
        summary: One sentence for those who cannot see it.
        note: What is not drawn.
    """
    places = [1000 * (number + 0.5) / len(scales) for number in range(len(scales))]
    paths = [""] * len(LEVELS)
    for line, better in zip(lines, shares, strict=True):
        level = next(n for n, (share, _) in enumerate(LEVELS) if better < share)
        ends = (
            f"{place:.0f} {_down(scale.axis, value):.0f}"
            for place, scale, value in zip(places, scales, line, strict=True)
        )
        paths[level] += "M" + "L".join(ends)
    return Parallel(
        title=title,
        width=WIDEST * len(scales),
        scales=tuple(
            DrawnScale(
                round(place / 10, 2),
                scale.name,
                scale.title,
                tuple((round(_down(scale.axis, value), 1), text) for value, text in scale.axis.ticks),
            )
            for place, scale in zip(places, scales, strict=True)
        ),
        levels=tuple((LEVELS[n][1], n, paths[n]) for n in reversed(range(len(LEVELS))) if paths[n]),
        lane=any(value is None for line in lines for value in line),
        summary=summary,
        note=note,
    )


def _down(axis: Axis, value: float | None) -> float:
    """Pixels from the upper edge. What lies beyond an end is drawn at it."""
    return TALL + LANE / 2 if value is None else TALL * (1 - min(max(axis.share(value), 0.0), 1.0))
