"""Starts Ray Train workers for a run, and stays with them until they end.

Everything that Ray leaves behind lies in one temporary folder, which is deleted with it.
"""

from __future__ import annotations

import json
import math
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from raygen.errors import MissingExtraError, RunError
from raygen.spec import Scale
from raygen.spec.data.reading import RayDataReading, Reading
from raygen.threads import waiting
from raygen.training import drain
from raygen.training.engine.control import Control
from raygen.training.engine.state import Trained
from raygen.training.engine.store import STOPPING, Store, Table
from raygen.training.facts import Facts
from raygen.training.observers.events import EventSink, notices_of
from raygen.training.observers.goodput import Goodput, Measured
from raygen.training.observers.ray_metrics import RayFigures
from raygen.training.observers.startup import START_WORKERS, Startup
from raygen.training.ray.capacity import find_reading_room, find_room, joining_seconds, resources
from raygen.training.ray.cluster import on_cluster, started_ray
from raygen.training.ray.losses import LostWorkersReader, RestartLimit, cause_of, last_line, someone_trains
from raygen.training.ray.mailbox import RESULT, STARTS, ClaimedAttempt, Inbox, Reply, Task, reply_of
from raygen.training.ray.steering import Steering
from raygen.training.ray.wire import Address, serve

if TYPE_CHECKING:
    from raygen.training.ray.trainer import Trainer

WORKER_FAILURES = 8
"""Losses of workers in a row, without a newer checkpoint between them, that an attempt survives."""
CONTROLLER_FAILURES = 3
"""How often starting workers may fail or time out; without a limit Ray tries for ever."""
POLL_S = 0.1
LEAVE_S = 10.0
"""How long Ray has to end after the result is known."""
GIVE_UP_S = 1.0
"""The same after an error."""


def cores_of(scale: Scale, cores: int) -> int:
    """Cores that each worker books."""
    return scale.cpus_per_worker or max(cores // scale.workers, 1)


def launch(
    scale: Scale,
    task: Task,
    cores: int,
    control: Control,
    observer: EventSink,
    startup: Startup,
    goodput: Goodput,
    reading: Reading | None,
    answer: Callable[[Facts], ClaimedAttempt],
) -> Reply | None:
    """Trains on Ray; blocks until the run has ended.

    Args:
        scale: Workers and what each gets.
        task: What to train.
        cores: Of this machine that Ray may book, where there is no cluster (RAY_ADDRESS).
        control: Stops and pauses the run.
        observer: Takes rank 0's events.
        startup: Takes the time until the first step.
        goodput: The attempt's.
        reading: How workers read prepared data; None: by themselves.
        answer: Begins the attempt, once workers have opened data and model; gives what they must know of it. What it
            raises ends the workers.

    Returns:
        What the workers told: how the run ended, or the error that ended it. None if it
        was to stop and no worker was there to do so.

    Raises:
        InputError: the workers do not fit.
        MissingExtraError: Ray is not installed.
        RunError: workers were lost too often, or could not be started.
    """
    if find_spec("ray") is None:
        raise MissingExtraError("ray", "ray")
    reads = reading if isinstance(reading, RayDataReading) else None
    reserved = reads.workers * reads.cpus_per_worker if reads is not None else 0
    notice = notices_of(observer)
    cpus = cores_of(scale, cores if on_cluster() else cores - reserved)
    try:
        # Ray takes SIGTERM for itself when it starts, so ours is set once more.
        with (
            started_ray(scale.workers * cpus + reserved, cores, startup, notice) as (ray, folder, host),
            control.on_signals(),
        ):
            seconds, ask = joining_seconds(), partial(_ask, scale, cpus)
            if not find_room(ray.nodes, scale, cpus, control, notice, seconds=seconds, ask=ask):
                return None
            whole = replace(task, scratch=str(folder), threads=cpus)
            if reads is not None:
                books = find_reading_room(ray.nodes, scale, cpus, reads, control, notice, seconds=seconds)
                if books is None:
                    return None
                # Every worker reads the whole windows, through a pipeline of its own.
                each = math.ceil(reads.workers / scale.workers)
                whole = replace(whole, reading={"count": each, "books": books})
            store = Table()
            figures = RayFigures(whole.job["metadata"]["name"], whole.run, notice)
            limit = RestartLimit(WORKER_FAILURES, Measured(goodput, observer, figures))
            inbox = Inbox(store, limit, startup.worker_ready)
            losses = LostWorkersReader(store, limit.take)
            steering = Steering(store, control, inbox, answer)
            with serve(store, host) as address:
                trainer = make_trainer(scale, cpus, whole, folder, store, address)
                return _attend(trainer, store, control, steering, losses, limit, startup)
    except SystemExit:
        # Ray's answer to SIGTERM between its start and the line above.
        control.stop(signal.SIGTERM.name)
        return None


def _ask(scale: Scale, cpus: int) -> Callable[[], None]:
    """Has Ray want what the workers need: by that its autoscaler knows of it. What it gives takes that back."""
    from ray.util import placement_group, remove_placement_group

    group = placement_group([resources(scale, cpus)] * scale.workers)
    return lambda: remove_placement_group(group)


def make_trainer(
    scale: Scale, cpus: int, task: Task, folder: Path, store: Store, address: Address
) -> Trainer:
    """Ray Train's trainer of a run.

    It starts workers again without limit: Ray counts drained pods as failures, so `RestartLimit` counts instead.
    """
    from ray.train import FailureConfig, RunConfig, ScalingConfig

    from raygen.training.ray.processes import ProcessGroup, train
    from raygen.training.ray.trainer import Trainer

    return Trainer(
        # Not its `train_loop_config`, which Ray shows to whoever looks at the run, with the store's token.
        partial(train, task, address),
        store=store,
        backend_config=ProcessGroup(),
        scaling_config=ScalingConfig(
            num_workers=scale.workers,
            use_gpu=scale.gpus_per_worker > 0,
            resources_per_worker=resources(scale, cpus),
        ),
        run_config=RunConfig(
            name=task.run,
            storage_path=str(folder),
            worker_runtime_env={"env_vars": waiting()},
            failure_config=FailureConfig(  # type: ignore[call-arg]
                max_failures=-1, controller_failure_limit=CONTROLLER_FAILURES
            ),
        ),
    )


def _attend(
    trainer: Trainer,
    store: Store,
    control: Control,
    steering: Steering,
    losses: LostWorkersReader,
    limit: RestartLimit,
    startup: Startup,
) -> Reply | None:
    """Runs the trainer in a thread, since its signal handlers would replace ours in the main one."""
    failures: list[BaseException] = []

    def fit() -> None:
        try:
            trainer.fit()
        except Exception as error:  # noqa: BLE001 (Ray's own tree of errors, told below)
            failures.append(error)

    thread = threading.Thread(target=fit, name="ray-train", daemon=True)
    thread.start()
    nobody_stops = False
    try:
        while thread.is_alive() and not nobody_stops and limit.exceeded is None and not store.check([RESULT]):
            thread.join(POLL_S)
            if START_WORKERS not in startup.seconds and store.check([STARTS]):
                startup.done(START_WORKERS)
            if drain.asked():
                control.stop(drain.REASON)
            steering.deliver()
            losses.deliver()
            # Who trains stops when it can; nothing is lost with those that do not train yet, or any more.
            nobody_stops = steering.stopping and not store.check([STOPPING]) and not someone_trains(store)
        steering.deliver()
    except BaseException:
        _end(trainer, thread, GIVE_UP_S)
        raise
    result = reply_of(json.loads(store.get(RESULT))) if store.check([RESULT]) else None
    # Workers that wait for one that has given up would wait in vain.
    _end(trainer, thread, LEAVE_S if result and isinstance(result.outcome, Trained) else GIVE_UP_S)
    if result is None and not nobody_stops:
        raise RunError(
            f"the workers were lost: {limit.exceeded.cause if limit.exceeded else reason_of(failures)}",
            where="Ray Train",
            remedy="If they had too little memory, lower training.microBatchSize, or give them more; the same command"
            " goes on from the newest checkpoint.",
        )
    return result


def _end(trainer: Trainer, thread: threading.Thread, seconds: float) -> None:
    """Gives the trainer so long to end by itself."""
    thread.join(seconds)
    if thread.is_alive():
        trainer.kill()
        thread.join(LEAVE_S)


def reason_of(failures: Sequence[BaseException]) -> str:
    """What Ray Train's errors say of the workers, in one sentence."""
    workers = {rank: error for one in failures for rank, error in getattr(one, "worker_failures", {}).items()}
    return cause_of(workers) if workers else last_line(failures)
