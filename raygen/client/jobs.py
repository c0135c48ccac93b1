"""Submitting, looking at and ending jobs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from raygen.errors import InputError, RunError, ValidationError
from raygen.kube import TRAINING_JOBS, ApiError, Connection
from raygen.kube.connection import MERGE
from raygen.spec import Fault, TrainingJob, check

Object = dict[str, Any]

MANAGER = "raygen-client"
SUMMARY = "Succeeded"
WATCH_SECONDS, SILENT_SECONDS = 240.0, 100.0
PAUSE_SECONDS = 1.0
LOST_SECONDS = 60.0
"""How long the API server may be away while a job is waited for."""


def summary(job: Object) -> Object:
    """The condition that says in one word how a job is; before the operator has seen it, one that says so."""
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition["type"] == SUMMARY:
            found: Object = condition
            return found
    message = "The operator has not seen the job yet. Check that it runs: kubectl get deployments -A -l app.kubernetes.io/name=raygen-operator"
    return {"type": SUMMARY, "status": "Unknown", "reason": "Pending", "message": message}


def submit(connection: Connection, job: TrainingJob, namespace: str, *, dry_run: bool = False) -> Object:
    """Makes a job, or changes it: what the file says is what it will be, and it is not suspended unless that says so.

    Raises:
        ValidationError: The job has faults, or the cluster's rules find some.
        InputError: The cluster does not allow it, or has no TrainingJobs.
    """
    document = check(job).model_dump(mode="json", exclude_unset=True, exclude_none=True)
    document["metadata"]["namespace"] = namespace
    document["spec"].setdefault("suspend", False)
    try:
        return connection.apply(
            TRAINING_JOBS, namespace, job.metadata.name, document, manager=MANAGER, dry_run=dry_run
        )
    except ApiError as error:
        raise _explained(error, f"{namespace}/{job.metadata.name}") from error


def _explained(error: ApiError, where: str) -> Exception:
    if error.status == 422 and error.causes:
        faults = [Fault(path, "", message.rstrip("."), "") for path, message in error.causes if path]
        if faults:
            return ValidationError(faults, where=where)
    if error.is_missing:
        return InputError(
            "the cluster has no TrainingJobs, or no such namespace",
            where=where,
            remedy="Install raygen there (manifests/install), and make the namespace.",
        )
    if error.is_refused:
        return InputError(error.what, where=where)
    return error


def get(connection: Connection, namespace: str, name: str) -> Object:
    """A job.

    Raises:
        InputError: There is none of this name.
    """
    try:
        return connection.get(TRAINING_JOBS, namespace, name)
    except ApiError as error:
        if error.is_missing:
            raise _missing(namespace, name) from error
        raise


def list_jobs(connection: Connection, namespace: str) -> list[Object]:
    """All jobs of a namespace, or of all with ""."""
    found, _ = connection.list(TRAINING_JOBS, namespace)
    return sorted(found, key=lambda job: (job["metadata"]["namespace"], job["metadata"]["name"]))


def stop(connection: Connection, namespace: str, name: str) -> Object:
    """Suspends a job: it leaves a checkpoint, frees what it has, and goes on when it is submitted again."""
    path = TRAINING_JOBS.path(namespace, name)
    query = {"fieldManager": MANAGER}
    try:
        return connection.request(
            "PATCH", path, query=query, body={"spec": {"suspend": True}}, content_type=MERGE
        )
    except ApiError as error:
        if error.is_missing:
            raise _missing(namespace, name) from error
        raise


def delete(connection: Connection, namespace: str, name: str) -> None:
    """Deletes a job from the cluster; its run directory stays."""
    job = get(connection, namespace, name)
    connection.delete(TRAINING_JOBS, namespace, name, uid=job["metadata"]["uid"])


def follow(
    connection: Connection, namespace: str, name: str, *, timeout: float | None = None
) -> Iterator[Object]:
    """A job now, and whenever it changes; ends when it is deleted.

    Raises:
        InputError: There is no such job.
        RunError: It took longer than `timeout` seconds.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    query = {"fieldSelector": f"metadata.name={name}"}
    away: float | None = None
    while True:
        try:
            # A list gives a version that a watch can go on from, which of a single object is not promised.
            found, version = connection.list(TRAINING_JOBS, namespace, **query)
            if not found:
                raise _missing(namespace, name)
            yield found[0]
            away = None
            seconds = WATCH_SECONDS if deadline is None else min(WATCH_SECONDS, deadline - time.monotonic())
            if seconds <= 0:
                raise RunError(
                    f"{namespace}/{name} is not there yet after {timeout:g} s",
                    remedy="Wait longer with --timeout, or look at it: raygen get",
                )
            events = connection.watch(
                TRAINING_JOBS,
                namespace,
                version,
                seconds=max(seconds, 1.0),
                silence=min(SILENT_SECONDS, seconds + 5),
                **query,
            )
            for event in events:
                if event["type"] == "DELETED":
                    return
                if event["type"] != "BOOKMARK":
                    yield event["object"]
        except ApiError as error:
            away = away or time.monotonic()
            if error.is_refused or time.monotonic() - away > LOST_SECONDS:
                raise
            time.sleep(PAUSE_SECONDS)


def wait(
    connection: Connection,
    namespace: str,
    name: str,
    *,
    until: Sequence[str] = (),
    timeout: float | None = None,
    tell: Callable[[Object], None] | None = None,
) -> Object:
    """Waits until a job has ended, rests suspended, or has one of the given reasons.

    Args:
        connection: The API server.
        namespace: The job's.
        name: The job's.
        until: Reasons of the summary condition that end the wait too, such as Training.
        timeout: Longest wait, in seconds.
        tell: Takes the job whenever it changes.
    """
    for job in follow(connection, namespace, name, timeout=timeout):
        if tell is not None:
            tell(job)
        found = summary(job)
        if found["status"] != "Unknown" or found["reason"] in ("Suspended", *until):
            return job
    raise RunError(
        f"{namespace}/{name} was deleted", remedy="Its run directory, if it has one, goes on with its name."
    )


def _missing(namespace: str, name: str) -> InputError:
    return InputError(
        f"there is no TrainingJob {name} in the namespace {namespace}",
        remedy="List them: raygen list --all-namespaces",
    )
