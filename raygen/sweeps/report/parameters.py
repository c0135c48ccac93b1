"""The parameters of a sweep as plots: one by one against an objective, and all together as parallel coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from raygen.report.axis import Axis
from raygen.report.chart import spread
from raygen.report.parallel import Parallel, Scale, draw_parallel
from raygen.report.plot import Hint, Plot, draw_plot
from raygen.sweeps.report.marks import by_rank, clouds_of, said_of
from raygen.sweeps.report.view import Positions, View, shown

MOST_SLICES = 24
MOST_IN_SLICE = 500
"""Trials of a slice."""
SLICE_HINTS = 40
"""Trials of a slice that say what they are while a pointer is over them."""
MOST_LINES = 1000
"""Trials in all pictures of parallel coordinates together."""
MOST_SCALES = 10
"""Parameters that have an axis there."""


def slice_plots(view: View, order: Sequence[tuple[int, str]]) -> list[Plot]:
    """Parameters against objectives, for each pair of an objective's number and a path; at most `MOST_SLICES`."""
    plots = (_slice(view, objective, path) for objective, path in order)
    return list(islice((plot for plot in plots if plot is not None), MOST_SLICES))


def _slice(view: View, objective: int, path: str) -> Plot | None:
    drawn, _ = view.bounded(MOST_IN_SLICE)
    drawn = [one for one in drawn if path in one.trial.values]
    if not drawn:
        return None
    positions = Positions(view.domains[path], [one.trial.values[path] for one in drawn])
    places = [positions.of(one.trial.values[path]) for one in drawn]
    known = [(place, one) for place, one in zip(places, drawn, strict=True) if place is not None]
    if positions.are_categories:
        # Side by side within their category, evenly and always the same (multiples of the golden ratio).
        known = [(place + 0.5 * (one.trial.number * 0.6180339887 % 1 - 0.5), one) for place, one in known]
    y = view.objective_axis(objective, [one.values[objective] for one in view.judged])
    took_part = sum(path in one.trial.values for one in view.judged)
    objective_name, name = view.objectives[objective].name, view.names[path]
    best = by_rank(view, [one for _, one in known])[:1]
    said = f" The best has {name} {shown(best[0].trial.values[path])}." if best else ""
    at = {one.trial.number: place for place, one in known}
    return draw_plot(
        f"{objective_name} by {name}",
        path,
        (positions.axis, y),
        clouds=clouds_of([one for _, one in known], [(place, one.values[objective]) for place, one in known]),
        hints=[
            Hint(
                (at[one.trial.number], one.values[objective]),
                f"{said_of(view, one)}\n{name} {shown(one.trial.values[path])}",
            )
            for one in by_rank(view, [one for _, one in known])[:SLICE_HINTS]
        ],
        summary=f"{objective_name} against {name} for {took_part:,} trials.{said}",
        note=f"{len(drawn):,} of {took_part:,} trials are drawn" if len(drawn) < took_part else "",
    )


def coordinate_plots(view: View, order: Sequence[tuple[int, str]]) -> list[Parallel]:
    """Parallel coordinates for each objective, the parameters in this order, for each pair of an objective's number and a path."""
    if len(view.judged) < 2:
        return []
    return [
        _coordinates(view, objective, [path for number, path in order if number == objective])
        for objective in range(len(view.objectives))
    ]


def _coordinates(view: View, objective: int, paths: Sequence[str]) -> Parallel:
    ranked = view.ranked(objective)
    limit = MOST_LINES // len(view.objectives)
    first = ranked[: limit // 4]
    others = ranked[limit // 4 :]
    chosen = first + [others[number] for number in spread(len(others), limit - len(first))]
    places = {one.trial.number: place / len(ranked) for place, one in enumerate(ranked)}
    positions = {
        path: Positions(
            view.domains[path], [one.trial.values[path] for one in chosen if path in one.trial.values]
        )
        for path in paths[:MOST_SCALES]
    }
    names = [view.names[path] for path in positions]
    axes: list[tuple[str, str, Axis]] = [
        (view.names[path], path, place.axis) for path, place in positions.items()
    ]
    for number, one in enumerate(view.objectives):
        goal = "less is better" if one.sign == 1 else "more is better"
        axis = view.objective_axis(number, [judged.values[number] for judged in view.judged])
        axes.append((one.name, f"{one.name}: {goal}", axis))
    lines = [
        [
            *(
                place.of(one.trial.values[path]) if path in one.trial.values else None
                for path, place in positions.items()
            ),
            *one.values,
        ]
        for one in chosen
    ]
    left = []
    if len(chosen) < len(ranked):
        left.append(
            f"{len(chosen):,} of {len(ranked):,} trials are drawn, the best {len(first):,} among them"
        )
    if len(positions) < len(paths):
        left.append(f"{len(positions)} of {len(paths)} parameters have an axis, the most important ones")
    values = ", ".join(
        f"{view.names[path]} {shown(ranked[0].trial.values[path])}"
        for path in positions
        if path in ranked[0].trial.values
    )
    name = view.objectives[objective].name
    return draw_parallel(
        f"Coloured by {name}",
        [Scale(_cut(name), title, axis) for name, title, axis in axes],
        lines,
        [places[one.trial.number] for one in chosen],
        f"{len(chosen):,} trials as lines over {', '.join(names)} and what they have come to. The best has {values}.",
        "; ".join(left),
    )


def _cut(name: str, limit: int = 18) -> str:
    return name if len(name) <= limit else f"…{name[1 - limit :]}"
