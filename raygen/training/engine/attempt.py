"""One attempt, on one worker or as one of several: opens all that the loop works with, trains, and closes it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from raygen.checkpoint import Loaded, Writer
from raygen.compute.arithmetic import COMPILE_OPTIONS, memory_explained, repeatable, should_compile
from raygen.compute.device import device_name
from raygen.compute.idle import IdleTime
from raygen.data.protocol import Dataset
from raygen.evaluation.formulas import metric_direction
from raygen.models.protocol import Family, Workers, count_parameters
from raygen.models.sample import Sample
from raygen.parallel.strategy import Strategy
from raygen.run.directory import Attempt, RunDirectory
from raygen.run.measurements import NoMeasurements
from raygen.run.samples import played, write_samples
from raygen.run.waiting import waiting_remedy
from raygen.spec import ResolvedJob, TrainingJob
from raygen.spec.contents import Domain
from raygen.training.engine.agreement import Agreement
from raygen.training.engine.control import Control
from raygen.training.engine.evaluation.keeping import keep_evaluation
from raygen.training.engine.evaluation.measuring import make_evaluator, team_of
from raygen.training.engine.guards import Guards
from raygen.training.engine.loop import Session, run_loop
from raygen.training.engine.recorder import Recorder
from raygen.training.engine.restore import restore
from raygen.training.engine.rollback import rate_factor
from raygen.training.engine.state import State, Trained
from raygen.training.observers.events import EventSink, Started, notices_of
from raygen.training.observers.startup import MODEL, Startup
from raygen.training.observers.trackers import Tracker, open_trackers
from raygen.training.optimizers.updates import make_updates


@dataclass
class AttemptContext:
    """What an attempt is made of; the driver of a lone worker and each of several workers make one alike.

    Attributes:
        job: The job, resolved and fitted to the machine.
        base: Folder that its relative paths start from.
        directory: The run. Rank 0 alone writes into it.
        attempt: The claim on it.
        steps: Last step.
        rollbacks: How often the run went back.
        data: The data set.
        family: The model, with initial weights, on the device.
        device: Where it trains.
        checkpoint: The one to resume from, or None; let go of once its tensors are restored.
        state: The loop's, as of that checkpoint.
        control: Stops and pauses the run.
        guards: Watch the numbers.
        observer: Takes events.
        workers: All that train together.
        strategy: How they share samples and networks.
        agreement: How they decide.
        startup: Takes the time until the first step.
    """

    job: ResolvedJob
    base: Path
    directory: RunDirectory
    attempt: Attempt
    steps: int
    rollbacks: Sequence[dict[str, Any]]
    data: Dataset
    family: Family
    device: torch.device
    checkpoint: Loaded | None
    state: State
    control: Control
    guards: Guards
    observer: EventSink
    workers: Workers
    strategy: Strategy
    agreement: Agreement
    startup: Startup


def train_attempt(context: AttemptContext) -> Trained:
    """Restores what was found and trains until the run ends or has to stop.

    Raises:
        GuardError: a guard stops the run, or sends it back (RollBackError).
        DataError: samples cannot be read any more.
        AbandonedError: another worker tells why the run ends.
        FencedError: a newer attempt has taken over.
        OutputError: the output cannot be written.
        OutOfMemoryError: the device's memory is full.
    """
    with memory_explained(context.device), ExitStack() as stack:
        session = _opened(context, stack)
        context.startup.done(MODEL)
        ending = run_loop(session, context.state)
        session.close("Stopped" if ending.stopped else "Succeeded")
    return Trained(ending, context.state, session.recorder.loss, context.guards.findings)


def _opened(c: AttemptContext, stack: ExitStack) -> Session:
    """Everything that the loop works with; `stack` closes it."""
    first, training = c.workers.rank == 0, c.job.spec.training
    updates = make_updates(c.family, training, c.steps, c.strategy, rate_factor(training, list(c.rollbacks)))
    checkpoint, c.checkpoint = c.checkpoint, None
    if checkpoint is not None:
        restore(c.family, updates, checkpoint)
    place = device_name(c.device) + (f", {c.workers.count} workers" if c.workers.count > 1 else "")
    parameters, open_writer = count_parameters(c.family), partial(_writer, c.job, c.directory, c.attempt)
    c.observer.take(Started(c.directory.uri, c.attempt.number, parameters, place, c.state.step + 1, c.steps))
    if should_compile(training.compile, c.device, c.job.spec.model.type):
        c.family.compile(COMPILE_OPTIONS)
    trackers = open_trackers(c.job, c.directory, c.state.step, notices_of(c.observer)) if first else []
    for tracker in trackers:
        stack.callback(tracker.close)
    recorder = Recorder(
        c.directory.metrics_writer(c.attempt) if first else NoMeasurements(),
        trackers,
        c.observer,
        c.guards,
        steps=c.steps,
        units_per_step=training.global_batch_size * c.data.units_per_sample,
        unit=c.data.unit,
        remedy=waiting_remedy(c.job),
        idle=IdleTime(c.device),
    )
    return Session(
        job=c.job,
        steps=c.steps,
        family=c.family,
        updates=updates,
        workers=c.workers,
        strategy=c.strategy,
        agreement=c.agreement,
        data=c.data,
        device=c.device,
        guards=c.guards,
        recorder=recorder,
        writer=stack.enter_context(open_writer()) if first else None,
        open_writer=open_writer,
        control=c.control,
        observer=c.observer,
        trackers=trackers,
        repeatable=partial(repeatable, c.device, strict=c.job.spec.model.family.is_repeatable),
        keep_samples=partial(_keep_samples, c.directory, c.data.domain, trackers),
        generated=make_evaluator(c.job, c.base, c.data, team_of(c.workers, c.device, c.agreement)),
        keep_evaluation=partial(keep_evaluation, c.directory),
        ready=c.startup.ready,
    )


def _writer(job: TrainingJob, directory: RunDirectory, attempt: Attempt) -> Writer:
    keep = job.spec.checkpoint.keep_best
    return Writer(
        directory.checkpoints,
        attempt=attempt.number,
        keep=job.spec.checkpoint.keep,
        best=None if keep is None else metric_direction(job, keep.metric),
        before_commit=attempt.check,
    )


def _keep_samples(
    directory: RunDirectory, domain: Domain, trackers: list[Tracker], step: int, samples: list[Sample]
) -> None:
    write_samples(directory, step, played(samples, domain))
    for number, sample in enumerate(samples):
        for tracker in trackers:
            if sample.text is not None:
                tracker.text(step, f"sample/{number}", sample.prompt + sample.text)
            if sample.png is not None:
                tracker.image(step, f"sample/{number}", sample.png)
