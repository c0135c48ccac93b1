"""Prepares a run's data, in this process or by workers of Ray Data."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from raygen.data.shards.index import read_index
from raygen.data.shards.store import open_place
from raygen.errors import MissingExtraError
from raygen.preparation.executors import InProcess
from raygen.preparation.pipeline import Prepared, prepare
from raygen.preparation.ray_data import RayData
from raygen.spec import ResolvedJob
from raygen.training.observers.startup import Startup
from raygen.training.ray.cluster import on_cluster, started_ray


def prepare_data(job: ResolvedJob, base: Path, cores: int, notice: Callable[[str], None]) -> Prepared:
    """Makes the data set of a job, or finds it whole.

    Args:
        job: A job that has a preparation.
        base: Folder that relative paths start from.
        cores: Of this machine to use, where there is no cluster (RAY_ADDRESS).
        notice: Takes a sentence now and then.

    Raises:
        DataError: the data cannot be used, or the folder holds another data set.
        MissingExtraError: there are to be several workers, and Ray is not installed.
    """
    preparation = job.spec.preparation
    if preparation is None:
        raise ValueError("the job has no preparation")
    workers, cpus = preparation.workers, preparation.cpus_per_worker
    if not on_cluster() and workers * cpus > cores:
        fitting = max(cores // cpus, 1)
        if fitting < workers:
            notice(f"preparation.workers: {fitting} instead of {workers}, as this machine has {cores} cores")
        workers, cpus = fitting, min(cpus, cores)
    if workers == 1 and not on_cluster():
        return prepare(job, base, InProcess(), notice)
    if find_spec("ray") is None:
        raise MissingExtraError("ray", "ray")
    with started_ray(workers * cpus, cores, Startup(), notice):
        return prepare(job, base, RayData(workers, {"num_cpus": cpus}), notice)


def prepare_missing(job: ResolvedJob, base: Path, cores: int, notice: Callable[[str], None]) -> None:
    """Prepares the data of a job that has a preparation and no data set yet."""
    preparation = job.spec.preparation
    if preparation is not None and read_index(open_place(preparation.uri, base)) is None:
        notice(f"preparing data in {preparation.uri}")
        prepare_data(job, base, cores, notice)
