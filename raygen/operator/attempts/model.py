"""What a plan is made from and what it consists of. Plans are pure: nothing here reads or writes the cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from raygen.controller.events import Note
from raygen.kube.bodies import Body, Fields
from raygen.kube.resources import Resource
from raygen.operator.attempts.work import Work


@dataclass(frozen=True)
class Observed:
    """The cluster's state around one job or sweep.

    Attributes:
        work: Its kind.
        job: The object.
        runtime: The RaygenRuntime that it names, if it is there.
        ray_jobs: The RayJobs that it owns.
        pods: Their pods.
        shared_heads: Head pods of clusters that these RayJobs share with others.
        now: The time, in whole seconds.
        warnings: Events about pods that have waited for long, by the pod's name: what keeps them.
    """

    work: Work
    job: Body
    runtime: Body | None
    ray_jobs: Sequence[Body]
    pods: Sequence[Body]
    now: datetime
    warnings: Mapping[str, str] = field(default_factory=dict)
    shared_heads: Sequence[Body] = ()


@dataclass(frozen=True)
class Deletion:
    """An object to be deleted, if it is still this one."""

    resource: Resource
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True)
class Scaling:
    """Another number of worker pods for the RayCluster of an attempt.

    Attributes:
        namespace: The RayCluster's.
        cluster: Its name.
        job: Name of the object that the attempt is of, as the RayCluster's label has it.
        group: Name of the group of workers, the first one.
        replicas: Pods from now on.
        gone: Names of pods to be removed, where they become fewer.
    """

    namespace: str
    cluster: str
    job: str
    group: str
    replicas: int
    gone: tuple[str, ...]


@dataclass
class Plan:
    """What to do, in this order: create, scale, write the status, delete, tell.

    A RayJob is made before the status speaks of it, so that a crash in between does not look like a RayJob that
    somebody deleted; and is deleted after the status says why, so that a crash does not lose the reason.

    Attributes:
        create: A RayJob.
        scale: Another number of worker pods.
        status: All that the operator says of the job; None: as it is.
        delete: Objects to delete.
        notes: Events.
        again: When to look again without a change, in seconds.
        needs_reading: Name of a RayJob that seems to be gone, or whose driver seems to have left no last words: read it and
            the job itself before believing that.
    """

    create: Fields | None = None
    scale: Scaling | None = None
    status: Fields | None = None
    delete: list[Deletion] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    again: float | None = None
    needs_reading: str = ""

    def look_again(self, seconds: float) -> None:
        """In at most this many seconds."""
        self.again = seconds if self.again is None else min(self.again, seconds)
