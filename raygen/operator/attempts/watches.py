"""What is watched for TrainingJobs and Sweeps: themselves, their runtimes, their RayJobs, and the pods of these."""

from __future__ import annotations

from raygen import kube
from raygen.kube.bodies import Body
from raygen.operator import stored
from raygen.operator.attempts import stored_job
from raygen.operator.kind import Watch
from raygen.spec.names import JOB_LABEL


def _job(item: Body) -> list[str]:
    return ["/".join(stored_job.job_of(item).place)]


def _shared(item: Body) -> list[str]:
    """The cluster that a RayJob shares with others."""
    cluster = stored.shared_cluster(item)
    return [f"{item['metadata']['namespace']}/{cluster}"] if cluster else []


RUNTIMES = Watch(kube.RUNTIMES, stored.runtime)
_BY_RUNTIME = {"runtime": lambda item: [stored_job.as_job(item)["runtime"]]}
JOBS = Watch(kube.TRAINING_JOBS, stored_job.training_job, _BY_RUNTIME)
SWEEPS = Watch(kube.SWEEPS, stored_job.sweep, _BY_RUNTIME)
RAY_JOBS = Watch(kube.RAY_JOBS, stored.ray_job, {"job": _job, "shared": _shared}, JOB_LABEL)
PODS = Watch(kube.PODS, stored.pod, {"job": _job}, JOB_LABEL)


def around(own: Watch) -> tuple[Watch, ...]:
    """What is watched for objects that are done in attempts."""
    return (RUNTIMES, own, RAY_JOBS, PODS)
