"""One run, from a job to its outcome: opens the run directory, goes on where it was, trains, reports."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from raygen.compute.arithmetic import memory_explained
from raygen.compute.device import available_cores, limited_threads
from raygen.errors import (
    CheckpointError,
    FencedError,
    InputError,
    OutputError,
    RaygenError,
    RollBackError,
    reason_of,
)
from raygen.inference.weights import restore_weights
from raygen.jobfile import load
from raygen.models.protocol import Alone, Family, count_parameters
from raygen.models.registry import build_family
from raygen.report.gather import write_report
from raygen.run.directory import REPORT, Attempt
from raygen.run.record import RunRecord
from raygen.spec import TrainingJob, parse
from raygen.training.engine.agreement import OwnDecisions
from raygen.training.engine.guards import Finding, Guards
from raygen.training.engine.loop import Ending, State, run_loop
from raygen.training.engine.rollback import roll_back
from raygen.training.engine.session import open_session
from raygen.training.engine.stop import Stop
from raygen.training.observers.events import Observer, Silent
from raygen.training.observers.goodput import Goodput, Measured
from raygen.training.observers.startup import JOB_AND_DATA, MODEL, Startup
from raygen.training.prepare import Prepared, placed, prepare
from raygen.training.ray.mailbox import error_of, findings_of
from raygen.training.result import Result


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
    distributed: bool | None = None,
    cores: int | None = None,
    observer: Observer | None = None,
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

    Raises:
        InputError: job, data or output are wrong.
        RunError: the run failed.
        FencedError: a newer attempt has taken over.
    """
    began, startup = time.monotonic(), Startup()
    observer = observer or Silent()
    if isinstance(job, (str, Path)):
        loaded = load(job)
        job, base = loaded.job, base or loaded.path.parent
    typed = job if isinstance(job, TrainingJob) else parse(job)
    stop = Stop()
    cores = cores or available_cores()

    def ready() -> Prepared:
        return prepare(
            placed(typed, output, run),
            base or Path(),
            parent,
            device,
            strict=strict,
            distributed=distributed,
            cores=cores,
            notice=observer.notice,
        )

    with stop.on_signals(), limited_threads(cores):
        with stop.at_once():
            p = ready()
        for notice in p.notices:
            observer.notice(notice)
        if dry_run:
            return _dry(p, began)
        done = _already_complete(p)
        if done is not None:
            p.directory.note_place(p.document["base"])
            return done
        while True:
            try:
                startup.done(JOB_AND_DATA)
                return _attempt(p, stop, observer, began, startup)
            except RollBackError as error:
                startup = Startup()
                observer.notice(f"{error.kind}: {error.what}; going back. {error.remedy}")
                p = ready()


def _attempt(p: Prepared, stop: Stop, observer: Observer, began: float, startup: Startup) -> Result:
    """Claims the next attempt and trains; whatever happens, the attempt's file says how it ended."""
    family: Family | None
    family = _family(p)
    document = p.document | {"parameters": count_parameters(family)}
    if p.new:
        p.directory.create_job(document)
    attempt = p.directory.claim(resumed_from=p.found.step if p.found else 0)
    goodput = Goodput()
    if not p.new:
        p.directory.replace_job(document)
    if not p.directory.read_data_files():
        p.directory.write_data_files(p.dataset.files())
    state = State(**p.found.values["loop"]) if p.found else State.new()
    guards = Guards(p.job.spec.training, len(p.rollbacks), observer.notice)

    def ready(seconds: Mapping[str, float]) -> None:
        attempt.ready(seconds)
        observer.ready(seconds)

    startup.then = ready
    if p.distributed:
        # Each worker opens all of it by itself, and the driver may be in a small pod.
        family = None
        p.release()
    try:
        trained = (
            _distributed(p, attempt, state, stop, observer, guards, startup, goodput)
            if family is None
            else _alone(p, family, attempt, state, stop, Measured(goodput, observer), guards, startup)
        )
    except RollBackError as error:
        step = roll_back(p.directory, attempt, guards.findings[-1])
        attempt.end(f"RolledBack: {error.kind}: {error.what}; back to step {step}", state.step)
        raise
    except FencedError as error:
        # The run is another attempt's now: nothing but this attempt's own file may be written.
        attempt.end(f"Fenced: {error.what}", state.step)
        raise
    except BaseException as error:
        _fail(p, attempt, state, error, guards)
        raise
    return _finish(p, attempt, trained, began)


def _family(p: Prepared) -> Family:
    """The model, with the weights of the run that this one starts from."""
    # The accelerator of a machine with Ray workers is theirs.
    device = torch.device("cpu") if p.distributed else p.device
    with memory_explained(device):
        family = build_family(p.job, p.dataset.domain, device)
    start, p.start = p.start, None
    if start is not None:
        try:
            restore_weights(family, start)
        except CheckpointError as error:
            raise InputError(
                f"the weights do not fit this job's model: {error.what}",
                where=f"--from {p.document['parent']['uri']}, step {start.step}",
                remedy="Give spec.model as in that run, or leave out --from.",
            ) from error
    return family


@dataclass(frozen=True)
class _Trained:
    """What a loop leaves, on whatever workers it ran."""

    ending: Ending
    state: State
    loss: float
    findings: list[Finding]


def _alone(
    p: Prepared,
    family: Family,
    attempt: Attempt,
    state: State,
    stop: Stop,
    observer: Observer,
    guards: Guards,
    startup: Startup,
) -> _Trained:
    with memory_explained(p.device), ExitStack() as stack:
        session = open_session(
            p.job,
            p.directory,
            attempt,
            family,
            p.dataset,
            p.device,
            state,
            p.take_found(),
            steps=p.steps,
            rollbacks=p.rollbacks,
            stop=stop,
            observer=observer,
            guards=guards,
            workers=Alone(),
            agreement=OwnDecisions(),
            stack=stack,
        )
        startup.done(MODEL)
        session.ready = startup.ready
        ending = run_loop(session, state)
        session.close("Stopped" if ending.stopped else "Succeeded")
    return _Trained(ending, state, session.recorder.loss, guards.findings)


def _distributed(
    p: Prepared,
    attempt: Attempt,
    state: State,
    stop: Stop,
    observer: Observer,
    guards: Guards,
    startup: Startup,
    goodput: Goodput,
) -> _Trained:
    """Trains on Ray's workers, which read job, data and checkpoints by themselves.

    If they fail, `state` has the step that they came to, and `guards` what was found.
    """
    from raygen.training.ray.launch import launch

    task = {
        "job": p.job.model_dump(mode="json", exclude_none=True),
        "base": p.document["base"],
        "storage": p.storage,
        "run": p.directory.name,
        "attempt": asdict(attempt.record),
        "fingerprint": p.document["data"]["fingerprint"],
        "steps": p.steps,
        "parent": p.document["parent"],
        "rollbacks": p.rollbacks,
    }
    try:
        result = launch(p.job.spec.scale, task, p.cores, stop, observer, startup, goodput)
        if result is None:
            return _Trained(Ending(stop.reason or "", stopped=True), state, math.nan, guards.findings)
        guards.findings.extend(findings_of(result))
        if "error" in result:
            raise error_of(result)
    except RaygenError:
        lines = p.directory.read_metrics().lines
        state.step = lines[-1].step if lines else state.step
        raise
    ending = Ending(result["reason"], stopped=result["stopped"])
    return _Trained(ending, State(**result["state"]), result["loss"], guards.findings)


def _fail(p: Prepared, attempt: Attempt, state: State, error: BaseException, guards: Guards) -> None:
    reason = reason_of(error)
    message, remedy = (error.what, error.remedy) if isinstance(error, RaygenError) else (str(error), "")
    outcome = {
        "state": "Failed",
        "reason": reason,
        "message": message,
        "remedy": remedy,
        "attempt": attempt.number,
        "step": state.step,
        "steps": p.steps,
        "guards": _guard_records(p, guards.findings),
    }
    # The output itself may be what failed; the first error is the one to show.
    with suppress(OutputError):
        attempt.end(f"{reason}: {message}", state.step)
        p.directory.write_outcome(outcome)
        write_report(RunRecord.at(p.directory))


def _guard_records(p: Prepared, findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """What guards did: every roll-back of the run, and what this attempt's found."""
    own = ("since", "attempt")
    back = [{key: value for key, value in record.items() if key not in own} for record in p.rollbacks]
    return back + [finding.document() for finding in findings]


def _finish(p: Prepared, attempt: Attempt, trained: _Trained, began: float) -> Result:
    ending, state = trained.ending, trained.state
    result = Result(
        state="Stopped" if ending.stopped else "Succeeded",
        reason=ending.reason,
        run=p.directory.uri,
        step=state.step,
        steps=p.steps,
        loss=trained.loss,
        metrics=state.metrics,
        best=state.best,
        attempt=attempt.number,
        seconds=time.monotonic() - began,
        report=f"{p.directory.uri}/{REPORT}",
        guards=tuple(_guard_records(p, trained.findings)),
        remarks=_remarks(p),
    )
    attempt.end(ending.reason, state.step)
    outcome = asdict(result)
    if not math.isfinite(result.loss):
        del outcome["loss"]
    p.directory.write_outcome(outcome)
    write_report(RunRecord.at(p.directory))
    return result


def _remarks(p: Prepared) -> tuple[dict[str, Any], ...]:
    return tuple(p.document["data"].get("remarks", ()))


def _dry(p: Prepared, began: float) -> Result:
    _family(p)
    return Result(
        "DryRun",
        "Valid",
        p.directory.uri,
        p.found.step if p.found else 0,
        p.steps,
        math.nan,
        {},
        {},
        0,
        time.monotonic() - began,
        None,
        remarks=_remarks(p),
    )


def _already_complete(p: Prepared) -> Result | None:
    """The result of a run that has nothing left to do."""
    outcome = p.directory.read_outcome()
    if outcome is None or outcome["state"] != "Succeeded" or outcome["steps"] < p.steps or p.found is None:
        return None
    same = {"reason": "AlreadyComplete", "seconds": 0.0, "run": p.directory.uri}
    return Result(**({"loss": math.nan} | outcome | same))
