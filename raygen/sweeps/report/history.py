"""The history of a sweep as plots: each trial by number and by time, with the best so far; and the front of several objectives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

from raygen.report.axis import linear_axis
from raygen.report.chart import spread
from raygen.report.plot import Bundle, Cloud, Hint, Plot, Point, draw_plot
from raygen.report.wording import label
from raygen.sweeps.policy import HOUR
from raygen.sweeps.report.marks import MARKS, by_rank, clouds_of, hints_of, said_of
from raygen.sweeps.report.view import Judged, View

MOST_POINTS = 4000
"""Trials of a plot where there is one objective; of more trials the best are drawn, and others evenly spread."""
LEAST_POINTS = 1000
"""The same where objectives are many, and their plots too."""
MOST_FRONT_NAMES = 6
"""Trials of a front that are named for those who cannot see it."""


def history_plots(view: View) -> list[Plot]:
    """Each objective by the number of the trial, and of one objective by time too; of several the fronts of each two."""
    if not view.judged:
        return []
    numbers = range(len(view.objectives))
    if len(numbers) == 1:
        return [_by_number(view, 0, MOST_POINTS), _by_time(view)]
    pairs = list(combinations(numbers, 2))
    limit = max(MOST_POINTS // (len(pairs) + len(numbers)), LEAST_POINTS)
    return [
        *(_front(view, *pair, limit) for pair in pairs),
        *(_by_number(view, one, limit) for one in numbers),
    ]


def _by_number(view: View, objective: int, limit: int) -> Plot:
    drawn, note = view.bounded(limit)
    y = view.objective_axis(objective, [one.values[objective] for one in view.judged])
    x = linear_axis(0, max(len(view.history.trials) - 1, 1), whole=True)
    # Those that failed have come to nothing: they stand at the edge.
    failures = [view.failed[number] for number in spread(len(view.failed), limit)]
    failed = [(float(trial.number), y.low) for trial in failures]
    course = _running_best(view, objective, [float(one.trial.number) for one in view.judged])
    clouds = clouds_of(drawn, [(float(one.trial.number), one.values[objective]) for one in drawn])
    if failed:
        clouds.append(Cloud("failed", *MARKS["failed"], failed))
    name = view.objectives[objective].name
    return draw_plot(
        f"{name} of each trial",
        "trial",
        (x, y),
        [Bundle("best so far", "line", 6, [[*course, (x.high, course[-1][1])]], stepped=True)]
        if course
        else [],
        clouds,
        hints_of(view, drawn, objective, [float(one.trial.number) for one in drawn]),
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
        clouds_of(drawn, [(time, one.values[0]) for time, one in zip(times, drawn, strict=True)]),
        hints_of(view, drawn, 0, times),
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


def _front(view: View, first: int, second: int, limit: int) -> Plot:
    """Two objectives against each other, with the best trials on top and the edge of these two."""
    drawn, note = view.bounded(limit)
    x, y = (view.objective_axis(n, [one.values[n] for one in view.judged]) for n in (first, second))

    def place(one: Judged) -> Point:
        return one.values[first], one.values[second]

    best = {one.number for one in view.best}
    front = [one for one in view.judged if one.trial.number in best]
    others = [one for one in drawn if one.trial.number not in best]
    names = view.objectives[first].name, view.objectives[second].name
    edge = _edge(view, front, first, second)
    large = [front[number] for number in spread(len(front), limit)]
    trials = ", ".join(str(one.trial.number) for one in front[:MOST_FRONT_NAMES])
    more = f" and {len(front) - MOST_FRONT_NAMES} more" if len(front) > MOST_FRONT_NAMES else ""
    return draw_plot(
        f"{names[1]} against {names[0]}",
        names[0],
        (x, y),
        [Bundle("Pareto front", "line", 1, [edge])] if len(edge) > 1 else [],
        [
            *clouds_of(others, [place(one) for one in others]),
            Cloud("the best", "large", 1, [place(one) for one in large]),
        ],
        [Hint(place(one), said_of(view, one)) for one in [*large, *by_rank(view, others)]],
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


def _course_summary(view: View, objective: int, course: Sequence[Point]) -> str:
    name = view.objectives[objective].name
    text = f"{name} of {len(view.judged):,} trials, and {len(view.failed):,} that failed."
    if not course or not math.isfinite(course[-1][1]):
        return text
    changes = f"after {len(course) - 1} change{'s' * (len(course) != 2)}"
    return f"{text} The best so far goes from {label(course[0][1])} to {label(course[-1][1])} {changes}."
