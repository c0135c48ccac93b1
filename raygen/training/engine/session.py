"""Opens everything that a loop works with."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch

from raygen.checkpoint import Loaded, Writer
from raygen.compute.arithmetic import COMPILE_OPTIONS, repeatable, should_compile
from raygen.compute.device import device_name
from raygen.data.protocol import Dataset
from raygen.evaluation.metrics import metric_direction
from raygen.models.protocol import Family, Sample, Workers, count_parameters
from raygen.run.directory import Attempt, RunDirectory
from raygen.run.measurements import NoMeasurements
from raygen.run.samples import write_samples
from raygen.spec import TrainingJob
from raygen.training.engine.agreement import Agreement
from raygen.training.engine.guards import Guards
from raygen.training.engine.loop import Session, State
from raygen.training.engine.recorder import Recorder
from raygen.training.engine.rollback import rate_factor
from raygen.training.engine.state import restore
from raygen.training.engine.stop import Stop
from raygen.training.observers.events import Observer, Plan
from raygen.training.observers.trackers import Tracker, open_trackers
from raygen.training.optimizers.updates import make_updates


def open_session(
    job: TrainingJob,
    directory: RunDirectory,
    attempt: Attempt,
    family: Family,
    data: Dataset,
    device: torch.device,
    state: State,
    found: Loaded | None,
    *,
    steps: int,
    rollbacks: Sequence[dict[str, Any]],
    stop: Stop,
    observer: Observer,
    guards: Guards,
    workers: Workers,
    agreement: Agreement,
    stack: ExitStack,
) -> Session:
    """Restores the state that was found, and opens what records; only rank 0 writes into the run directory.

    Args:
        job: The job, fitted to the machine.
        directory: The run.
        attempt: The claim on it.
        family: The model, with initial weights.
        data: The data set.
        device: Where the model is.
        state: The loop's, as found.
        found: The checkpoint to go on from, or None.
        steps: Last step.
        rollbacks: How often the run went back.
        stop: Asks the loop to stop.
        observer: Takes events.
        guards: Watch the numbers.
        workers: All that train together.
        agreement: How they decide.
        stack: Closes what was opened.
    """
    first = workers.rank == 0
    training = job.spec.training
    updates = make_updates(family, training, steps, workers, rate_factor(training, list(rollbacks)))
    if found is not None:
        restore(family, updates, found)
    place = device_name(device) + (f", {workers.count} workers" if workers.count > 1 else "")
    parameters = count_parameters(family)
    observer.started(Plan(directory.uri, attempt.number, parameters, place, state.step + 1, steps))
    if should_compile(training.compile, device, job.spec.model.type):
        family.compile(COMPILE_OPTIONS)
    trackers = open_trackers(job, directory, state.step, observer.notice) if first else []
    for tracker in trackers:
        stack.callback(tracker.close)
    recorder = Recorder(
        directory.metrics_writer(attempt) if first else NoMeasurements(),
        trackers,
        observer,
        guards,
        steps=steps,
        units_per_step=training.global_batch_size * data.units_per_sample,
        unit=data.unit,
    )
    return Session(
        job=job,
        steps=steps,
        family=family,
        updates=updates,
        workers=workers,
        agreement=agreement,
        data=data,
        device=device,
        guards=guards,
        recorder=recorder,
        writer=stack.enter_context(_writer(job, directory, attempt)) if first else None,
        stop=stop,
        observer=observer,
        trackers=trackers,
        # What a user's own model is made of may have no repeatable kernel.
        repeatable=partial(repeatable, device, strict=job.spec.model.type != "Custom"),
        keep_samples=partial(_keep_samples, directory, trackers),
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


def _keep_samples(directory: RunDirectory, trackers: list[Tracker], step: int, samples: list[Sample]) -> None:
    write_samples(directory, step, samples)
    for number, sample in enumerate(samples):
        for tracker in trackers:
            if sample.text is not None:
                tracker.text(step, f"sample/{number}", sample.prompt + sample.text)
            if sample.png is not None:
                tracker.image(step, f"sample/{number}", sample.png)
