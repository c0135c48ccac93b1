"""FreezeThaw: the learning curve that promises most goes on (Swersky et al. 2014)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from raygen.sweeps.history import WARM_START, History, Trial
from raygen.sweeps.scheduling.curves import Floats, Forecast, forecast
from raygen.sweeps.scheduling.following import Follower, Queue
from raygen.sweeps.scheduling.lengths import lease, next_lease
from raygen.sweeps.scheduling.protocol import Decision, Train

SHARE = 0.1
"""Of the steps of all trials: what may be trained, besides one whole training."""


class FreezeThaw:
    """Trains trials an interval at a time, each time the one whose end promises most.

    A decision compares the expected improvement of each waiting trial's end over the best score so far (Mockus 1978; Kadra et al. 2023
    choose in the same way) with that of a new trial. Ends are forecast by `raygen.sweeps.scheduling.curves`. Trials that wait are
    thawed for as many steps as one whole training and a tenth of all trials' would take, what is left of the one with the best
    forecast set aside; after that the latter alone goes on, to its end.

    Args:
        lengths: Steps at which trials come back; the last is the whole training.
    """

    def __init__(self, lengths: Sequence[int]) -> None:
        self._lengths = tuple(lengths)
        # By trial: shares of the training and scores, one for each length that it has come to.
        self._curves: dict[int, tuple[Floats, Floats]] = {}
        # By trial: how many lengths it has come to.
        self._reached: dict[int, int] = {}
        self._under_way = Queue()
        self._follower = Follower()

    def decide(self, history: History, *, may_begin: bool) -> Decision | None:
        """See `raygen.sweeps.scheduling.protocol.Scheduler`."""
        for trial in self._follower.changed(history):
            self._take(history, trial)
        number = self._under_way.first(lambda one: self._is_under_way(history.trials[one]))
        if number is not None:
            return self._thaw(history.trials[number])
        begin = Train(None, lease(self._lengths, 0)) if may_begin else None
        known = [history.trials[number] for number in sorted(self._curves)]
        if not any(one.state == "Waiting" for one in known):
            return begin
        found = forecast([self._curves[one.number] for one in known], self._lengths[0] / self._lengths[-1])
        return self._promising(history, known, found, may_begin=may_begin) or begin

    def _promising(
        self, history: History, known: Sequence[Trial], found: Forecast, *, may_begin: bool
    ) -> Train | None:
        """Which waiting trial goes on; None: none, or a new one promises more."""
        rows = [row for row, one in enumerate(known) if one.state != "Stopped"]
        feasible = [row for row in rows if history.is_feasible(known[row])]
        rows = feasible or rows
        waiting = [row for row in rows if known[row].state == "Waiting"]
        if not waiting or (may_begin and not feasible):
            return None
        scores = [self._curves[one.number][1] for one in known]
        ends = _rounded(found.ends())
        for row in rows:
            if known[row].state == "Completed":
                ends[row] = scores[row][-1]
        best = min(float(scores[row].min()) for row in rows)
        gains = _rounded(found.gains(best))
        favourite = min(rows, key=lambda row: (ends[row], row))
        chosen = max(waiting, key=lambda row: (gains[row], -row))
        if self._may_thaw(history, known[chosen], known[favourite]):
            new = _rounded(np.array([found.gain(best)]))[0] if may_begin else -1.0
            return self._thaw(known[chosen]) if gains[chosen] > new else None
        return None if may_begin or favourite not in waiting else self._thaw(known[favourite])

    def _may_thaw(self, history: History, trial: Trial, favourite: Trial) -> bool:
        """Whether a trial may train for another interval, so that the favourite can still be trained whole."""
        whole = self._lengths[-1]
        goals = {one.number: one.step for one in history.trials if one.source != WARM_START}
        allowed = whole * (1 + SHARE * len(goals))
        for number in goals:
            if history.trials[number].state == "Running":
                goals[number] = history.trials[number].until or whole
        goals[trial.number] = self._thaw(trial).until or whole
        goals[favourite.number] = whole
        return sum(goals.values()) <= allowed

    def _take(self, history: History, trial: Trial) -> None:
        """Brings the curve of a trial up to date."""
        self._curves.pop(trial.number, None)
        self._reached.pop(trial.number, None)
        if trial.state == "Failed":
            return
        scores = {
            place: score[0]
            for place, step in enumerate(self._lengths)
            if step in trial.reports and (score := history.score(trial, step)) is not None
        }
        self._reached[trial.number] = max(scores, default=-1) + 1
        if scores:
            shares = np.array([self._lengths[place] for place in scores]) / self._lengths[-1]
            self._curves[trial.number] = (shares, np.array(list(scores.values())))
        if self._is_under_way(trial):
            self._under_way.add(trial.number)

    def _is_under_way(self, trial: Trial) -> bool:
        """Whether a trial waits between two decisions, or at its end, which it has yet to be told of."""
        reached = self._reached.get(trial.number, 0)
        at_rest = 0 < reached < len(self._lengths) and trial.step <= self._lengths[reached - 1]
        return trial.state == "Waiting" and not at_rest

    def _thaw(self, trial: Trial) -> Train:
        return Train(trial.number, next_lease(self._lengths, self._reached[trial.number], trial.step))


def _rounded(values: Floats) -> Floats:
    """To nine digits, since machines differ in the last ones."""
    return np.array([float(f"{value:.9g}") for value in values])
