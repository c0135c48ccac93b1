"""How trials look in plots, whatever these are of."""

from __future__ import annotations

from collections.abc import Sequence

from raygen.report.plot import Cloud, Hint, Point, Shape
from raygen.report.wording import label
from raygen.sweeps.report.view import KINDS, Judged, Kind, View

MARKS: dict[Kind, tuple[Shape, int]] = {
    "completed": ("disc", 0),
    "stopped early": ("square", 1),
    "waiting or running": ("stick", 2),
    "breaks a constraint": ("ring", 3),
    "of an earlier sweep": ("ring", 5),
    "failed": ("tick", 4),
}
"""Shape and number of the colour of each kind of trial."""


def clouds_of(drawn: Sequence[Judged], points: Sequence[Point]) -> list[Cloud]:
    """The points of each kind."""
    clouds = []
    for kind in reversed(KINDS):
        own = [point for one, point in zip(drawn, points, strict=True) if one.kind == kind]
        if own:
            clouds.append(Cloud(kind, *MARKS[kind], own))
    return clouds


def hints_of(view: View, drawn: Sequence[Judged], objective: int, places: Sequence[float]) -> list[Hint]:
    """A text for each trial at its place across, the best first."""
    at = {one.trial.number: place for one, place in zip(drawn, places, strict=True)}
    return [
        Hint((at[one.trial.number], one.values[objective]), said_of(view, one))
        for one in by_rank(view, drawn)
    ]


def by_rank(view: View, drawn: Sequence[Judged]) -> list[Judged]:
    """Trials with the best first."""
    return sorted(drawn, key=lambda one: view.ranks[one.trial.number])


def said_of(view: View, one: Judged) -> str:
    """A trial and what it has come to, in words."""
    values = ", ".join(
        f"{objective.name} {label(value)}"
        for objective, value in zip(view.objectives, one.values, strict=True)
    )
    return f"trial {one.trial.number}, {one.kind}: {values}"
