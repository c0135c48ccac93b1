"""Prepares a run's data, in this process or by workers of Ray Data."""

from __future__ import annotations

from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from raygen.data.progress import Progress
from raygen.data.remarks import Remarks
from raygen.data.shards.cache import cache_limit
from raygen.data.shards.index import read_index
from raygen.data.shards.recipe import digest_of, words_on_data
from raygen.data.shards.store import open_place
from raygen.errors import MissingExtraError, RaygenError
from raygen.preparation.executors import Executor, InProcess
from raygen.preparation.pipeline import PREPARING, Prepared, prepare
from raygen.preparation.plan import plan
from raygen.preparation.ray_data import RayData
from raygen.preparation.sources import sources_of
from raygen.spec import ResolvedJob
from raygen.spec.data.preparation import Preparation
from raygen.training import drain
from raygen.training.engine.control import Control
from raygen.training.observers.events import EventSink, Notice, Preparing, notices_of
from raygen.training.observers.startup import Startup
from raygen.training.ray.capacity import find_preparation_room, joining_seconds
from raygen.training.ray.cluster import on_cluster, started_ray

LISTING = "listing sources"


class PreparationStoppedError(Exception):
    """It was asked to stop: what is done stays, and the same command goes on."""


def prepare_data(
    job: ResolvedJob, base: Path, cores: int, observer: EventSink, control: Control | None = None
) -> Prepared:
    """Makes the data set of a job, or finds it whole.

    Args:
        job: A job that has a preparation.
        base: Folder that relative paths start from.
        cores: Of this machine to use, where there is no cluster (RAY_ADDRESS).
        observer: Takes notices, and after each part how far it is.
        control: Stops it between two parts.

    Raises:
        DataError: the data cannot be used, or the folder holds another data set.
        InputError: no machine of the cluster has room for it, or this machine's cache of shards is described wrongly.
        MissingExtraError: there are to be several workers, and Ray is not installed.
        PreparationStoppedError: it was asked to stop.
    """
    preparation, control = job.spec.preparation, control or Control()
    if preparation is None:
        raise ValueError("the job has no preparation")
    # What is prepared is opened in the end, by way of the cache.
    cache_limit()
    progress = _Told(observer, control)
    progress.at(f"{PREPARING}{LISTING}", 0, 0)

    def work(executor: Executor) -> Prepared:
        return prepare(job, base, executor, progress=progress)

    if _exists(preparation, base):
        # Nothing is left to be done but to see that it is this one.
        return work(InProcess())
    workers, cpus = _fitted(preparation, cores, observer)
    if workers == 1 and not on_cluster():
        return work(InProcess())
    if find_spec("ray") is None:
        raise MissingExtraError("ray", "ray")
    notice = notices_of(observer)
    with started_ray(workers * cpus, cores, Startup(), notice) as (ray, _, _):
        books = find_preparation_room(ray.nodes, cpus, control, notice, seconds=joining_seconds())
        if books is None:
            raise PreparationStoppedError
        return work(RayData(workers, books))


def prepare_missing(
    job: ResolvedJob, base: Path, cores: int, observer: EventSink, control: Control
) -> Prepared | None:
    """Prepares the data of a job that has a preparation and no data set yet.

    Raises:
        PreparationStoppedError: it was asked to stop.
    """
    preparation = job.spec.preparation
    if preparation is None:
        return None
    if _exists(preparation, base):
        _tell_of_other_sources(job, base, observer)
        return None
    observer.take(Notice(f"preparing data in {preparation.uri}"))
    return prepare_data(job, base, cores, observer, control)


def _exists(preparation: Preparation, base: Path) -> bool:
    return read_index(open_place(preparation.uri, base)) is not None


def _tell_of_other_sources(job: ResolvedJob, base: Path, observer: EventSink) -> None:
    """Says it if the data set is not made of the job's sources as they are; on a cluster `raygen prepare` has refused it."""
    preparation = job.spec.preparation
    remote = any("://" in source.uri or source.format == "HuggingFace" for _, _, source in sources_of(job))
    if preparation is None or remote:
        return
    # What the sources were may be gone: the data set stands for them.
    with suppress(RaygenError):
        index = read_index(open_place(preparation.uri, base))
        # What the job asks for in other words is refused when the data is opened, so it is not trained on.
        if index is None or index.words != digest_of(words_on_data(job)):
            return
        if index.recipe != plan(job, base.absolute(), Remarks()).recipe:
            observer.take(
                Notice(
                    f"the data in {preparation.uri} was not prepared from the job's sources as they are now, and is trained on as it is;"
                    " give spec.preparation.uri another folder to have them prepared"
                )
            )


def _fitted(preparation: Preparation, cores: int, observer: EventSink) -> tuple[int, int]:
    """Workers and the cores of each; on this machine no more than it has."""
    workers, cpus = preparation.workers, preparation.cpus_per_worker
    if on_cluster() or workers * cpus <= cores:
        return workers, cpus
    fitting = max(cores // cpus, 1)
    if fitting < workers:
        said = f"preparation.workers: {fitting} instead of {workers}, as this machine has {cores} cores"
        observer.take(Notice(said))
    return fitting, min(cpus, cores)


class _Told(Progress):
    """Tells an observer of each part, and stops between two of them."""

    def __init__(self, observer: EventSink, control: Control) -> None:
        super().__init__(notices_of(observer))
        self._observer, self._control = observer, control

    def at(self, doing: str, done: int, total: int) -> None:
        """Says how far the work is.

        Raises:
            PreparationStoppedError: it was asked to stop.
        """
        self._observer.take(Preparing(doing.removeprefix(PREPARING), done, total))
        super().at(doing, done, total)
        if drain.asked():
            self._control.stop(drain.REASON)
        if self._control.requested:
            raise PreparationStoppedError
