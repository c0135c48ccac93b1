"""Drives a sweep: asks the policy what is next, has workers do it, and writes down what happens before it acts on it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

from raygen.errors import TrialsFailedError, ValidationError
from raygen.spec.job.training_job import parse
from raygen.spec.sweep.sweep import Sweep
from raygen.sweeps.directory import Log, SweepDirectory, run_name
from raygen.sweeps.events import Began, Ended, Event, Leased, Proposed, Reported, Returned, newest_sweep
from raygen.sweeps.history import History, Trial
from raygen.sweeps.policy import Begin, Policy
from raygen.sweeps.scheduling.protocol import End
from raygen.sweeps.summary import summary_of
from raygen.sweeps.trials.protocol import Evaluated, Left, Message, TrialTask, Workers
from raygen.sweeps.trials.tasks import task_of
from raygen.training import drain
from raygen.training.engine.control import Control

WAIT_S = 0.5
"""How often the driver looks whether it is to stop."""
SUMMARY_S = 5.0
LEAVE_S = 60.0
"""How long trials have to leave once the sweep is to stop; what they have not saved by then they do again."""
LOSSES = 3
"""Workers in a row that may be lost under a trial before it has failed."""


class Watcher(Protocol):
    """Hears of what happens."""

    def take(self, event: Event, history: History) -> None:
        """An event, and what is known after it."""

    def began(self, directory: SweepDirectory, driver: int) -> None:
        """A driver has begun: where, and its number."""

    def summarised(self, summary: Mapping[str, Any]) -> None:
        """How the sweep is, every few seconds and at its end: what `summary.json` holds."""

    def has_use_for(self, pods: Mapping[str, Any]) -> None:
        """What worker pods a sweep with autoscaling has use for, every few seconds."""

    def notice(self, text: str) -> None:
        """A sentence that a person should know."""


@dataclass(frozen=True)
class SweepResult:
    """How a sweep ended.

    Attributes:
        state: Succeeded, or Stopped (the same command goes on).
        reason: BudgetUsedUp, SpaceExhausted, PopulationTrained, or the name of a signal.
        sweep: URI of the sweep's directory.
        trials: How many trials there are.
        best: The best ones: number, values, metrics, step and run of each.
        seconds: Wall time of this driver.
        report: Where the report is; empty if none was written.
    """

    state: Literal["Succeeded", "Stopped"]
    reason: str
    sweep: str
    trials: int
    best: tuple[Mapping[str, Any], ...]
    seconds: float
    report: str = ""


class Driver:
    """Drives one sweep until there is nothing left to do, or it is to stop.

    Args:
        sweep: The sweep.
        base: Folder that relative source paths start from.
        directory: Of the sweep; this driver has claimed it.
        driver: Its number.
        events: The log so far.
        policy: Decides.
        workers: Train trials.
        cores: Of each trial.
        control: Stops it.
        watcher: Hears of what happens.
        clock: Seconds that only grow.
        known: What is known of trials of earlier sweeps.
        pods: Tells what worker pods it has use for. Default: nobody asks.
    """

    def __init__(
        self,
        sweep: Sweep,
        base: Path,
        directory: SweepDirectory,
        driver: int,
        events: list[Event],
        policy: Policy,
        workers: Workers,
        cores: int,
        control: Control,
        watcher: Watcher,
        clock: Callable[[], float] = time.monotonic,
        known: Sequence[Event] = (),
        pods: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        self._sweep, self._base, self._directory = sweep, base, directory
        self._policy, self._workers, self._cores = policy, workers, cores
        self._control, self._watcher, self._clock = control, watcher, clock
        self._pods = pods
        self._log = Log(directory, driver, clock)
        self._history = policy.history()
        self._new: list[Event] = []
        # What is to be done once the events that it follows from are written.
        self._acts: list[Callable[[], None]] = []
        self._tasks: list[TrialTask] = []
        self._live: set[int] = set()
        self._asking: set[int] = set()
        self._leaving: set[int] = set()
        self._summarised = -math.inf
        self._stopping: float | None = None
        for event in events:
            self._history.take(event)
        self._began = clock() - self._history.now
        watcher.began(directory, driver)
        document = sweep.model_dump(mode="json", exclude_unset=True)
        changed = newest_sweep(events) != document
        self._record(Began(driver, len(events), cores, document if changed else None, self._now()))
        for event in known:
            self._record(event)

    def run(self) -> SweepResult:
        """Drives it.

        Raises:
            TrialsFailedError: too many trials have failed.
            FencedError: another driver has taken over.
        """
        started = self._clock()
        while True:
            if self._is_to_stop() or self._has_failed:
                self._stop_all()
            else:
                self._fill()
            self._commit()
            if (not self._live and not self._tasks) or self._gives_up():
                break
            self._summarise()
            for message in self._workers.wait(WAIT_S):
                self._take(message)
        self._summarise(at_once=True)
        self._check_failures()
        history = self._history
        summary = self._summary()
        stopped = self._control.requested
        begun = len(history.trials) - history.known
        if not stopped and begun and history.failed == begun:
            raise self._failures(f"all {begun} trials have failed")
        reason = self._control.reason or "" if stopped else self._why_over()
        return SweepResult(
            state="Stopped" if stopped else "Succeeded",
            reason=reason,
            sweep=self._directory.uri,
            trials=begun,
            best=tuple(summary["best"]),
            seconds=self._clock() - started,
        )

    def _now(self) -> float:
        return round(self._clock() - self._began, 3)

    def _record(self, event: Event) -> None:
        self._history.take(event)
        self._new.append(event)

    def _commit(self) -> None:
        """Writes down what was recorded, and then acts on it."""
        self._log.write(self._new)
        for event in self._new:
            self._watcher.take(event, self._history)
        self._new = []
        acts, self._acts = self._acts, []
        for act in acts:
            act()
        # Whoever still asks has no part in what is next.
        for trial in sorted(self._asking):
            self._asking.discard(trial)
            self._leaving.add(trial)
            self._workers.answer(trial, None, stay=False)
        waiting, self._tasks = self._tasks, []
        for task in waiting:
            if self._workers.free and task.trial not in self._leaving:
                self._live.add(task.trial)
                self._workers.start(task)
            else:
                self._tasks.append(task)

    def _fill(self) -> None:
        """Gives every free worker something to do, as far as there is something."""
        while self._workers.free + len(self._asking) > len(self._tasks):
            decision = self._policy.next(self._history)
            if decision is None:
                return
            if isinstance(decision, End):
                self._end(decision.trial, "Stopped", decision.reason, decision.message)
                continue
            number = decision.trial if not isinstance(decision, Begin) else self._begin(decision)
            if number is None:
                if self._has_failed:
                    return
                continue
            self._record(Leased(number, decision.until, self._now()))
            if number in self._asking:
                self._asking.discard(number)
                self._acts.append(partial(self._workers.answer, number, decision.until, stay=True))
            else:
                self._tasks.append(
                    task_of(
                        self._policy,
                        self._history,
                        number,
                        decision.until,
                        self._cores,
                        self._base,
                        self._directory,
                    )
                )

    def _begin(self, decision: Begin) -> int | None:
        """Makes a trial; its number, or None if its values make no job."""
        number = len(self._history.trials)
        born = (decision.parent, decision.parent_step, decision.replaces)
        self._record(Proposed(number, dict(decision.values), decision.source, self._now(), *born))
        try:
            parse(self._policy.document(self._history, self._history.trials[number], run_name(number)))
        except ValidationError as error:
            said = "; ".join(f"{one.path} {one.rule}" for one in error.faults[:3])
            self._end(number, "Failed", "InvalidJob", f"these values make no valid job: {said}")
            return None
        return number

    def _take(self, message: Message) -> None:
        if isinstance(message, Evaluated):
            self._evaluated(message)
        else:
            self._left(message)

    def _evaluated(self, message: Evaluated) -> None:
        trial = self._history.trials[message.trial]
        broken = [name for name, value in message.values.items() if not math.isfinite(value)]
        judging = {one.name for one in self._sweep.spec.objectives} | {
            one.metric for one in self._sweep.spec.constraints
        }
        values = {name: value for name, value in message.values.items() if math.isfinite(value)}
        known = trial.reports.get(message.step, {})
        # A child that has to train what its parents did says again what they have said.
        is_own = message.step > trial.parent_step
        if is_own and not trial.has_ended and values.keys() - known.keys():
            self._record(Reported(message.trial, message.step, values, self._now()))
        if not trial.has_ended and judging & set(broken):
            name = min(judging & set(broken))
            said = f"{name} is {message.values[name]} after step {message.step}"
            self._end(message.trial, "Failed", "NonFiniteMetric", said)
        if trial.has_ended:
            if message.trial not in self._leaving:
                self._leaving.add(message.trial)
                self._workers.stop(message.trial)
        elif message.asks:
            self._record(Returned(message.trial, message.step, "Decision", self._now()))
            self._asking.add(message.trial)

    def _left(self, message: Left) -> None:
        trial = self._history.trials[message.trial]
        self._live.discard(message.trial)
        self._asking.discard(message.trial)
        self._leaving.discard(message.trial)
        # Its next lease waits for its leaving this one, of which all is known.
        if trial.has_ended or any(task.trial == message.trial for task in self._tasks):
            return
        step = max(message.step, trial.step)
        if message.state == "Whole":
            if self._history.score(trial, step) is None:
                self._end(message.trial, "Failed", "NoObjective", self._lacking(trial, step))
            else:
                self._end(message.trial, "Completed", message.reason, "")
        elif message.state == "Failed":
            self._end(message.trial, "Failed", message.reason, message.message)
        elif message.state == "WorkerLost" and trial.losses + 1 >= LOSSES:
            said = f"its worker was lost {LOSSES} times in a row: {message.message}"
            self._end(message.trial, "Failed", "WorkerLost", said)
        elif message.state == "Leased" and self._history.score(trial, step) is None:
            self._end(message.trial, "Failed", "NoObjective", self._lacking(trial, step))
        elif trial.state == "Running":
            reason = {"Leased": "Decision", "Stopped": "Stopped"}.get(message.state, message.state)
            self._record(Returned(message.trial, step, reason, self._now()))

    def _lacking(self, trial: Trial, step: int) -> str:
        names = ", ".join(sorted(self._history.lacking(trial, step)))
        return f"after step {step} it has not reported {names}"

    def _end(
        self, trial: int, state: Literal["Completed", "Stopped", "Failed"], reason: str, message: str
    ) -> None:
        self._record(Ended(trial, state, reason, message, self._now()))

    @property
    def _has_failed(self) -> bool:
        """Whether more trials have failed than may."""
        return self._history.failed > self._sweep.spec.failed_trials

    def _check_failures(self) -> None:
        if not self._has_failed:
            return
        count, begun = self._history.failed, len(self._history.trials) - self._history.known
        raise self._failures(
            f"{count} of {begun} trials have failed, and {self._sweep.spec.failed_trials} may"
        )

    def _failures(self, what: str) -> TrialsFailedError:
        failed = [one for one in self._history.trials if one.state == "Failed"]
        causes: dict[str, int] = {}
        for one in failed:
            causes[one.reason] = causes.get(one.reason, 0) + 1
        counted = ", ".join(f"{count} of {reason}" for reason, count in sorted(causes.items()))
        return TrialsFailedError(
            f"{what} ({counted}); the last: {failed[-1].message or failed[-1].reason}",
            where=self._directory.uri,
            remedy="Fix the cause, and sweep under another name; or allow more with spec.failedTrials and spec.budget.trials, and"
            " the same command goes on.",
        )

    def _is_to_stop(self) -> bool:
        if drain.asked():
            self._control.stop(drain.REASON)
        return self._control.requested or self._policy.used_up(self._history, self._now()) is not None

    def _gives_up(self) -> bool:
        """Whether trials that are to leave have had their time."""
        if self._stopping is None:
            return False
        return self._clock() - self._stopping > LEAVE_S

    def _stop_all(self) -> None:
        if self._stopping is None:
            self._stopping = self._clock()
        for task in self._tasks:
            step = self._history.trials[task.trial].step
            self._record(Returned(task.trial, step, "Stopped", self._now()))
        self._tasks = []
        for trial in sorted(self._live - self._leaving):
            self._leaving.add(trial)
            self._asking.discard(trial)
            self._workers.stop(trial)

    def _why_over(self) -> str:
        limit = self._sweep.spec.budget.trials
        used = self._policy.used_up(self._history) is not None
        return (
            "BudgetUsedUp"
            if used or (limit is not None and len(self._history.trials) - self._history.known >= limit)
            else ("PopulationTrained" if self._sweep.spec.scheduler.has_population else "SpaceExhausted")
        )

    def _summary(self) -> dict[str, Any]:
        return summary_of(self._sweep, self._history, self._policy, self._directory.trials)

    def _summarise(self, *, at_once: bool = False) -> None:
        now = self._clock()
        if at_once or now - self._summarised >= SUMMARY_S:
            self._summarised = now
            summary = self._summary()
            self._directory.write_summary(summary)
            if self._pods is not None:
                self._watcher.has_use_for(self._pods())
            self._watcher.summarised(summary)
