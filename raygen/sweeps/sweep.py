"""One sweep, from its file to its best trials: opens its directory, goes on where it was, has trials trained."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raygen.compute.scale import available_cores
from raygen.errors import InputError, MissingExtraError, OutputError, RunError, ValidationError
from raygen.jobfile import load_kind
from raygen.spec import resolve
from raygen.spec.job.training_job import Scale
from raygen.spec.names import TRIAL_RESOURCE
from raygen.spec.schema.validate import parse_kind
from raygen.spec.sweep.sweep import Sweep
from raygen.storage import open_storage
from raygen.sweeps.continuing import check_continues, warm_start
from raygen.sweeps.directory import SweepDirectory, run_name
from raygen.sweeps.driver import Driver, SweepResult, Watcher
from raygen.sweeps.events import Event, cores_of
from raygen.sweeps.history import History
from raygen.sweeps.policy import Policy
from raygen.sweeps.record import SweepRecord
from raygen.sweeps.trials.training import function_at
from raygen.training.data_preparation import PreparationStoppedError, prepare_missing
from raygen.training.engine.control import Control
from raygen.training.observers.events import Observer
from raygen.training.observers.startup import Startup
from raygen.training.ray.cluster import on_cluster, started_ray

if TYPE_CHECKING:
    from raygen.sweeps.trials.pods import PodDemand
    from raygen.sweeps.trials.processes import RayWorkers


class SilentWatcher:
    """Hears, and says nothing."""

    def take(self, event: Event, history: History) -> None:
        """Says nothing."""

    def began(self, directory: SweepDirectory, driver: int) -> None:
        """Says nothing."""

    def summarised(self, summary: Mapping[str, Any]) -> None:
        """Says nothing."""

    def has_use_for(self, pods: Mapping[str, Any]) -> None:
        """Says nothing."""

    def notice(self, text: str) -> None:
        """Says nothing."""


def sweep(
    sweep: Sweep | Mapping[str, Any] | str | Path,
    *,
    base: str | Path | None = None,
    output: str | None = None,
    name: str | None = None,
    cores: int | None = None,
    watcher: Watcher | None = None,
    control: Control | None = None,
) -> SweepResult:
    """Runs a sweep on this machine, or on the Ray cluster that RAY_ADDRESS names. One that exists goes on where it was.

    In the main thread, SIGINT and SIGTERM stop it: trials leave checkpoints, and the result's state is Stopped.

    Args:
        sweep: A sweep, the content of a sweep file, or the path of one.
        base: Folder that relative source paths start from. Default: the file's folder, else the working one.
        output: Folder of all sweeps, instead of the file's.
        name: The sweep's name, instead of the file's.
        cores: Of this machine to use. Default: all that this process may.
        watcher: Hears of what happens.
        control: Stops the sweep.

    Raises:
        InputError: sweep, data or output are wrong.
        RunError: too many trials have failed, or Ray does not start.
        FencedError: another driver has taken over.
    """
    watcher, control = watcher or SilentWatcher(), control or Control()
    where = ""
    if isinstance(sweep, (str, Path)):
        loaded = load_kind(Sweep, sweep)
        sweep, base, where = loaded.value, base or loaded.path.parent, str(loaded.path)
    typed = _named(sweep if isinstance(sweep, Sweep) else parse_kind(Sweep, sweep), name)
    if cores is not None and cores < 1:
        raise InputError(
            f"a sweep cannot use {cores} cores",
            where="cores",
            remedy="Give a number from 1, or leave it out.",
        )
    if find_spec("ray") is None:
        raise MissingExtraError("ray", "sweep")
    for objective in typed.spec.objectives:
        if objective.entry_point is not None:
            function_at(objective.entry_point)
    place = typed.spec.output
    uri = f"{(output or place.uri).rstrip('/')}/{place.sweep or typed.metadata.name}"
    directory = SweepDirectory(open_storage(uri))
    events = directory.read()
    check_continues(events, typed, directory.uri)
    each = _cores_each(typed, events, cores or available_cores())
    _check_room(typed.spec.template.spec.scale, each, cores or available_cores())
    policy = Policy(typed, each, where)
    known = [] if events else warm_start(typed, policy.space, watcher.notice)
    with control.on_signals():
        return _driven(typed, Path(base or ""), directory, policy, known, each, cores, control, watcher)


def _driven(
    sweep: Sweep,
    base: Path,
    directory: SweepDirectory,
    policy: Policy,
    known: list[Event],
    each: int,
    cores: int | None,
    control: Control,
    watcher: Watcher,
) -> SweepResult:
    """Claims the sweep, starts Ray, drives, and writes the report."""
    from raygen.sweeps.report.gather import write_report

    have = cores or available_cores()
    count = sweep.spec.concurrency
    whole = each * sweep.spec.template.spec.scale.workers
    if not on_cluster() and count * whole > have:
        count = max(have // whole, 1)
        watcher.notice(
            f"concurrency: {sweep.spec.concurrency} -> {count}; {whole} cores for each trial, and there are {have}"
        )
    try:
        _prepare(policy, base, have, watcher, control)
    except PreparationStoppedError:
        return SweepResult("Stopped", control.reason or "", directory.uri, 0, (), 0.0)
    with (
        started_ray(count * whole, have, Startup(), watcher.notice) as (ray, _, _),
        control.on_signals(),
        closing(_workers(sweep, count, each, ray.cluster_resources())) as workers,
    ):
        # Whoever is at work is left alone until nothing keeps this one from it.
        driver = directory.claim(_record())
        # What a driver before this one wrote while this one claimed belongs to the log.
        events = directory.read()
        if events:
            known = []
        try:
            result = Driver(
                *(sweep, base, directory, driver, events, policy, workers, each, control, watcher),
                known=known,
                pods=_demand(sweep, workers, ray.cluster_resources()),
            ).run()
        except RunError:
            # The first error is the one to show.
            with suppress(OutputError):
                write_report(SweepRecord(directory.uri))
            raise
    try:
        return replace(result, report=write_report(SweepRecord(directory.uri)))
    except OutputError as error:
        # What was trained and logged is there.
        watcher.notice(f"there is no new report: {error.located}")
        return result


class _Notices(Observer):
    """Hands on what is said while data is prepared."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def notice(self, message: str) -> None:
        """Hands it on."""
        self._watcher.notice(message)


def _prepare(policy: Policy, base: Path, cores: int, watcher: Watcher, control: Control) -> None:
    """Prepares the data of the template once, before trials that would all begin with it.

    Raises:
        DataError: the data cannot be used.
        InputError: there is no room for it.
    """
    if policy.sweep.spec.template.spec.preparation is None:
        return
    try:
        job = resolve(policy.space.job(policy.space.completed({}), run_name(0)))
    except ValidationError:
        # The template by itself is none; the first trial prepares.
        return
    prepare_missing(job, base.absolute(), cores, _Notices(watcher), control)


def _check_room(scale: Scale, each: int, have: int) -> None:
    """Whether this machine has the cores of one trial.

    Raises:
        InputError: it has not.
    """
    if not on_cluster() and each * scale.workers > have:
        raise InputError(
            f"a trial needs {each * scale.workers} cores, {each} for each worker, and there are {have}",
            where="spec.template.spec.scale",
            remedy="Lower workers or cpusPerWorker, or sweep on a cluster; a sweep that is there goes on with the cores that it began"
            " with.",
        )


def _workers(sweep: Sweep, count: int, each: int, there: Mapping[str, float]) -> RayWorkers:
    """Processes for so many trials at a time.

    A trial with several workers drives them from its process, and has next to nothing for itself: so there is always room for the
    workers of all trials that have one.
    """
    from raygen.sweeps.trials.processes import RayWorkers

    if sweep.spec.template.spec.scale.workers == 1:
        gpus = sweep.spec.gpus_per_trial if on_cluster() else _share(there.get("GPU", 0.0), count)
        return RayWorkers(count, each, gpus)
    # On pods of its own a sweep keeps its head, which has no memory for them, free of trials.
    return RayWorkers(count, 0, books={TRIAL_RESOURCE: 1} if there.get(TRIAL_RESOURCE) else {})


def _share(gpus: float, count: int) -> float:
    """The part of this machine's GPUs that each of so many trials has; all of one at most, in steps that Ray knows."""
    return min(1.0, floor(gpus / count * 1e4) / 1e4)


def _demand(sweep: Sweep, workers: RayWorkers, there: Mapping[str, float]) -> PodDemand | None:
    """What tells the pods that the sweep has use for, where it has pods of its own and they may come and go."""
    from raygen.sweeps.trials.pods import PodDemand, machines

    if sweep.spec.autoscaling is None or not there.get(TRIAL_RESOURCE):
        return None
    return PodDemand(workers, sweep.spec, machines)


def _named(sweep: Sweep, name: str | None) -> Sweep:
    """The sweep with another name, where one is given."""
    if name is None:
        return sweep
    document = sweep.model_dump(mode="json", exclude_unset=True)
    document["spec"]["output"] = {**document["spec"].get("output", {}), "sweep": name}
    return parse_kind(Sweep, document)


def _record() -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "process": os.getpid(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "raygen": version("raygen"),
    }


def _cores_each(sweep: Sweep, events: list[Event], cores: int) -> int:
    """Cores of each worker of a trial: what the first driver gave them, since they decide how sums are rounded."""
    given = sweep.spec.template.spec.scale.cpus_per_worker
    workers = sweep.spec.concurrency * sweep.spec.template.spec.scale.workers
    return cores_of(events) or given or max(cores // workers, 1)
