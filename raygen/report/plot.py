"""Plots of points and of many lines as geometry that a template turns into inline SVG, in the units of `raygen.report.chart`.

Points of one kind are one path of lines without length, which round or square ends make discs or squares of one size however wide
the plot is; so ten thousand of them take some hundred kilobytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from raygen.report.axis import Axis
from raygen.report.chart import HEIGHT, LARGEST, spread

Shape = Literal["disc", "large", "square", "ring", "stick", "tick"]
Stroke = Literal["line", "faint", "dashed", "dotted"]
Point = tuple[float, float]

MAX_HINTS = 160
TICK = 9
"""Height of a tick, which stands on its point, in pixels."""
STICK = 8
"""Height of a stick, which has its point in the middle, in pixels."""


@dataclass(frozen=True)
class Cloud:
    """Points of one kind.

    Attributes:
        name: For the legend.
        shape: Of each point.
        tone: Number of its colour.
        points: (x, y).
    """

    name: str
    shape: Shape
    tone: int
    points: Sequence[Point]


@dataclass(frozen=True)
class Bundle:
    """Lines of one kind.

    Attributes:
        name: For the legend.
        stroke: Of each line.
        tone: Number of its colour.
        lines: Each as (x, y) from left to right.
        stepped: A value holds until the next point.
        ends: Shape of the mark at the end of each line; None for none.
    """

    name: str
    stroke: Stroke
    tone: int
    lines: Sequence[Sequence[Point]]
    stepped: bool = False
    ends: Shape | None = None


@dataclass(frozen=True)
class Hint:
    """A text that shows while a pointer is over a point.

    Attributes:
        at: The point: (x, y).
        text: The text.
    """

    at: Point
    text: str


@dataclass(frozen=True)
class DrawnMarks:
    """A cloud or a bundle in the plot.

    Attributes:
        name: For the legend.
        look: Its shape or stroke.
        tone: Number of its colour.
        path: SVG path, 0 to 1000 across and 0 to `HEIGHT` down.
        ends: Shape of the marks at the ends of lines; empty for none.
    """

    name: str
    look: str
    tone: int
    path: str
    ends: str = ""


@dataclass(frozen=True)
class DrawnHint:
    """A hint in the plot.

    Attributes:
        left: Its place across, in per cent.
        top: Its place down, in pixels.
        text: The text.
    """

    left: float
    top: float
    text: str


@dataclass(frozen=True)
class Plot:
    """A plot, ready for the template.

    Attributes:
        title: What it shows.
        across: What stands below it.
        bundles: Lines, in the order of the legend.
        clouds: Points, the same; those without a name are ends of lines, and have no place there.
        x: Marks across: per cent and label.
        y: Marks down: pixels and label.
        hints: Texts at points.
        summary: One sentence for those who cannot see it.
        note: What is not drawn; empty if everything is.
    """

    title: str
    across: str
    bundles: tuple[DrawnMarks, ...]
    clouds: tuple[DrawnMarks, ...]
    x: tuple[tuple[float, str], ...]
    y: tuple[tuple[float, str], ...]
    hints: tuple[DrawnHint, ...]
    summary: str
    note: str


def draw_plot(
    title: str,
    across: str,
    axes: tuple[Axis, Axis],
    bundles: Sequence[Bundle] = (),
    clouds: Sequence[Cloud] = (),
    hints: Sequence[Hint] = (),
    *,
    summary: str = "",
    note: str = "",
) -> Plot:
    """A plot of lines and points.

    Args:
        title: What it shows.
        across: What stands below it.
        axes: That across, and that from below to above.
        bundles: Lines; those without a point that can be drawn are left out.
        clouds: The same of points, the last one on top. They lie above lines but for those of the stroke `line`.
        hints: Texts, the most important ones first; at most `MAX_HINTS` are kept.
        summary: One sentence for those who cannot see it.
        note: What is not drawn, besides points outside of the axes, which are counted here.
    """
    x, y = axes
    lines = [
        DrawnMarks(
            one.name,
            one.stroke,
            one.tone,
            "".join(_line(line, axes, one.stepped) for line in one.lines),
            one.ends or "",
        )
        for one in bundles
    ]
    ends = [
        Cloud("", one.ends, one.tone, [line[-1] for line in one.lines if line])
        for one in bundles
        if one.ends is not None
    ]
    outside = sum(not _inside(point, axes) for one in clouds for point in one.points)
    points = [
        DrawnMarks(one.name, one.shape, one.tone, "".join(_marks(one, axes))) for one in (*ends, *clouds)
    ]
    counted = f"{outside:,} point{'s' * (outside != 1)} outside the picture" if outside else ""
    return Plot(
        title=title,
        across=across,
        bundles=tuple(one for one in lines if one.path),
        clouds=tuple(one for one in points if one.path),
        x=tuple((round(100 * x.share(value), 2), text) for value, text in x.ticks),
        y=tuple((round(_down(y, value), 1), text) for value, text in y.ticks),
        hints=tuple(
            DrawnHint(round(100 * x.share(one.at[0]), 2), round(_down(y, one.at[1]), 1), one.text)
            for one in [one for one in hints if _inside(one.at, axes)][:MAX_HINTS]
        ),
        summary=summary,
        note="; ".join(filter(None, (note, counted))),
    )


def thinned(points: Sequence[Point], limit: int) -> list[Point]:
    """At most `limit` points of a line, evenly spread, both ends among them."""
    return [points[number] for number in spread(len(points), limit)]


def _marks(cloud: Cloud, axes: tuple[Axis, Axis]) -> Iterator[str]:
    for point in cloud.points:
        if _inside(point, axes):
            left, top = 1000 * axes[0].share(point[0]), _down(axes[1], point[1])
            if cloud.shape == "stick":
                yield f"M{_number(left)} {_number(top - STICK / 2)}v{STICK}"
            else:
                length = f"v{-min(TICK, top):.0f}" if cloud.shape == "tick" else "h0"
                yield f"M{_number(left)} {_number(top)}{length}"


def _line(line: Sequence[Point], axes: tuple[Axis, Axis], stepped: bool) -> str:
    drawable = [point for point in line if _drawable(point)]
    if not drawable:
        return ""
    places = [(_number(1000 * axes[0].share(x)), _number(_down(axes[1], y))) for x, y in drawable]
    first, *others = places
    join = "".join(f"H{x}V{y}" for x, y in others) if stepped else "".join(f"L{x} {y}" for x, y in others)
    return f"M{first[0]} {first[1]}{join or 'h0'}"


def _inside(point: Point, axes: tuple[Axis, Axis]) -> bool:
    return _drawable(point) and all(
        axis.low <= value <= axis.high for axis, value in zip(axes, point, strict=True)
    )


def _drawable(point: Point) -> bool:
    return all(math.isfinite(value) and abs(value) <= LARGEST for value in point)


def _down(axis: Axis, value: float) -> float:
    return HEIGHT * (1 - axis.share(value))


def _number(value: float) -> str:
    """A place with one digit behind the point, where it is not 0."""
    return f"{value:.1f}".removesuffix(".0")
