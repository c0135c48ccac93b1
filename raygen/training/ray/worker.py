"""What each Ray Train worker does: the same loop as on one machine, with the others."""

from __future__ import annotations

import json
import socket
import traceback
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist

from raygen import machine
from raygen.checkpoint import steps
from raygen.data.protocol import Dataset
from raygen.errors import CheckpointError, DataError, RaygenError, RunError
from raygen.models.blame import blamed
from raygen.models.protocol import Family
from raygen.parallel.choice import make_strategy
from raygen.run.directory import Attempt, AttemptRecord, RunDirectory
from raygen.run.logs import KeptLogs
from raygen.run.record import RunRecord
from raygen.spec import ResolvedJob, parse, resolve
from raygen.storage import open_storage
from raygen.training import drain
from raygen.training.engine.agreement import AbandonedError, Group, wait_for
from raygen.training.engine.attempt import AttemptContext, train_attempt
from raygen.training.engine.control import Control
from raygen.training.engine.guards import Guards
from raygen.training.engine.resume import agreed_checkpoint
from raygen.training.engine.state import State
from raygen.training.engine.store import LEAVING, STOP, Store
from raygen.training.facts import decoded, encoded
from raygen.training.observers.events import EventSink, GuardTriggered, Observer, Ready, notices_of
from raygen.training.observers.startup import DATA, Startup
from raygen.training.opening import facts_of, open_dataset, open_model, start_from
from raygen.training.ray.log_capture import keep_worker_logs
from raygen.training.ray.losses import tell_kills
from raygen.training.ray.mailbox import (
    BEGUN,
    FACTS,
    FILES,
    RESULT,
    STARTS,
    TRAINS,
    TRANSPORTS,
    ClaimedAttempt,
    RemoteSink,
    Task,
    error_document,
    trained_document,
)
from raygen.training.ray.wire import Address, Remote

if TYPE_CHECKING:
    from raygen.data.shards.pieces import OpenPieces


def work(task: Task, driver: Address) -> None:
    """Trains as one of several workers; rank 0 writes the run directory and tells the driver.

    Args:
        task: What to train.
        driver: Where its store is.

    An error that would come again (a guard, wrong data, a newer attempt, a fault in the code) is told to the driver
    and not raised: Ray would start the workers again. That another worker cannot be reached is not such an error.
    """
    startup = Startup()
    with closing(Remote(driver)) as store:
        if drain.asked():
            # Ray cannot know that this pod takes no more work; that its end is no loss, the driver has to know.
            store.set(LEAVING, "")
            drain.hold()
        torch.set_num_threads(task.threads)
        logs = keep_worker_logs(task.job["metadata"]["name"], dist.get_rank())
        try:
            _work(task, store, startup, logs)
        except Exception:
            # Ray prints it too, but where nobody looks once the pod is gone.
            traceback.print_exc()
            raise
        finally:
            logs.end()


def _work(task: Task, store: Store, startup: Startup, logs: KeptLogs) -> None:
    number = torch.tensor([store.add(STARTS, 1) if dist.get_rank() == 0 else 0])
    device = _device()
    number = number.to(device)
    dist.broadcast(number, 0)
    tell_kills(store, int(number), socket.gethostname(), machine.kills(), machine.memory())
    control = Control(stop_at=task.stop_at, report=_ignore_report if task.reports else None)
    group = Group(store, int(number), control)
    try:
        result = _train(task, group, control, store, device, startup, logs)
    except AbandonedError:
        return
    except RaygenError as error:
        result = error_document(error, ())
    except Exception as error:
        if _is_of_another(error):
            raise
        traceback.print_exc()
        result = error_document(_unexpected(error, group.rank), ())
    if result.get("reason") == drain.REASON and not store.check([STOP]):
        group.settle()
        if drain.asked():
            drain.hold()
        raise RuntimeError(
            "another worker's pod is about to go: all start again from the checkpoint just left"
        )
    if group.rank == 0 or "error" in result:
        store.set(RESULT, json.dumps(result))


def _is_of_another(error: Exception) -> bool:
    """Whether an error only says that another worker, or the driver, cannot be reached."""
    lost = (dist.DistError, ConnectionError, TimeoutError)
    return isinstance(error, lost) or any(name in str(error) for name in TRANSPORTS)


def _unexpected(error: Exception, rank: int) -> RunError:
    return RunError(
        f"worker {rank} raised {type(error).__name__}: {error}",
        where=blamed(error, {"raygen"}),
        remedy="The same job on one worker (scale.workers=1) shows the whole trace, if it fails there too.",
    )


def _device() -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    from ray.train.torch import get_device

    device: torch.device = get_device()
    torch.cuda.set_device(device)
    return device


def _ignore_report(step: int, values: Mapping[str, float]) -> None:
    """Evaluations are heard by the driver's caller (`Group.report`)."""


def _train(
    task: Task,
    group: Group,
    control: Control,
    store: Store,
    device: torch.device,
    startup: Startup,
    logs: KeptLogs,
) -> dict[str, Any]:
    job = resolve(parse(task.job))
    directory = RunDirectory(open_storage(task.storage), task.run)
    # All find and do the same; rank 0 says it.
    observer: EventSink = RemoteSink(store) if group.rank == 0 else Observer()
    notice = notices_of(observer)
    guards = Guards(
        job.spec.training,
        len(task.rollbacks),
        notice,
        lambda finding: observer.take(GuardTriggered(finding.type)),
    )
    try:
        with closing(_open_data(task, job, directory, group, store, notice)) as data:
            startup.done(DATA)
            family = open_model(job, data, device)
            begun = _begin(group, store, data, family, job, device)
            attempt = Attempt(directory.storage, AttemptRecord(**begun.attempt))
            logs.attach(directory.storage, attempt.number)
            found = agreed_checkpoint(directory.checkpoints, group, notice)
            if found is None and task.parent is not None:
                uri, step = task.parent["uri"], task.parent["step"]
                start_from(family, RunRecord.open(uri).checkpoint(step), uri)
            startup.then = lambda seconds: observer.take(Ready(seconds))
            context = AttemptContext(
                job=job,
                base=Path(task.base),
                directory=directory,
                attempt=attempt,
                steps=begun.steps,
                rollbacks=task.rollbacks,
                data=data,
                family=family,
                device=device,
                checkpoint=found,
                state=State(**found.values["loop"]) if found else State.new(),
                control=control,
                guards=guards,
                observer=observer,
                workers=group,
                strategy=make_strategy(group),
                agreement=group,
                startup=startup,
            )
            # The context alone holds the checkpoint, and lets go of it once it is restored.
            found = None
            if group.rank == 0:
                store.set(TRAINS, str(group.start))
            trained = train_attempt(context)
    except RaygenError as error:
        return error_document(error, guards.findings)
    return trained_document(trained)


def _open_data(
    task: Task,
    job: ResolvedJob,
    directory: RunDirectory,
    group: Group,
    store: Store,
    notice: Callable[[str], None],
) -> Dataset:
    """Opens the data; what is learned from it, as a tokenizer, rank 0 learns for all."""
    # Ray ends a worker's children with it, a janitor of its own too; on other machines workers are containers.
    scratch = path if (path := Path(task.scratch)).is_dir() else None
    files = directory.read_data_files()
    if not files and task.parent is not None:
        files = RunRecord.open(task.parent["uri"]).data_files()
    learns = not files and job.spec.data.tokenizer is not None
    if learns and group.rank > 0:
        files = decoded(json.loads(wait_for(store, FILES)))
    open_pieces = _open_pieces(task)
    first = None
    if open_pieces is not None:
        # While it reads, the model is made. If the newest checkpoint is damaged, it has read in vain.
        first = 0
        with suppress(CheckpointError):
            first = max(steps(directory.checkpoints), default=0) * job.spec.training.global_batch_size
    data = open_dataset(job, Path(task.base), files, notice, scratch, open_pieces, first)
    if learns and group.rank == 0:
        store.set(FILES, json.dumps(encoded(data.files())))
    return data


def _open_pieces(task: Task) -> OpenPieces | None:
    if task.reading is None:
        return None
    from raygen.pipelines.reading import Workers, pipelined

    return pipelined(Workers(**task.reading))


def _begin(
    group: Group, store: Store, data: Dataset, family: Family, job: ResolvedJob, device: torch.device
) -> ClaimedAttempt:
    """Tells the driver what was opened, and waits until the attempt has begun.

    Raises:
        DataError: this worker reads other data than rank 0.
    """
    if group.rank == 0:
        store.set(FACTS, json.dumps(asdict(facts_of(job, data, family, device))))
    begun = ClaimedAttempt(**json.loads(wait_for(store, BEGUN)))
    if data.fingerprint != begun.fingerprint:
        raise DataError(
            f"worker {group.rank} reads other data than worker 0",
            where=", ".join(source.uri for source in job.spec.data.train.sources),
            remedy="Put the same data on every machine, or on storage that all of them share.",
        )
    return begun
