"""The plots of a sweep's page: its history, its front, its parameters one by one and together, its learning curves."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import combinations

from raygen.report.axis import Axis, linear_axis
from raygen.report.chart import spread
from raygen.report.parallel import Parallel, Scale, draw_parallel
from raygen.report.plot import Bundle, Cloud, Hint, Plot, Point, Shape, Stroke, draw_plot, thinned
from raygen.report.wording import label
from raygen.sweeps.history import Trial
from raygen.sweeps.policy import HOUR
from raygen.sweeps.report.view import KINDS, Judged, Kind, Positions, View, shown

MOST_POINTS = 4000
"""Trials of a plot of the history."""
MOST_IN_SLICE = 500
MOST_SLICES = 24
SLICE_HINTS = 40
MOST_LINES = 1000
"""Trials in all pictures of parallel coordinates together."""
MOST_SCALES = 10
"""Parameters that have an axis there."""
MOST_CURVES = 200
CURVE_POINTS = 50
MOST_FRONT_NAMES = 6

_MARKS: dict[Kind, tuple[Shape, int]] = {
    "completed": ("disc", 0),
    "stopped early": ("square", 1),
    "waiting or running": ("stick", 2),
    "breaks a constraint": ("ring", 3),
    "of an earlier sweep": ("ring", 5),
    "failed": ("tick", 4),
}
_STROKES: dict[Kind, Stroke] = {
    "completed": "faint",
    "stopped early": "dashed",
    "failed": "dotted",
}


def history_plots(view: View) -> list[Plot]:
    """Each objective by the number of the trial, and of one objective by time too; of several the fronts of each two."""
    if not view.judged:
        return []
    plots = [_by_number(view, objective) for objective in range(len(view.objectives))]
    if len(view.objectives) == 1:
        return [*plots, _by_time(view)]
    return [*(_front(view, *pair) for pair in combinations(range(len(view.objectives)), 2)), *plots]


def _by_number(view: View, objective: int) -> Plot:
    drawn, note = view.bounded(MOST_POINTS)
    y = view.objective_axis(objective, [one.values[objective] for one in view.judged])
    x = linear_axis(0, max(len(view.history.trials) - 1, 1), whole=True)
    # Those that failed have come to nothing: they stand at the edge.
    failed = [(float(trial.number), y.low) for trial in _spread(view.failed, MOST_POINTS)]
    course = _running_best(view, objective, [float(one.trial.number) for one in view.judged])
    clouds = _clouds(drawn, [(float(one.trial.number), one.values[objective]) for one in drawn])
    if failed:
        clouds.append(Cloud("failed", *_MARKS["failed"], failed))
    name = view.objectives[objective].name
    return draw_plot(
        f"{name} of each trial",
        "trial",
        (x, y),
        [Bundle("best so far", "line", 6, [[*course, (x.high, course[-1][1])]], stepped=True)]
        if course
        else [],
        clouds,
        _hints(view, drawn, objective, [float(one.trial.number) for one in drawn]),
        summary=_course_summary(view, objective, course),
        note=note,
    )


def _by_time(view: View) -> Plot:
    longest = max(view.history.now, *(one.at for one in view.judged))
    unit, size = next(
        ((unit, size) for unit, size in (("hours", HOUR), ("minutes", 60.0)) if longest >= 2 * size),
        ("seconds", 1.0),
    )
    drawn, note = view.bounded(MOST_POINTS)
    y = view.objective_axis(0, [one.values[0] for one in view.judged])
    x = linear_axis(0.0, longest / size)
    times = [one.at / size for one in drawn]
    course = _running_best(view, 0, [one.at / size for one in view.judged])
    name = view.objectives[0].name
    return draw_plot(
        f"{name} over time",
        f"{unit} at work",
        (x, y),
        [Bundle("best so far", "line", 6, [[*course, (x.high, course[-1][1])]], stepped=True)]
        if course
        else [],
        _clouds(drawn, [(time, one.values[0]) for time, one in zip(times, drawn, strict=True)]),
        _hints(view, drawn, 0, times),
        summary=_course_summary(view, 0, course),
        note=note,
    )


def _running_best(view: View, objective: int, places: Sequence[float]) -> list[Point]:
    """Where the best value changes, of those that may be the best: trained whole, or while none is, however far."""
    sign = view.objectives[objective].sign
    pairs = list(zip(places, view.judged, strict=True))
    whole = [pair for pair in pairs if pair[1].kind == "completed"]
    own = [pair for pair in pairs if pair[1].kind in ("stopped early", "waiting or running")]
    course: list[Point] = []
    for place, one in sorted(whole or own, key=lambda pair: (pair[0], pair[1].trial.number)):
        if not course or sign * one.values[objective] < sign * course[-1][1]:
            course.append((place, one.values[objective]))
    return course


def _front(view: View, first: int, second: int) -> Plot:
    """Two objectives against each other, with the best trials on top and the edge of these two."""
    drawn, note = view.bounded(MOST_POINTS)
    x, y = (view.objective_axis(n, [one.values[n] for one in view.judged]) for n in (first, second))

    def place(one: Judged) -> Point:
        return one.values[first], one.values[second]

    best = {one.number for one in view.best}
    front = [one for one in view.judged if one.trial.number in best]
    others = [one for one in drawn if one.trial.number not in best]
    names = view.objectives[first].name, view.objectives[second].name
    edge = _edge(view, front, first, second)
    large = [front[number] for number in spread(len(front), MOST_POINTS)]
    trials = ", ".join(str(one.trial.number) for one in front[:MOST_FRONT_NAMES])
    more = f" and {len(front) - MOST_FRONT_NAMES} more" if len(front) > MOST_FRONT_NAMES else ""
    return draw_plot(
        f"{names[1]} against {names[0]}",
        names[0],
        (x, y),
        [Bundle("Pareto front", "line", 1, [edge])] if len(edge) > 1 else [],
        [
            *_clouds(others, [place(one) for one in others]),
            Cloud("the best", "large", 1, [place(one) for one in large]),
        ],
        [Hint(place(one), _said(view, one)) for one in [*large, *_by_rank(view, others)]],
        summary=f"{names[1]} against {names[0]} of {len(view.judged):,} trials. The best are {trials}{more}.",
        note=note,
    )


def _edge(view: View, front: Sequence[Judged], first: int, second: int) -> list[Point]:
    """The stairs of the trials that no other one of the front beats in these two objectives."""
    one_sign, other_sign = view.objectives[first].sign, view.objectives[second].sign
    stairs: list[Point] = []
    for one in sorted(front, key=lambda one: (one_sign * one.values[first], other_sign * one.values[second])):
        point = one.values[first], one.values[second]
        if not stairs:
            stairs.append(point)
        elif other_sign * point[1] < other_sign * stairs[-1][1]:
            stairs += [(point[0], stairs[-1][1]), point]
    return stairs


def slice_plots(view: View, order: Sequence[tuple[int, str]]) -> list[Plot]:
    """Parameters against objectives, for each pair of an objective's number and a path; at most `MOST_SLICES`."""
    plots = (_slice(view, objective, path) for objective, path in order)
    return [plot for plot in plots if plot is not None][:MOST_SLICES]


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
    best = _by_rank(view, [one for _, one in known])[:1]
    said = f" The best has {name} {shown(best[0].trial.values[path])}." if best else ""
    at = {one.trial.number: place for place, one in known}
    return draw_plot(
        f"{objective_name} by {name}",
        path,
        (positions.axis, y),
        clouds=_clouds([one for _, one in known], [(place, one.values[objective]) for place, one in known]),
        hints=[
            Hint(
                (at[one.trial.number], one.values[objective]),
                f"{_said(view, one)}\n{name} {shown(one.trial.values[path])}",
            )
            for one in _by_rank(view, [one for _, one in known])[:SLICE_HINTS]
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


def curve_plots(view: View) -> list[Plot]:
    """Learning curves for each objective that was reported more than once."""
    plots = (_curves(view, objective) for objective in range(len(view.objectives)))
    return [plot for plot in plots if plot is not None]


def _curves(view: View, objective: int) -> Plot | None:
    name = view.objectives[objective].name
    kinds = [
        (one.trial, one.kind) for one in sorted(view.judged, key=lambda one: view.ranks[one.trial.number])
    ]
    kinds += [(trial, "failed") for trial in view.failed]
    curves = [(trial, kind, _course(trial, name)) for trial, kind in kinds]
    curves = [one for one in curves if one[2]]
    if not any(len(course) > 1 for _, _, course in curves):
        return None
    first = curves[: MOST_CURVES // 4]
    others = curves[MOST_CURVES // 4 :]
    chosen = first + [others[number] for number in spread(len(others), MOST_CURVES - len(first))]
    # Those that failed come last, so the first one is the best, if any is.
    best = next((one for one in chosen[:1] if one[1] != "failed"), None)
    rest = chosen if best is None else chosen[1:]
    points = [point for _, _, course in chosen for point in course]
    axes = (
        linear_axis(0, max(step for step, _ in points), whole=True),
        view.objective_axis(objective, [value for _, value in points]),
    )
    bundles = []
    for kind in KINDS:
        lines = [course for _, other, course in rest if other == kind]
        shape, tone = _MARKS[kind]
        bundles.append(Bundle(kind, _STROKES.get(kind, "faint"), tone, lines, ends=shape))
    if best is not None:
        bundles.append(Bundle(f"the best, trial {best[0].number}", "line", 1, [best[2]], ends="large"))
    counted = Counter(kind for _, kind, _ in curves)
    counts = ", ".join(f"{counted[kind]:,} {kind}" for kind in KINDS if counted[kind])
    return draw_plot(
        f"{name} by step",
        "step",
        axes,
        bundles,
        (),
        [
            Hint(
                course[-1],
                f"trial {trial.number}, {kind}: {label(course[-1][1])} at step {course[-1][0]:,.0f}",
            )
            for trial, kind, course in chosen
        ],
        summary=f"{name} by step for {len(curves):,} trials: {counts}.",
        note=f"{len(chosen):,} of {len(curves):,} trials are drawn, the best {len(first):,} among them"
        if len(chosen) < len(curves)
        else "",
    )


def _course(trial: Trial, name: str) -> list[Point]:
    course = [(float(step), values[name]) for step, values in sorted(trial.reports.items()) if name in values]
    return thinned(course, CURVE_POINTS)


def _clouds(drawn: Sequence[Judged], points: Sequence[Point]) -> list[Cloud]:
    """The points of each kind."""
    clouds = []
    for kind in reversed(KINDS):
        own = [point for one, point in zip(drawn, points, strict=True) if one.kind == kind]
        if own:
            clouds.append(Cloud(kind, *_MARKS[kind], own))
    return clouds


def _hints(view: View, drawn: Sequence[Judged], objective: int, places: Sequence[float]) -> list[Hint]:
    at = {one.trial.number: place for one, place in zip(drawn, places, strict=True)}
    return [
        Hint((at[one.trial.number], one.values[objective]), _said(view, one)) for one in _by_rank(view, drawn)
    ]


def _by_rank(view: View, drawn: Sequence[Judged]) -> list[Judged]:
    return sorted(drawn, key=lambda one: view.ranks[one.trial.number])


def _said(view: View, one: Judged) -> str:
    values = ", ".join(
        f"{objective.name} {label(value)}"
        for objective, value in zip(view.objectives, one.values, strict=True)
    )
    return f"trial {one.trial.number}, {one.kind}: {values}"


def _course_summary(view: View, objective: int, course: Sequence[Point]) -> str:
    name = view.objectives[objective].name
    text = f"{name} of {len(view.judged):,} trials, and {len(view.failed):,} that failed."
    if not course or not math.isfinite(course[-1][1]):
        return text
    changes = f"after {len(course) - 1} change{'s' * (len(course) != 2)}"
    return f"{text} The best so far goes from {label(course[0][1])} to {label(course[-1][1])} {changes}."


def _spread(trials: Sequence[Trial], limit: int) -> list[Trial]:
    return [trials[number] for number in spread(len(trials), limit)]


def _cut(name: str, limit: int = 18) -> str:
    return name if len(name) <= limit else f"…{name[1 - limit :]}"
