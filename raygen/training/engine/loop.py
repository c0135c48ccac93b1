"""The training loop. It knows steps and time, but no model family, no Ray and no cluster."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from raygen.checkpoint import Writer
from raygen.compute.arithmetic import seed_draws
from raygen.data.protocol import Dataset
from raygen.errors import DataError, RaygenError
from raygen.evaluation.generated.evaluator import Evaluator, GeneratedValues
from raygen.models.protocol import Family, Workers
from raygen.models.sample import Sample, SampleRequest
from raygen.parallel.lanes import with_shares
from raygen.parallel.strategy import Strategy
from raygen.spec import ResolvedJob, Samples
from raygen.training.engine.agreement import AbandonedError, Agreement
from raygen.training.engine.control import STOP_AT, Control
from raygen.training.engine.evaluation.measuring import evaluate
from raygen.training.engine.feed import Feed
from raygen.training.engine.guards import Guards
from raygen.training.engine.recorder import Recorder
from raygen.training.engine.restore import averaged, capture
from raygen.training.engine.state import Ending, State
from raygen.training.observers.events import CheckpointStarted, EventSink, Notice, Sampled
from raygen.training.observers.trackers import Tracker
from raygen.training.optimizers.changing import ChangingValues
from raygen.training.optimizers.updates import NetworkUpdate


@dataclass
class Session:
    """Everything that a loop works with; `job` is resolved and fits this machine, `ready` hears of the first step,
    inside `repeatable` equal work gives equal bits, and `open_writer` opens a writer where there is none, on all but rank 0.
    """

    job: ResolvedJob
    steps: int
    family: Family
    updates: dict[str, NetworkUpdate]
    workers: Workers
    strategy: Strategy
    agreement: Agreement
    data: Dataset
    device: torch.device
    guards: Guards
    recorder: Recorder
    writer: Writer | None
    open_writer: Callable[[], Writer]
    control: Control
    observer: EventSink
    trackers: list[Tracker]
    keep_samples: Callable[[int, list[Sample]], None]
    generated: Evaluator | None = None
    keep_evaluation: Callable[[int, GeneratedValues], None] | None = None
    clock: Callable[[], float] = time.monotonic
    ready: Callable[[], None] | None = None
    repeatable: Callable[[], AbstractContextManager[None]] = nullcontext

    def close(self, state: Literal["Succeeded", "Stopped"]) -> None:
        """Waits for the last checkpoint, and tells the trackers how the run ended."""
        if self.writer is not None:
            self.writer.wait()
        for tracker in self.trackers:
            tracker.close(state)


def run_loop(s: Session, state: State) -> Ending:
    """Trains from `state.step` + 1 to `s.steps`, and leaves a checkpoint of the last step that it did.

    Raises:
        DataError: samples cannot be read any more. Likewise RunError, where those who read were lost.
        AbandonedError: another worker's cannot, which has left the checkpoint and tells why.
        GuardError: a guard stops the run, or sends it back (RollBackError).
        FencedError: a newer attempt has taken over.
        OutputError: the output cannot be written.
    """
    s.recorder.begin(state.step)
    values = ChangingValues(s.job, s.family, s.updates)
    # What a step before has left to measure is measured with its own numbers.
    values.enter(max(state.step, 1))
    with Feed(s.job, s.data, s.device, s.strategy, range(state.step + 1, s.steps + 1)) as feed:
        try:
            ending = _train(s, state, feed, values)
        except Exception as error:
            # A source has gone or is damaged: what was trained before that is kept, so that nothing is lost once it is back.
            unread = isinstance(error, DataError) or (feed.failed and isinstance(error, RaygenError))
            if state.step and (unread or s.agreement.abandoned()):
                _give_up(s, state, error, unread=unread)
            raise
    if s.recorder.saved != state.step and state.step:
        save(s, state)
    return ending


def _give_up(s: Session, state: State, error: Exception, *, unread: bool) -> None:
    """Keeps the last whole step where a worker has no samples for the next one. Only of that worker the state is still that of
    the last whole step: the others have begun the next one, and so it saves.

    Raises:
        AbandonedError: that is another worker.
    """
    # What was being summed keeps the connections to the others, who wait for their end.
    traceback.clear_frames(error.__traceback__)
    if unread and s.agreement.abandon():
        with s.open_writer() if s.writer is None else nullcontext(s.writer) as s.writer:
            if s.recorder.saved != state.step:
                save(s, state)
            s.writer.wait()
        if s.workers.rank == 0:
            s.agreement.settle()
        return
    if not unread:
        s.agreement.abandon()
    s.recorder.flush()
    if s.writer is not None:
        s.writer.wait()
    s.agreement.settle()
    raise AbandonedError from error


def _train(s: Session, state: State, feed: Feed, values: ChangingValues) -> Ending:
    saved_at, first = s.clock(), state.step + 1
    every = s.job.spec.checkpoint.every_seconds or float("inf")
    while state.step < s.steps or state.unfinished:
        if not state.unfinished and _gave_up(s, state):
            return Ending("EarlyStopped")
        step = state.step + 1
        overdue = s.agreement.begin(step, s.clock() - saved_at >= every)
        if s.control.requested:
            return Ending(s.control.reason or "", stopped=True)
        if s.control.stop_step is not None and state.step >= s.control.stop_step:
            return Ending(STOP_AT, stopped=True)
        if s.control.paused:
            _pause(s, state)
            saved_at = s.clock()
            continue
        if state.unfinished:
            if _examine(s, state):
                save(s, state)
            continue
        values.enter(step)
        seed_draws(step_seed(s.job.spec.training.seed, step, s.workers.rank), s.device)
        rates = {name: update.schedule(step) for name, update in s.updates.items()}
        with s.recorder.waiting():
            parts = feed.next(s.agreement.stopping if s.workers.count == 1 else None)
        if parts is None:
            return Ending(s.control.reason or "", stopped=True)
        with s.repeatable():
            shared = with_shares(s.job, s.data, s.device, parts, s.workers)
            scalars = s.family.step(shared, s.updates, s.workers)
        state.step = step
        s.recorder.step(step, scalars, rates)
        if step == first and s.ready is not None:
            s.ready()
        better = _examine(s, state)
        if better or overdue or values.end(step) or _due(step, s.job.spec.checkpoint.every_steps, s.steps):
            save(s, state)
            saved_at = s.clock()
    return Ending("Completed")


def _pause(s: Session, state: State) -> None:
    """Leaves a checkpoint, and waits until all may train again."""
    if state.step and s.recorder.saved != state.step:
        save(s, state)
    s.observer.take(Notice(f"paused after step {state.step}"))
    s.agreement.pause(state.step + 1)
    s.recorder.paused()


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """Seed of PyTorch's own draws (dropout) in a step, so that a step draws the same after any interruption."""
    key = [seed, step, rank] if rank else [seed, step]
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)


def save(s: Session, state: State) -> None:
    """Hands the state to the writer of checkpoints, after everything measured up to it."""
    keep = s.job.spec.checkpoint.keep_best
    metric = state.metrics.get(keep.metric) if keep is not None and state.measured == state.step else None
    with s.recorder.saves():
        if s.writer is not None:
            tensors, values = capture(s.family, s.updates)
            s.writer.save(state.step, tensors, {"loop": state.values(), "optimizers": values}, metric=metric)
    s.recorder.saved = state.step
    s.observer.take(CheckpointStarted(state.step))


def _due(step: int, every: int | None, steps: int) -> bool:
    return step == steps or (every is not None and step % every == 0)


def _examine(s: Session, state: State) -> bool:
    """Evaluates and generates, if that is due after a step; whether the metric that keepBest names got better.

    A stop leaves it unfinished, so that a run ends soon; the next attempt does what is missing.
    """
    spec, better = s.job.spec.evaluation, False
    # An error may end it too, and leave a checkpoint.
    state.unfinished = True
    # An attempt that finishes for another one may find the half of it done.
    if spec.metrics and _due(state.step, spec.every_steps, s.steps) and state.measured != state.step:
        measured = evaluate(s, state)
        if measured is None:
            s.agreement.decide_at(state.step + 1)
            return False
        better = measured
    if spec.samples is not None and _due(state.step, spec.samples.every_steps, s.steps):
        if s.control.requested:
            return better
        _sample(s, state.step, spec.samples)
    state.unfinished = False
    return better


def _gave_up(s: Session, state: State) -> bool:
    early = s.job.spec.training.early_stopping
    return early is not None and state.without_gain >= early.patience and state.step < s.steps


def _sample(s: Session, step: int, spec: Samples) -> None:
    s.recorder.flush()
    samples: list[Sample] = []
    if s.workers.rank == 0:
        with averaged(s.updates):
            samples = s.family.sample(sample_request(spec, s.job.spec.training.seed))
        s.keep_samples(step, samples)
    # Guards of all workers look at the same texts, and all wait for them here.
    texts = {"texts": [sample.text for sample in samples if sample.text is not None]}
    made = s.agreement.gather(texts)[0]
    s.recorder.paused()
    s.observer.take(Sampled(step, samples))
    s.guards.texts(step, made["texts"])


def sample_request(spec: Samples, seed: int) -> SampleRequest:
    """The job's way of sampling, with the same seed at every step, so that steps compare."""
    return SampleRequest(
        count=spec.count,
        seed=seed,
        prompts=spec.prompts,
        max_tokens=spec.max_tokens,
        temperature=spec.temperature,
        top_k=spec.top_k,
        top_p=spec.top_p,
        min_p=spec.min_p,
        repetition_penalty=spec.repetition_penalty,
    )
