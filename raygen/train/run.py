"""One run, from a job to its outcome: opens the run directory, goes on where it was, trains, reports."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from raygen.checkpoint import Writer
from raygen.errors import FencedError, GuardError, OutputError, RaygenError, RollBackError
from raygen.evaluation.metrics import metric_direction
from raygen.jobfile import load
from raygen.models.protocol import Alone, Family, Sample
from raygen.models.registry import build_family
from raygen.spec import TrainingJob, parse
from raygen.train.device import device_name, should_compile
from raygen.train.events import Observer, Plan, Silent
from raygen.train.guards import Guards
from raygen.train.loop import Ending, Session, State, run_loop
from raygen.train.prepare import Prepared, placed, prepare
from raygen.train.recorder import Recorder
from raygen.train.report import write_report
from raygen.train.rollback import rate_factor, roll_back
from raygen.train.rundir import REPORT, Attempt, RunDirectory
from raygen.train.runs import Run, write_samples
from raygen.train.state import restore, restore_weights
from raygen.train.stop import Stop
from raygen.train.trackers import Tracker, open_trackers
from raygen.train.updates import make_updates

EXIT_CODES = {"Succeeded": 0, "Stopped": 3, "DryRun": 0}


@dataclass(frozen=True)
class Result:
    """How a run ended.

    Attributes:
        state: Succeeded, Stopped (resumable), or DryRun.
        reason: Completed, EarlyStopped, AlreadyComplete, or the signal that stopped it.
        run: URI of the run directory.
        step: Steps done.
        steps: Steps asked for.
        loss: Training loss of the last step; NaN if no step was done.
        metrics: Newest value of each metric of `evaluation.metrics`.
        best: Best value of each.
        attempt: Number of the attempt, from 1; 0 if none was begun.
        seconds: Wall time of this attempt.
        report: Path of report.html, or None.
        guards: What guards found: type, action, step, value, threshold, message and remedy of each.
    """

    state: Literal["Succeeded", "Stopped", "DryRun"]
    reason: str
    run: str
    step: int
    steps: int
    loss: float
    metrics: Mapping[str, float]
    best: Mapping[str, float]
    attempt: int
    seconds: float
    report: str | None
    guards: Sequence[Mapping[str, Any]] = ()

    @property
    def exit_code(self) -> int:
        """The exit code that says the same."""
        return EXIT_CODES[self.state]


def train(
    job: TrainingJob | Mapping[str, Any] | str | Path,
    *,
    base: Path | None = None,
    output: str | None = None,
    run: str | None = None,
    parent: str | None = None,
    device: str = "auto",
    strict: bool = False,
    dry_run: bool = False,
    observer: Observer | None = None,
) -> Result:
    """Trains a job on this machine. A run that exists goes on from its newest checkpoint that verifies.

    In the main thread, SIGINT and SIGTERM stop it at the next step: it leaves a checkpoint and returns a result
    whose state is Stopped. Elsewhere signals stay as they are.

    Args:
        job: A job, the content of a job file, or the path of one.
        base: Folder that relative source paths start from. Default: the job file's folder, else the working one.
        output: Folder of all runs, instead of the job's.
        run: The run's name, instead of the job's.
        parent: Run directory whose weights a new run starts from.
        device: `cuda`, `mps`, `cpu`, or `auto` for the first of these that is there.
        strict: Refuse a job whose scale does not fit this machine, instead of fitting it.
        dry_run: Look at everything that may be wrong, but do not train.
        observer: Takes events while the run goes on.

    Raises:
        InputError: job, data or output are wrong.
        RunError: the run failed.
        FencedError: a newer attempt has taken over.
    """
    began = time.monotonic()
    observer = observer or Silent()
    if isinstance(job, (str, Path)):
        loaded = load(job)
        job, base = loaded.job, base or loaded.path.parent
    typed = job if isinstance(job, TrainingJob) else parse(job)
    stop = Stop()
    with stop.on_signals():
        p = prepare(placed(typed, output, run), base or Path(), parent, device, strict=strict)
        for notice in p.notices:
            observer.notice(notice)
        if dry_run:
            return _dry(p, began)
        done = _already_complete(p)
        if done is not None:
            return done
        while True:
            try:
                return _attempt(p, stop, observer, began)
            except RollBackError as error:
                observer.notice(f"{error.kind}: {error.what}; going back. {error.remedy}")
                p = prepare(placed(typed, output, run), base or Path(), parent, device, strict=strict)


def _attempt(p: Prepared, stop: Stop, observer: Observer, began: float) -> Result:
    """Claims the next attempt and trains; whatever happens, the attempt's file says how it ended."""
    family = build_family(p.job, p.data.domain, p.device)
    if p.start is not None:
        restore_weights(family, p.start)
    document = p.document | {"parameters": count_parameters(family)}
    if p.new:
        p.directory.create_job(document)
    attempt = p.directory.claim(resumed_from=p.found.step if p.found else 0)
    if not p.new:
        p.directory.replace_job(document)
    if not p.directory.read_data_files():
        p.directory.write_data_files(p.data.files())
    state = State(**p.found.values["loop"]) if p.found else State.new()
    guards = Guards(p.job.spec.training, len(p.rollbacks), observer.notice)
    with ExitStack() as stack:
        try:
            session = _session(p, family, attempt, state, stop, observer, guards, stack)
            ending = run_loop(session, state)
            session.writer.wait()
            for tracker in session.trackers:
                tracker.close("Stopped" if ending.stopped else "Succeeded")
        except RollBackError as error:
            session.writer.wait()  # or it would commit what is about to be taken back
            step = roll_back(p.directory, attempt, error)
            attempt.end(f"RolledBack: {error.kind}: {error.what}; back to step {step}", state.step)
            raise
        except FencedError as error:
            # The run is another attempt's now: nothing but this attempt's own file may be written.
            attempt.end(f"Fenced: {error.what}", state.step)
            raise
        except BaseException as error:
            _fail(p, attempt, state, error, guards)
            raise
    return _finish(p, attempt, session, state, ending, began)


def _fail(p: Prepared, attempt: Attempt, state: State, error: BaseException, guards: Guards) -> None:
    reason = error.kind if isinstance(error, GuardError) else type(error).__name__.removesuffix("Error")
    message, remedy = (error.what, error.remedy) if isinstance(error, RaygenError) else (str(error), "")
    outcome = {
        "state": "Failed",
        "reason": reason,
        "message": message,
        "remedy": remedy,
        "attempt": attempt.number,
        "step": state.step,
        "steps": p.steps,
        "guards": _guard_records(p, guards),
    }
    # The output itself may be what failed; the first error is the one to show.
    with suppress(OutputError):
        attempt.end(f"{reason}: {message}", state.step)
        p.directory.write_outcome(outcome)
        write_report(Run.at(p.directory))


def _guard_records(p: Prepared, guards: Guards) -> list[dict[str, Any]]:
    """What guards did: every roll-back of the run, and what this attempt's found."""
    back = [
        {
            "type": r["type"],
            "action": "RollBack",
            "step": r["since"],
            "to": r["to"],
            "message": r["message"],
            "remedy": r["remedy"],
        }
        for r in p.rollbacks
    ]
    return back + [finding.document() for finding in guards.findings]


def _finish(
    p: Prepared, attempt: Attempt, session: Session, state: State, ending: Ending, began: float
) -> Result:
    result = Result(
        state="Stopped" if ending.stopped else "Succeeded",
        reason=ending.reason,
        run=p.directory.uri,
        step=state.step,
        steps=p.steps,
        loss=session.recorder.loss,
        metrics=state.metrics,
        best=state.best,
        attempt=attempt.number,
        seconds=time.monotonic() - began,
        report=f"{p.directory.uri}/{REPORT}",
        guards=tuple(_guard_records(p, session.guards)),
    )
    attempt.end(ending.reason, state.step)
    outcome = asdict(result)
    if not math.isfinite(result.loss):
        del outcome["loss"]
    p.directory.write_outcome(outcome)
    write_report(Run.at(p.directory))
    return result


def _session(
    p: Prepared,
    family: Family,
    attempt: Attempt,
    state: State,
    stop: Stop,
    observer: Observer,
    guards: Guards,
    stack: ExitStack,
) -> Session:
    workers = Alone()
    training = p.job.spec.training
    updates = make_updates(family, training, p.steps, workers, rate_factor(training, p.rollbacks))
    if p.found is not None:
        restore(family, updates, p.found)
    observer.started(
        Plan(
            run=p.directory.uri,
            attempt=attempt.number,
            parameters=count_parameters(family),
            device=device_name(p.device),
            first_step=state.step + 1,
            steps=p.steps,
        )
    )
    if should_compile(p.job.spec.training.compile, p.device):
        for network in family.networks.values():
            network.compile()
    trackers = open_trackers(p.job, p.directory, state.step, observer.notice)
    for tracker in trackers:
        stack.callback(tracker.close)
    keep = p.job.spec.checkpoint.keep_best
    writer = stack.enter_context(
        Writer(
            p.directory.checkpoints,
            attempt=attempt.number,
            keep=p.job.spec.checkpoint.keep,
            best=None if keep is None else metric_direction(p.job, keep.metric),
            before_commit=attempt.check,
        )
    )
    recorder = Recorder(
        p.directory.metrics_writer(attempt),
        trackers,
        observer,
        guards,
        steps=p.steps,
        units_per_step=p.job.spec.training.global_batch_size * p.data.units_per_sample,
        unit=p.data.unit,
    )

    return Session(
        job=p.job,
        steps=p.steps,
        family=family,
        updates=updates,
        workers=workers,
        data=p.data,
        device=p.device,
        guards=guards,
        recorder=recorder,
        writer=writer,
        stop=stop,
        observer=observer,
        trackers=trackers,
        keep_samples=partial(_keep_samples, p.directory, trackers),
    )


def _keep_samples(directory: RunDirectory, trackers: list[Tracker], step: int, samples: list[Sample]) -> None:
    write_samples(directory, step, samples)
    for number, sample in enumerate(samples):
        for tracker in trackers:
            if sample.text is not None:
                tracker.text(step, f"sample/{number}", sample.prompt + sample.text)
            if sample.png is not None:
                tracker.image(step, f"sample/{number}", sample.png)


def count_parameters(family: Family) -> int:
    """Trained parameters of all networks."""
    return sum(p.numel() for network in family.networks.values() for p in network.parameters())


def _dry(p: Prepared, began: float) -> Result:
    step = p.found.step if p.found else 0
    return Result(
        "DryRun", "Valid", p.directory.uri, step, p.steps, math.nan, {}, {}, 0, time.monotonic() - began, None
    )


def _already_complete(p: Prepared) -> Result | None:
    """The result of a run that has nothing left to do."""
    outcome = p.directory.read_outcome()
    if outcome is None or outcome["state"] != "Succeeded" or outcome["steps"] < p.steps or p.found is None:
        return None
    same = {"reason": "AlreadyComplete", "seconds": 0.0, "run": p.directory.uri}
    return Result(**({"loss": math.nan} | outcome | same))
