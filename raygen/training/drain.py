"""How a pod that is about to go gets a checkpoint first.

`raygen leave`, the preStop hook of a pod, leaves a file there and waits. The driver and the workers in that pod
look for it: they stop with a checkpoint and answer by another file. Then they hold on until the pod ends, since a
driver that exits would end its job for Kubernetes too, and a worker would be started again where it was.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path

import psutil

REASON = "PodLeaving"
"""Why a run was stopped by its pod."""
_WORKERS = ("ray::RayTrainWorker", "ray::TrialProcess.run")
"""What Ray calls processes that train."""
POLL_S = 0.2
HOLD_S = 600.0
"""A pod that was asked to go and still runs after this long will not go."""


def _folder() -> Path:
    return Path(tempfile.gettempdir(), f"raygen-leaving-{os.getuid()}")


def asked() -> bool:
    """Whether this pod is about to go.

    A mark that is older than the first process here is one of a container that was started anew in its pod, and one
    that has outlived `HOLD_S` was not followed by an end.
    """
    try:
        marked = (_folder() / "asked").stat().st_mtime
    except OSError:
        return False
    return max(psutil.Process(1).create_time(), time.time() - HOLD_S) <= marked


def hold() -> None:
    """Says that this process has left its checkpoint, and waits for the end of the pod."""
    answer()
    time.sleep(HOLD_S)


def answer() -> None:
    """Says that this process has left its checkpoint."""
    (_folder() / f"left-{os.getpid()}").touch()


def leave(seconds: float) -> bool:
    """Asks the processes that train in this pod for a checkpoint; then ends Ray here, and with it the pod.

    A driver that is here holds on until the pod ends, and Ray stays for it: without Ray its job would count as failed.

    Args:
        seconds: Longest wait.

    Returns:
        Whether all have answered.
    """
    folder = _folder()
    folder.mkdir(mode=0o700, exist_ok=True)
    for answer in folder.glob("left-*"):
        answer.unlink(missing_ok=True)
    (folder / "asked").touch()
    deadline = time.monotonic() + seconds
    while (waiting := _waiting(folder)) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    processes = list(psutil.process_iter(["name", "cmdline"]))
    if not any(_drives(process.info["cmdline"] or []) for process in processes):
        for process in processes:
            if process.info["name"] == "raylet":
                process.send_signal(signal.SIGTERM)
    return not waiting


def _waiting(folder: Path) -> list[int]:
    """Processes that train here and have not answered."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if _trains(process.info["cmdline"] or []) and not (folder / f"left-{process.pid}").exists()
    ]


def _trains(command: list[str]) -> bool:
    """Whether a command line is a worker's of Ray Train, a sweep's that has a trial, or a driver's. Ray Data's workers have nothing
    to leave.
    """
    return _drives(command) or any(word.startswith(_WORKERS) for word in command)


def _drives(command: list[str]) -> bool:
    return bool({"train", "prepare", "sweep"} & set(command)) and any(
        Path(word).name == "raygen" for word in command
    )
