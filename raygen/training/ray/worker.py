"""What each Ray Train worker does: the same loop as on one machine, with the others."""

from __future__ import annotations

import json
import socket
import traceback
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from raygen import machine
from raygen.compute.arithmetic import memory_explained
from raygen.data.readers import open_data
from raygen.errors import DataError, RaygenError, RunError
from raygen.inference.code import install_code
from raygen.inference.weights import restore_weights
from raygen.models.blame import blamed
from raygen.models.registry import build_family
from raygen.run.directory import Attempt, AttemptRecord, RunDirectory
from raygen.run.logs import KeptLogs
from raygen.run.record import RunRecord
from raygen.spec import TrainingJob, parse
from raygen.storage import open_storage
from raygen.training import drain
from raygen.training.engine.agreement import LEAVING, STOP, Group, Store, connect
from raygen.training.engine.guards import Finding, Guards
from raygen.training.engine.loop import State, run_loop
from raygen.training.engine.resume import agreed_checkpoint
from raygen.training.engine.session import open_session
from raygen.training.engine.stop import Stop
from raygen.training.observers.events import Observer, Silent
from raygen.training.observers.startup import MODEL, Startup
from raygen.training.ray.log_capture import keep_worker_logs
from raygen.training.ray.losses import tell_kills
from raygen.training.ray.mailbox import RESULT, STARTS, TRANSPORTS, RemoteObserver, error_document

STORE_TIMEOUT_S = 1800.0
"""As long as a collective operation may take, since a worker waits for others in both."""


@dataclass(frozen=True)
class Task:
    """What the driver tells every worker; JSON values alone.

    Attributes:
        job: The job, fitted to the machine.
        base: Folder that relative source paths start from.
        storage: URI of the folder of all runs.
        run: The run's name.
        attempt: attempts/NNN.json.
        fingerprint: Of the data.
        steps: Last step.
        parent: Run and step whose weights a new run starts from, or None.
        rollbacks: How often the run went back.
        scratch: Folder on the driver's machine that is deleted after the run.
        host: Of the driver's store.
        port: The same.
        threads: Of PyTorch in each worker.
    """

    job: dict[str, Any]
    base: str
    storage: str
    run: str
    attempt: dict[str, Any]
    fingerprint: str
    steps: int
    parent: dict[str, Any] | None
    rollbacks: list[dict[str, Any]]
    scratch: str
    host: str
    port: int
    threads: int


def work(config: dict[str, Any]) -> None:
    """Trains as one of several workers; rank 0 writes the run directory and tells the driver.

    An error that would come again (a guard, wrong data, a newer attempt, a fault in the code) is told to the driver
    and not raised: Ray would start the workers anew. That another worker cannot be reached is no such error.
    """
    startup = Startup()
    task = Task(**config)
    if drain.asked():
        # Ray cannot know that this pod takes no more work; that its end is no loss, the driver has to know.
        connect(task.host, task.port, timeout_s=STORE_TIMEOUT_S).set(LEAVING, "")
        drain.hold()
    torch.set_num_threads(task.threads)
    logs = keep_worker_logs(task.job["metadata"]["name"], dist.get_rank())
    try:
        _work(task, startup, logs)
    except Exception:
        # Ray prints it too, but where nobody looks once the pod is gone.
        traceback.print_exc()
        raise
    finally:
        logs.end()


def _work(task: Task, startup: Startup, logs: KeptLogs) -> None:
    store = connect(task.host, task.port, timeout_s=STORE_TIMEOUT_S)
    number = torch.tensor([store.add(STARTS, 1) if dist.get_rank() == 0 else 0])
    device = _device()
    number = number.to(device)
    dist.broadcast(number, 0)
    tell_kills(store, int(number), socket.gethostname(), machine.kills(), machine.memory())
    stop = Stop()
    group = Group(store, int(number), stop)
    try:
        result = _train(task, group, stop, store, device, startup, logs)
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


def _keep_to_itself(finding: Finding) -> None:
    """Rank 0 finds the same, and tells."""


def _device() -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    from ray.train.torch import get_device

    device: torch.device = get_device()
    return device


def _train(
    task: Task,
    group: Group,
    stop: Stop,
    store: Store,
    device: torch.device,
    startup: Startup,
    logs: KeptLogs,
) -> dict[str, Any]:
    job: TrainingJob = parse(task.job)
    base = Path(task.base)
    # Ray ends a worker's children with it, a janitor of its own too; on other machines workers are containers.
    install_code(job, base, scratch if (scratch := Path(task.scratch)).is_dir() else None)
    directory = RunDirectory(open_storage(task.storage), task.run)
    attempt = Attempt(directory.storage, AttemptRecord(**task.attempt))
    logs.attach(directory.storage, attempt.number)
    data = open_data(job, base, directory.read_data_files())
    if data.fingerprint != task.fingerprint:
        raise DataError(
            f"worker {group.rank} reads other data than the driver",
            where=", ".join(source.uri for source in job.spec.data.train.sources),
            remedy="Put the same data on every machine, or on storage that all of them share.",
        )
    family = build_family(job, data.domain, device)
    first = group.rank == 0
    remote = RemoteObserver(store) if first else None
    observer: Observer = remote or Silent()
    found = agreed_checkpoint(directory.checkpoints, group, observer.notice)
    if found is None and task.parent is not None:
        restore_weights(family, RunRecord.open(task.parent["uri"]).checkpoint(task.parent["step"]))
    state = State(**found.values["loop"]) if found else State.new()
    tell = remote.found if remote else _keep_to_itself
    guards = Guards(job.spec.training, len(task.rollbacks), observer.notice, tell)
    startup.then = observer.ready
    try:
        with memory_explained(device), ExitStack() as stack:
            session = open_session(
                job,
                directory,
                attempt,
                family,
                data,
                device,
                state,
                found,
                steps=task.steps,
                rollbacks=task.rollbacks,
                stop=stop,
                observer=observer,
                guards=guards,
                workers=group,
                agreement=group,
                stack=stack,
            )
            startup.done(MODEL)
            session.ready = startup.ready
            ending = run_loop(session, state)
            session.close("Stopped" if ending.stopped else "Succeeded")
    except RaygenError as error:
        return error_document(error, guards.findings)
    return {
        "reason": ending.reason,
        "stopped": ending.stopped,
        "state": state.values(),
        "loss": session.recorder.loss,
        "findings": [finding.record() for finding in guards.findings],
    }
