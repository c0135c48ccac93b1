"""What is known of a sweep: the fold of its events, and all that searches and schedulers may look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from raygen.spec.sweep.sweep import Constraint, Objective
from raygen.sweeps.events import Began, Ended, Event, Leased, Proposed, Reported, Returned

WARM_START = "WarmStart"
"""Source of trials that an earlier sweep has trained; they lie there, and are none of this sweep's best."""
TrialState = Literal["Waiting", "Running", "Completed", "Stopped", "Failed"]


@dataclass
class Trial:
    """A trial, as the events so far have it.

    Attributes:
        number: From 0.
        values: Values by path, of the parameters that take part.
        source: Who chose them.
        parent: The trial whose training it went on with; None: none.
        parent_step: After how many steps of that; 0 without a parent.
        replaces: The trial whose place in a population it has taken; None: none.
        state: Waiting: it does not train now, and may go on. Running. Or how it ended.
        step: Steps that it has done, as far as is known.
        until: The step at which it comes back while it is running; None: at its end.
        reports: Metrics by step, in the order of steps.
        reason: Why it is where it is; one word.
        message: The same as a sentence.
        losses: How often its worker was lost since its last report.
        seconds: Time that it has trained, in seconds.
    """

    number: int
    values: Mapping[str, Any]
    source: str
    parent: int | None = None
    parent_step: int = 0
    replaces: int | None = None
    state: TrialState = "Waiting"
    step: int = 0
    until: int | None = None
    reports: dict[int, Mapping[str, float]] = field(default_factory=dict)
    reason: str = ""
    message: str = ""
    losses: int = 0
    seconds: float = 0.0

    @property
    def has_ended(self) -> bool:
        """Whether it will not train any more."""
        return self.state in ("Completed", "Stopped", "Failed")


class History:
    """All trials of a sweep after some events.

    Args:
        objectives: What trials are judged by.
        constraints: Bounds on metrics.

    Attributes:
        trials: All of them, by number.
        touched: The trial of each event that changed one, in the order of events: who keeps a model of trials looks
            here for what is new to it.
        running: How many trials train.
        failed: How many have failed.
        known: How many an earlier sweep has trained.
        seconds: Time that trials have trained, all together, in seconds.
        now: Seconds that the sweep has been at work, by the newest event.
    """

    def __init__(self, objectives: Sequence[Objective], constraints: Sequence[Constraint] = ()) -> None:
        self.objectives = tuple(objectives)
        self.constraints = tuple(constraints)
        self._names = {one.name for one in objectives} | {one.metric for one in constraints}
        self.trials: list[Trial] = []
        self.touched: list[int] = []
        self.running = self.failed = self.known = 0
        self.seconds = 0.0
        self.now = 0.0
        self._since: dict[int, float] = {}

    def take(self, event: Event) -> None:
        """Goes on by one event."""
        self.now = max(self.now, event.at)
        if isinstance(event, Began):
            # Whoever trained is gone with the driver before.
            for number in list(self._since):
                self._leave(self.trials[number], "Waiting", "DriverLost")
                self.touched.append(number)
            return
        if isinstance(event, Proposed):
            born = (event.parent, event.parent_step, event.replaces)
            self.trials.append(Trial(event.trial, event.values, event.source, *born, step=event.parent_step))
            self.known += event.source == WARM_START
        trial = self.trials[event.trial]
        self.touched.append(event.trial)
        if isinstance(event, Leased):
            trial.state, trial.until, trial.reason = "Running", event.until, ""
            self.running += event.trial not in self._since
            self._count(trial)
            self._since[event.trial] = event.at
        elif isinstance(event, Reported):
            # A function of a checkpoint is told after the step's metrics.
            trial.reports[event.step] = {**trial.reports.get(event.step, {}), **event.values}
            trial.step, trial.losses = event.step, 0
            self._count(trial)
        elif isinstance(event, Returned):
            trial.step = event.step
            trial.losses += event.reason == "WorkerLost"
            self._leave(trial, "Waiting", event.reason)
        elif isinstance(event, Ended):
            trial.message = event.message
            self.failed += event.state == "Failed"
            self._leave(trial, event.state, event.reason)

    def seconds_by(self, now: float) -> float:
        """What `seconds` is at a later time, with what trials that are running have trained since."""
        return self.seconds + sum(max(now - since, 0.0) for since in self._since.values())

    def score(self, trial: Trial, step: int | None = None) -> tuple[float, ...] | None:
        """What a trial has come to, one number for each objective, of which less is better.

        Args:
            trial: Which.
            step: After so many steps. Default: at its last report that has them.

        Returns:
            None where it has not reported them.
        """
        values = self._values(trial, step)
        return None if values is None else tuple(one.sign * values[one.name] for one in self.objectives)

    def excess(self, trial: Trial, step: int | None = None) -> tuple[float, ...] | None:
        """By how much a trial breaks each constraint: above 0 where it does. See `score`."""
        values = self._values(trial, step)
        if values is None:
            return None
        return tuple(
            values[one.metric] - one.at_most
            if one.at_most is not None
            else float(one.at_least or 0) - values[one.metric]
            for one in self.constraints
        )

    def is_feasible(self, trial: Trial, step: int | None = None) -> bool:
        """Whether a trial has reported, and breaks no constraint."""
        excess = self.excess(trial, step)
        return excess is not None and all(one <= 0 for one in excess)

    def lineage(self, trial: Trial) -> list[Trial]:
        """A trial behind those whose training it went on with, the first of them first."""
        found = [trial]
        while found[0].parent is not None:
            found.insert(0, self.trials[found[0].parent])
        return found

    def owner(self, trial: Trial, step: int) -> Trial:
        """Which trial of a line has trained a step of it."""
        while trial.parent is not None and step <= trial.parent_step:
            trial = self.trials[trial.parent]
        return trial

    def lacking(self, trial: Trial, step: int) -> set[str]:
        """What a trial is judged by and has not reported after so many steps."""
        return self._names - trial.reports.get(step, {}).keys()

    def best(self) -> list[Trial]:
        """The best trials, of those that were trained furthest: one, or of several objectives those that no other beats in all.

        A trial that failed is none of them.
        """
        judged = [
            one
            for one in self.trials
            if one.state != "Failed" and one.source != WARM_START and self.is_feasible(one)
        ]
        whole = [one for one in judged if one.state == "Completed"]
        if not whole and judged:
            furthest = max(one.step for one in judged)
            whole = [one for one in judged if one.step == furthest]
        scores = {one.number: self.score(one) or () for one in whole}
        if len(self.objectives) == 1:
            return sorted(whole, key=lambda one: (scores[one.number], one.number))[:1]
        front: dict[int, tuple[float, ...]] = {}
        # Who beats another one stands before it in this order, and so does one of the front that does.
        for one in sorted(whole, key=lambda one: scores[one.number]):
            if not any(_beats(other, scores[one.number]) for other in front.values()):
                front[one.number] = scores[one.number]
        return [one for one in whole if one.number in front]

    def _values(self, trial: Trial, step: int | None) -> Mapping[str, float] | None:
        """What a trial has reported, with all that it is judged by."""
        for known in (step,) if step is not None else reversed(trial.reports):
            values = trial.reports.get(known, {})
            if self._names <= values.keys():
                return values
        return None

    def _count(self, trial: Trial) -> None:
        """Adds the time since it was last counted."""
        began = self._since.get(trial.number)
        if began is not None:
            spent = max(self.now - began, 0.0)
            trial.seconds += spent
            self.seconds += spent
            self._since[trial.number] = self.now

    def _leave(self, trial: Trial, state: TrialState, reason: str) -> None:
        self._count(trial)
        if self._since.pop(trial.number, None) is not None:
            self.running -= 1
        trial.state, trial.until, trial.reason = state, None, reason


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(left <= right for left, right in zip(one, other, strict=True))
