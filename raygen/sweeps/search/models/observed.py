"""What searches that model scores see of a history: finished and running trials, judged after equally many steps.

With a scheduler trials have different lengths, and scores after 100 steps say nothing beside scores after 1,000. As in BOHB
(Falkner et al. 2018) a model sees scores at one level: the greatest number of steps after which enough trials have reported,
max(10, 2 x parameters). Where that many were trained whole, the level is their end, however many steps each of them
had. While no level has enough, each trial counts with its newest score.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import Literal

from raygen.spec.sweep.domains import Values
from raygen.spec.sweep.space import Space
from raygen.sweeps.history import History, Trial
from raygen.sweeps.search.places import lies_in

LEAST_TRIALS = 10
_LIMIT = 1e100
"""Scores are cut off here, so that their squares are still numbers."""
_END: Literal["End"] = "End"
_Level = int | Literal["End"] | None


@dataclass(frozen=True)
class Observation:
    """A trial with a score.

    Attributes:
        number: The trial's.
        values: Its values.
        scores: One for each objective; less is better.
        excess: By how much it breaks each constraint; above 0 where it does.
        step: After how many steps it was judged.
        violation: By how much it breaks all constraints together; 0 where it breaks none.
    """

    number: int
    values: Values
    scores: tuple[float, ...]
    excess: tuple[float, ...]
    step: int
    violation: float


@dataclass(frozen=True)
class Observed:
    """What is known of all trials, in the order of their numbers. Trials that failed are left out.

    Attributes:
        scored: Those that have a score at the level.
        short: Those that have one at a lower level only, at which they stopped or wait.
        pending: Values of those that are expected to have a score.
        level: What they are judged by; it changes where scores of trials do.
    """

    scored: Sequence[Observation]
    short: Sequence[Observation]
    pending: Sequence[tuple[int, Values]]
    level: int | str | None


class Observer:
    """Reads what is new in a history.

    Args:
        space: What varies; trials whose values lie elsewhere are left out.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._enough = max(LEAST_TRIALS, 2 * len(space.domains))
        self._history: History | None = None
        self._begin()

    def _begin(self) -> None:
        self._position = 0
        self._level: _Level = None
        self._steps: dict[int, set[int]] = {}
        self._reports: Counter[int] = Counter()
        self._whole: set[int] = set()
        self._lies_in: dict[int, bool] = {}
        self._scored: dict[int, Observation] = {}
        self._short: dict[int, Observation] = {}
        self._pending: dict[int, Values] = {}

    def read(self, history: History) -> Observed:
        """What is known."""
        if history is not self._history:
            self._history = history
            self._begin()
        news = set(history.touched[self._position :])
        self._position = len(history.touched)
        for number in news:
            self._count(history, history.trials[number])
        level = self._greatest()
        if level != self._level:
            self._level, news = level, set(self._steps)
        for number in news:
            self._place(history, history.trials[number])
        return Observed(
            [self._scored[one] for one in sorted(self._scored)],
            [self._short[one] for one in sorted(self._short)],
            [(one, self._pending[one]) for one in sorted(self._pending)],
            level,
        )

    def _count(self, history: History, trial: Trial) -> None:
        """At which steps a trial has a score."""
        if trial.number not in self._lies_in:
            self._lies_in[trial.number] = lies_in(self._space, trial.values)
        before = self._steps.get(trial.number, set())
        after: set[int] = set()
        if trial.state != "Failed" and self._lies_in[trial.number]:
            after = {step for step in trial.reports if history.score(trial, step) is not None}
        self._reports.update(after - before)
        self._reports.subtract(before - after)
        self._steps[trial.number] = after
        if trial.state == "Completed" and after:
            self._whole.add(trial.number)

    def _greatest(self) -> _Level:
        if len(self._whole) >= self._enough:
            return _END
        return max((step for step, count in self._reports.items() if count >= self._enough), default=None)

    def _place(self, history: History, trial: Trial) -> None:
        """Puts a trial where it belongs."""
        for one in (self._scored, self._short, self._pending):
            one.pop(trial.number, None)
        if trial.state == "Failed" or not self._lies_in[trial.number]:
            return
        known = self._steps[trial.number]
        newest = next((step for step in reversed(trial.reports) if step in known), None)
        if isinstance(self._level, int) and self._level in known:
            self._scored[trial.number] = self._observation(history, trial, self._level)
        elif newest is not None and (self._level is None or trial.state == "Completed"):
            self._scored[trial.number] = self._observation(history, trial, newest)
        elif trial.state == "Running" or (newest is None and not trial.has_ended):
            self._pending[trial.number] = trial.values
        elif newest is not None:
            self._short[trial.number] = self._observation(history, trial, newest)

    def _observation(self, history: History, trial: Trial, step: int) -> Observation:
        excess = _bounded(history.excess(trial, step) or ())
        scores = _bounded(history.score(trial, step) or ())
        return Observation(
            trial.number, trial.values, scores, excess, step, sum(max(one, 0.0) for one in excess)
        )


def most_useful(observations: Sequence[Observation], limit: int) -> list[Observation]:
    """The newest and the best, half of each, in the order of their numbers; all where they are not more than the limit.

    The best of several objectives are those that no other one beats in all, then those that only these beat, and so on.
    """
    if len(observations) <= limit:
        return list(observations)
    newest, others = observations[-(limit // 2) :], observations[: -(limit // 2)]
    count = limit - limit // 2
    if len(others[0].scores) == 1:
        best = nsmallest(count, others, key=lambda one: (one.violation, one.scores, one.number))
    else:
        best = _fronts([one for one in others if not one.violation], count)
        broken = [one for one in others if one.violation]
        best += nsmallest(count - len(best), broken, key=lambda one: (one.violation, one.number))
    return sorted([*best, *newest], key=lambda one: one.number)


def _fronts(observations: Sequence[Observation], count: int) -> list[Observation]:
    """So many of the best for several objectives, front by front."""
    import numpy as np

    if not observations:
        return []
    scores = np.array([one.scores for one in observations])
    # By the sum of places in each objective: what another one beats comes behind it.
    places = [np.unique(column, return_inverse=True)[1] for column in scores.T]
    order = np.argsort(np.sum(places, axis=0), kind="stable")
    chosen: list[Observation] = []
    while order.size and len(chosen) < count:
        front, left = [], order
        while left.size:
            first = scores[left[0]]
            front.append(left[0])
            left = left[(scores[left] < first).any(axis=1)]
        chosen += [observations[one] for one in front[: count - len(chosen)]]
        order = order[~np.isin(order, front)]
    return chosen


def _bounded(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(min(max(one, -_LIMIT), _LIMIT) for one in values)
