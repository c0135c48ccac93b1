"""The median stopping rule: what is worse than most others were at that step ends (Golovin et al. 2017, section 3.2.2)."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from itertools import accumulate

from raygen.sweeps.history import History, Trial
from raygen.sweeps.scheduling.following import Follower, Queue
from raygen.sweeps.scheduling.lengths import lease, next_lease
from raygen.sweeps.scheduling.protocol import Decision, End, Train

WORSE = "WorseThanMedian"


class Median:
    """Ends a trial whose best score by a step is worse than the median of the running averages of others.

    A running average is the mean of a trial's scores up to the step. Others are all trials that have come as far and have not
    failed, whether they train, wait or have ended; Golovin et al. compare with those that have ended, of which a sweep has none
    for long. A trial that breaks a constraint at the step counts as infinitely bad.

    Args:
        points: Steps at which trials come back; the last is the whole training.
        least_trials: Others that must have come as far.
    """

    def __init__(self, points: Sequence[int], least_trials: int) -> None:
        self._points = tuple(points)
        self._least = least_trials
        # By point: the running averages of all that came as far, with their numbers, in order.
        self._averages: list[list[tuple[float, int]]] = [[] for _ in points]
        # By trial: best score and running average at each point that it has come to.
        self._records: dict[int, list[tuple[float, float]]] = {}
        self._waiting = Queue()
        self._follower = Follower()

    def decide(self, history: History, *, may_begin: bool) -> Decision | None:
        """See `raygen.sweeps.scheduling.protocol.Scheduler`."""
        for trial in self._follower.changed(history):
            self._take(history, trial)
        number = self._waiting.first(lambda one: history.trials[one].state == "Waiting")
        if number is None:
            return Train(None, lease(self._points, 0)) if may_begin else None
        ending = self._ending(history, number)
        reached = len(self._records[number])
        return ending or Train(number, next_lease(self._points, reached, history.trials[number].step))

    def _take(self, history: History, trial: Trial) -> None:
        number = trial.number
        known = self._records.setdefault(number, [])
        if trial.state == "Failed":
            for averages, (_, average) in zip(self._averages, known, strict=False):
                del averages[bisect_left(averages, (average, number))]
            known.clear()
            return
        if trial.state == "Waiting":
            self._waiting.add(number)
        place = len(known)
        if place < len(self._points) and max(trial.reports, default=0) >= self._points[place]:
            for record in self._measured(history, trial)[place:]:
                insort(self._averages[len(known)], (record[1], number))
                known.append(record)

    def _measured(self, history: History, trial: Trial) -> list[tuple[float, float]]:
        """Best score and running average of a trial at each point that it has come to."""
        scores = {step: score[0] for step in sorted(trial.reports) if (score := history.score(trial, step))}
        steps = list(scores)
        best = list(accumulate(scores.values(), min))
        total = list(accumulate(scores.values()))
        records: list[tuple[float, float]] = []
        for point in self._points:
            if not steps or steps[-1] < point:
                break
            last = max(bisect_right(steps, point) - 1, 0)
            feasible = history.is_feasible(trial, steps[last])
            records.append((best[last], total[last] / (last + 1)) if feasible else (math.inf, math.inf))
        return records

    def _ending(self, history: History, number: int) -> End | None:
        """Why a trial is not worth it, at the last point that it has come to; None where it is."""
        known = self._records[number]
        if not 0 < len(known) < len(self._points):
            return None
        best, average = known[-1]
        averages = self._averages[len(known) - 1]
        others = len(averages) - 1
        if others < self._least:
            return None
        median = _median_without(averages, bisect_left(averages, (average, number)))
        if not best > median:
            return None
        objective = history.objectives[0]
        said = (
            f"at step {self._points[len(known) - 1]} the best {objective.name} is {objective.sign * best:.6g}, and the median of"
            f" the running averages of {others} others is {objective.sign * median:.6g}"
        )
        if math.isinf(best):
            said = f"at step {self._points[len(known) - 1]} it breaks a constraint, which most of {others} others do not"
        return End(number, WORSE, said)


def _median_without(averages: Sequence[tuple[float, int]], own: int) -> float:
    """The median of all but one of these, which are in order."""
    count = len(averages) - 1
    low, high = ((count - 1) // 2, count // 2)
    return (averages[low + (low >= own)][0] + averages[high + (high >= own)][0]) / 2
