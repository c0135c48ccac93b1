"""One run, from a job to its outcome: opens the run directory, goes on where it was, has it trained, reports.

It needs no PyTorch: what trains is imported when it is known that it trains in this process (`here`), and workers load
their own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from raygen.checkpoint import latest
from raygen.compute.scale import available_cores
from raygen.data.readers import units_per_sample
from raygen.errors import FencedError, InputError, OutputError, RaygenError, RollBackError, reason_of
from raygen.jobfile import load
from raygen.report.gather import write_report
from raygen.run.directory import REPORT
from raygen.run.record import RunRecord
from raygen.spec import TrainingJob, parse
from raygen.training.data_preparation import PreparationStoppedError, prepare_missing
from raygen.training.engine.control import Control
from raygen.training.engine.evaluation.gates import check_gates
from raygen.training.engine.guards import Guards
from raygen.training.engine.rollback import roll_back
from raygen.training.engine.state import Ending, State, Trained
from raygen.training.facts import Facts, decoded
from raygen.training.observers.events import (
    Broadcast,
    EventSink,
    Notice,
    Observer,
    Ready,
    Started,
    notices_of,
)
from raygen.training.observers.goodput import Goodput, Measured
from raygen.training.observers.startup import JOB_AND_DATA, Startup
from raygen.training.prepare import Begun, JobPlan, count_steps, placed, prepare
from raygen.training.ray.mailbox import ClaimedAttempt, Task
from raygen.training.result import Result


def train(
    job: TrainingJob | Mapping[str, Any] | str | Path,
    *,
    base: str | Path | None = None,
    output: str | None = None,
    run: str | None = None,
    parent: str | None = None,
    device: str = "auto",
    strict: bool = False,
    dry_run: bool = False,
    distributed: bool | None = None,
    cores: int | None = None,
    observer: EventSink | None = None,
    control: Control | None = None,
) -> Result:
    """Trains a job on this machine. A run that exists goes on from its newest checkpoint that verifies.

    In the main thread, SIGINT and SIGTERM stop it at the next step: it leaves a checkpoint and returns a result
    whose state is Stopped. While job and data are read, SIGINT raises KeyboardInterrupt. Elsewhere signals stay as
    they are.

    Args:
        job: A job, the content of a job file, or the path of one.
        base: Folder that relative source paths start from. Default: the job file's folder, else the working one.
        output: Folder of all runs, instead of the job's.
        run: The run's name, instead of the job's.
        parent: Run directory whose weights a new run starts from.
        device: `cuda`, `mps`, `cpu`, or `auto` for the first of these that is there.
        strict: Refuse a job whose scale does not fit this machine, instead of fitting it.
        dry_run: Look at everything that may be wrong, but do not train.
        distributed: Train on Ray's workers. Default: if there are several of them, or RAY_ADDRESS names a cluster.
        cores: Of this machine to use. Default: all that this process may.
        observer: Takes events while the run goes on.
        control: Stops or pauses the run, and hears of its evaluations.

    Raises:
        InputError: job, data or output are wrong.
        RunError: the run failed.
        FencedError: a newer attempt has taken over.
    """
    began, startup = time.monotonic(), Startup()
    observer, control = observer or Observer(), control or Control()
    if isinstance(job, (str, Path)):
        loaded = load(job)
        job, base = loaded.job, base or loaded.path.parent
    typed = job if isinstance(job, TrainingJob) else parse(job)
    if cores is not None and (not isinstance(cores, int) or cores < 1):
        raise InputError(
            f"a run cannot use {cores!r} cores",
            where="cores",
            remedy="Give a whole number from 1, or leave it out.",
        )
    cores = cores or available_cores()

    def ready() -> JobPlan:
        return prepare(
            placed(typed, output, run),
            Path(base or ""),
            parent,
            device,
            strict=strict,
            distributed=distributed,
            cores=cores,
        )

    with control.on_signals():
        with control.interrupt_at_once():
            plan = ready()
        for notice in [*plan.notices, *control.notices(plan.job.spec.evaluation)]:
            observer.take(Notice(notice))
        if not dry_run and not _has_data(plan, observer, control):
            return _Attempt(plan, control, observer, startup, began).stopped_before()
        while True:
            attempt = _Attempt(plan, control, observer, startup, began)
            try:
                return attempt.dry_run() if dry_run else attempt.run()
            except RollBackError as error:
                startup = Startup()
                observer.take(Notice(f"{error.kind}: {error.what}; going back. {error.remedy}"))
                plan = ready()


def _has_data(plan: JobPlan, observer: EventSink, control: Control) -> bool:
    """Prepares the data of a job that has a preparation and no data set yet; False if it was to stop meanwhile."""
    try:
        with control.interrupt_at_once():
            prepare_missing(plan.job, plan.base, plan.cores, observer, control)
    except PreparationStoppedError:
        return False
    return True


class _Attempt:
    """Drives one attempt from a plan to its outcome: here, or on Ray's workers.

    Args:
        plan: The run.
        control: Stops and pauses it.
        observer: Takes events.
        startup: Takes the time until the first step.
        began: When `train` was called, on the monotonic clock.
    """

    def __init__(
        self, plan: JobPlan, control: Control, observer: EventSink, startup: Startup, began: float
    ) -> None:
        self._plan, self._control, self._observer = plan, control, observer
        self._startup, self._began = startup, began
        self._guards = Guards(plan.job.spec.training, len(plan.rollbacks), notices_of(observer))
        self._goodput = Goodput()
        self._begun: Begun | None = None
        self._remarks: list[dict[str, Any]] = []

    def dry_run(self) -> Result:
        """Opens data and model, and writes nothing."""
        from raygen.training.here import look

        facts = self._known(look(self._plan, self._control, notices_of(self._observer)))
        self._plan.document(facts)
        return self._not_begun("DryRun", "Valid", self._steps(facts))

    def stopped_before(self) -> Result:
        """The result of a run that was asked to stop before its data was there."""
        return self._not_begun("Stopped", self._control.reason or "", self._known_steps())

    def run(self) -> Result:
        """Trains; whatever happens once the attempt is claimed, its file says how it ended."""
        state = State(**self._plan.checkpoint.values["loop"]) if self._plan.checkpoint else State.new()
        try:
            trained = self._on_workers(state) if self._plan.distributed else self._here(state)
            if isinstance(trained, Trained) and not trained.ending.stopped:
                state = trained.state
                check_gates(self._plan.job, state.metrics, state.step)
        except BaseException as error:
            if self._begun is not None:
                self._failed(self._begun, state, error)
            raise
        if isinstance(trained, Result):
            return trained
        if self._begun is None:
            raise AssertionError("nothing trains before its attempt has begun")
        return self._finish(self._begun, trained)

    def _here(self, state: State) -> Trained | Result:
        """Trains in this process."""
        from raygen.training.here import train_here

        plan = self._plan

        def begin(facts: Facts) -> Begun | Result:
            document = plan.document(self._known(facts))
            done = plan.complete(self._steps(facts))
            return self._begin(facts, document) if done is None else done

        observer = Measured(self._goodput, self._observer)
        return train_here(plan, state, self._control, self._guards, observer, self._startup, begin)

    def _on_workers(self, state: State) -> Trained | Result:
        """Trains on Ray's workers, which open data, model and checkpoint by themselves.

        If they fail, `state` has the step that they came to, and the guards what was found.
        """
        from raygen.training.ray.launch import launch

        plan = self._plan
        done = plan.complete(self._known_steps()) if plan.existing is not None else None
        if done is not None:
            return done
        self._startup.done(JOB_AND_DATA)
        try:
            result = launch(
                plan.job.spec.scale,
                self._task(),
                plan.cores,
                self._control,
                Broadcast(_Resumed(self), self._observer),
                self._startup,
                self._goodput,
                plan.job.spec.data.reading,
                self._answer,
            )
            if result is None:
                if self._begun is None:
                    return self.stopped_before()
                ending = Ending(self._control.reason or "", stopped=True)
                return Trained(ending, self._left_behind(state), math.nan, self._guards.findings)
            self._guards.findings.extend(result.findings)
            if isinstance(result.outcome, RaygenError):
                raise result.outcome
        except RaygenError:
            if self._begun is not None:
                lines = plan.directory.read_metrics().lines
                state.step = lines[-1].step if lines else state.step
            raise
        return result.outcome

    def _left_behind(self, state: State) -> State:
        """What the next attempt goes on from, where workers were lost before they could stop."""
        found = latest(self._plan.directory.checkpoints, tensors={})
        return State(**found.values["loop"]) if found is not None else state

    def _task(self) -> Task:
        plan = self._plan
        return Task(
            job=plan.job.model_dump(mode="json", exclude_none=True),
            base=str(plan.base),
            storage=plan.storage,
            run=plan.directory.name,
            parent=plan.parent.identity(plan.start or 0) if plan.parent is not None else None,
            rollbacks=plan.rollbacks,
            stop_at=self._control.stop_step,
            reports=self._control.reports,
        )

    def _answer(self, facts: Facts) -> ClaimedAttempt:
        """Begins the attempt that workers are ready for, and gives what they have to know of it."""
        begun = self._begin(self._known(facts), self._plan.document(facts))
        return ClaimedAttempt(asdict(begun.attempt.record), begun.steps, facts.fingerprint)

    def _begin(self, facts: Facts, document: dict[str, Any]) -> Begun:
        """The first writes: job.json, the claim, what the run keeps of its data."""
        directory, is_new = self._plan.directory, self._plan.existing is None
        if is_new:
            directory.create_job(document)
        # Workers agree on a checkpoint by themselves, and say so when they begin.
        attempt = directory.claim(None if self._plan.distributed else self._plan.step)
        self._begun = Begun(attempt, self._steps(facts))
        if not is_new:
            directory.replace_job(document)
        if not directory.read_data_files():
            directory.write_data_files(decoded(facts.files))

        def ready(seconds: Mapping[str, float]) -> None:
            attempt.ready(seconds)
            self._observer.take(Ready(seconds))

        self._startup.then = ready
        return self._begun

    def note_start(self, first_step: int) -> None:
        """Notes which checkpoint workers go on from; those that come in place of lost ones change nothing of it."""
        if self._begun is not None and self._begun.attempt.record.resumed_from is None:
            self._begun.attempt.resumed(first_step - 1)

    def _known(self, facts: Facts) -> Facts:
        self._remarks = facts.remarks
        for notice in facts.notices:
            self._observer.take(Notice(notice))
        return facts

    def _steps(self, facts: Facts) -> int:
        return count_steps(self._plan.resolved, facts.samples_per_epoch, facts.units_per_sample)

    def _known_steps(self) -> int:
        """The job's steps, as far as they are known before its data is read; else 0."""
        job, known = self._plan.resolved, self._plan.existing
        if known is None:
            return job.spec.training.duration.steps or 0
        return count_steps(job, known["data"]["samplesPerEpoch"], units_per_sample(job))

    def _failed(self, begun: Begun, state: State, error: BaseException) -> None:
        """Notes how the attempt ended; what a newer attempt or a roll-back goes on with is left alone."""
        if isinstance(error, RollBackError):
            step = roll_back(self._plan.directory, begun.attempt, self._guards.findings[-1])
            cause = f"RolledBack: {error.kind}: {error.what}; back to step {step}"
            begun.attempt.end(cause, state.step)
        elif isinstance(error, FencedError):
            # The run is another attempt's now: nothing but this attempt's own file may be written.
            begun.attempt.end(f"Fenced: {error.what}", state.step)
        else:
            self._leave_outcome(begun, state, error)

    def _leave_outcome(self, begun: Begun, state: State, error: BaseException) -> None:
        directory, reason = self._plan.directory, reason_of(error)
        message, remedy = (
            (error.located, error.remedy) if isinstance(error, RaygenError) else (str(error), "")
        )
        outcome = {
            "state": "Failed",
            "reason": reason,
            "message": message,
            "remedy": remedy,
            "attempt": begun.attempt.number,
            "step": state.step,
            "steps": begun.steps,
            "metrics": state.metrics,
            "guards": self._guard_records(),
        }
        # The output itself may be what failed; the first error is the one to show.
        with suppress(OutputError):
            begun.attempt.end(f"{reason}: {message}", state.step)
            directory.write_outcome(outcome)
            write_report(RunRecord.at(directory))

    def _guard_records(self) -> list[dict[str, Any]]:
        """What guards did: every roll-back of the run, and what this attempt's found."""
        own = ("since", "attempt")
        back = [{k: v for k, v in record.items() if k not in own} for record in self._plan.rollbacks]
        return back + [finding.document() for finding in self._guards.findings]

    def _finish(self, begun: Begun, trained: Trained) -> Result:
        directory, ending, state = self._plan.directory, trained.ending, trained.state
        result = Result(
            state="Stopped" if ending.stopped else "Succeeded",
            reason=ending.reason,
            run=directory.uri,
            step=state.step,
            steps=begun.steps,
            loss=trained.loss,
            metrics=state.metrics,
            best=state.best,
            attempt=begun.attempt.number,
            seconds=time.monotonic() - self._began,
            report=f"{directory.uri}/{REPORT}",
            guards=tuple(self._guard_records()),
            remarks=tuple(self._remarks),
        )
        begun.attempt.end(ending.reason, state.step)
        outcome = asdict(result)
        if not math.isfinite(result.loss):
            del outcome["loss"]
        directory.write_outcome(outcome)
        write_report(RunRecord.at(directory))
        return result

    def _not_begun(self, state: Literal["DryRun", "Stopped"], reason: str, steps: int) -> Result:
        """The result of a call that has written nothing."""
        return Result(
            state=state,
            reason=reason,
            run=self._plan.directory.uri,
            step=self._plan.step,
            steps=steps,
            loss=math.nan,
            metrics={},
            best={},
            attempt=0,
            seconds=time.monotonic() - self._began,
            report=None,
            remarks=tuple(self._remarks),
        )


class _Resumed(Observer):
    """Tells an attempt where its workers begin."""

    def __init__(self, attempt: _Attempt) -> None:
        self._attempt = attempt

    def started(self, start: Started) -> None:
        self._attempt.note_start(start.first_step)
