"""Keeps what driver and workers print, where nobody else does."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from contextlib import suppress

from raygen.errors import RaygenError
from raygen.run.directory import RunDirectory
from raygen.run.logs import PODS, PREPARATION_ATTEMPT, KeptLogs
from raygen.spec import ResolvedJob
from raygen.storage import Storage, open_storage
from raygen.training.observers.events import Observer, Started


class _Attaching(Observer):
    """Tells the logs where the run is when it begins."""

    def __init__(self, logs: KeptLogs) -> None:
        self._logs = logs

    def started(self, start: Started) -> None:
        self._logs.attach(open_storage(start.run), start.attempt)


def keep_worker_logs(job: str, rank: int) -> KeptLogs:
    """Copies what a worker prints, from now on, into the run that is attached; outside of pods nothing is copied."""
    logs = KeptLogs(job, rank)
    if PODS in os.environ:
        logs.begin()
    return logs


def keep_driver_logs(job: str) -> Observer:
    """Copies what this process prints into the run until it ends; gives what has to observe the run for that.

    Outside of pods it does nothing.
    """
    if PODS not in os.environ:
        return Observer()
    logs = KeptLogs(job)
    logs.begin()
    # An error is printed last, after everything else has ended.
    atexit.register(logs.end)
    return _Attaching(logs)


def keep_sweep_logs(name: str) -> Callable[[Storage, int], None]:
    """Copies what this process prints into a sweep's directory until it ends; gives what has to be told where that is, and which
    driver this one is.

    Outside of pods it does nothing.
    """
    if PODS not in os.environ:
        return lambda *_: None
    logs = KeptLogs(name)
    logs.begin()
    atexit.register(logs.end)
    return logs.attach


def keep_preparation_logs(job: ResolvedJob) -> None:
    """Copies what this process prints until it ends into the run that is to train on the data which it prepares.

    Outside of pods it does nothing.
    """
    if PODS not in os.environ:
        return
    logs = KeptLogs(job.metadata.name)
    logs.begin()
    atexit.register(logs.end)
    output = job.spec.output
    # A place that cannot be had is for training to tell.
    with suppress(RaygenError):
        logs.attach(RunDirectory(open_storage(output.uri), output.run).storage, PREPARATION_ATTEMPT)
