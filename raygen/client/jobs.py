"""Submitting, looking at and ending jobs and sweeps: a job is either of them where nothing else is said."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from raygen.errors import InputError, RunError, ValidationError
from raygen.kube import SWEEPS, TRAINING_JOBS, ApiError, Connection, Resource
from raygen.kube.connection import MERGE
from raygen.spec import Fault, TrainingJob, check
from raygen.spec.sweep.space import Space
from raygen.spec.sweep.sweep import Sweep

Object = dict[str, Any]

MANAGER = "raygen-client"
SUMMARY = "Succeeded"
WATCH_SECONDS, SILENT_SECONDS = 240.0, 100.0
LIST_SECONDS, LEAST_SECONDS = 30.0, 1.0
"""In which a list must come, and what is left for it where the time is up."""
PAUSE_SECONDS = 1.0
LOST_SECONDS = 60.0
"""How long the API server may be away while a job is waited for, or not be able to judge a change yet."""


def summary(job: Object) -> Object:
    """The condition that says in one word how a job is; before the operator has seen it, one that says so."""
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition["type"] == SUMMARY:
            found: Object = condition
            return found
    return _pending("job")


def ended(job: Object) -> bool:
    """Whether it has ended for good."""
    return bool(summary(job)["status"] != "Unknown")


def current(job: Object) -> Object:
    """The summary; where it is about an older spec of a job that has not ended, or of a sweep, which goes on after its end, one that
    says so.
    """
    found = summary(job)
    generation = job["metadata"].get("generation", 0)
    goes_on = found["status"] == "Unknown" or job.get("kind") == SWEEPS.kind
    if goes_on and found.get("observedGeneration", generation) < generation:
        return _pending("change")
    return found


def _pending(what: str) -> Object:
    message = f"The operator has not seen the {what} yet. Check that it runs: kubectl get deployments -A -l app.kubernetes.io/name=raygen-operator"
    return {"type": SUMMARY, "status": "Unknown", "reason": "Pending", "message": message}


def kind_of(connection: Connection, namespace: str, name: str, *, sweep: bool = False) -> Resource:
    """Whether a name is a job's, or a sweep's; where there are both the job's, unless a sweep is asked for.

    Raises:
        InputError: There is neither.
    """
    for kind in (SWEEPS,) if sweep else (TRAINING_JOBS, SWEEPS):
        try:
            connection.get(kind, namespace, name)
        except ApiError as error:
            if error.is_missing:
                continue
            if not error.is_refused:
                raise
            # What is done next will say which right is lacking.
        return kind
    raise _missing(namespace, name, SWEEPS if sweep else None)


def submit(
    connection: Connection, job: TrainingJob | Sweep, namespace: str, *, dry_run: bool = False
) -> Object:
    """Makes a job, or changes it: what the file says is what it will be, and it is not suspended unless that says so.

    Raises:
        ValidationError: The job has faults, or the cluster's rules find some.
        InputError: The cluster does not allow it, or has no TrainingJobs.
    """
    if isinstance(job, Sweep):
        # Parameters that do not fit the template are faults too.
        Space(job)
    kind, checked = (SWEEPS, job) if isinstance(job, Sweep) else (TRAINING_JOBS, check(job))
    document = checked.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    document["metadata"]["namespace"] = namespace
    document["spec"].setdefault("suspend", False)
    try:
        return _judged(
            lambda: connection.apply(
                kind, namespace, job.metadata.name, document, manager=MANAGER, dry_run=dry_run
            )
        )
    except ApiError as error:
        raise _explained(error, f"{namespace}/{job.metadata.name}", kind) from error


def _judged(ask: Callable[[], Object]) -> Object:
    """What the API server says once it has read its own admission policies."""
    deadline = time.monotonic() + LOST_SECONDS
    while True:
        try:
            return ask()
        except ApiError as error:
            if not error.is_early or time.monotonic() > deadline:
                raise
            time.sleep(PAUSE_SECONDS)


def _explained(error: ApiError, where: str, kind: Resource) -> Exception:
    if error.status == 422 and error.causes:
        faults = [Fault(path, "", message.rstrip("."), "") for path, message in error.causes if path]
        if faults:
            return ValidationError(faults, where=where)
    if error.is_missing:
        return InputError(
            f"the cluster has no {kind.kind}s, or no such namespace",
            where=where,
            remedy="Install raygen there (manifests/install), and make the namespace.",
        )
    if error.is_refused:
        return InputError(error.what, where=where, remedy=error.remedy)
    return error


def get(connection: Connection, namespace: str, name: str, kind: Resource = TRAINING_JOBS) -> Object:
    """A job.

    Raises:
        InputError: There is none of this name.
    """
    try:
        return connection.get(kind, namespace, name)
    except ApiError as error:
        if error.is_missing:
            raise _missing(namespace, name, kind) from error
        raise


def attempt_is_over(
    connection: Connection, namespace: str, name: str, ray_job: str, kind: Resource = TRAINING_JOBS
) -> bool:
    """Whether an attempt has ended, or its job is gone; not while the API server does not say."""
    try:
        status = get(connection, namespace, name, kind).get("status") or {}
    except InputError:
        return True
    except ApiError as error:
        if error.is_refused:
            raise
        return False
    return not any(one["rayJob"] == ray_job and "ended" not in one for one in status.get("attempts") or ())


def list_jobs(connection: Connection, namespace: str, kind: Resource = TRAINING_JOBS) -> list[Object]:
    """All objects of a kind of a namespace, or of all with ""."""
    try:
        found, _ = connection.list(kind, namespace)
    except ApiError as error:
        # Of sweeps a cluster that has an older release knows nothing, nor do roles that were made for one.
        if kind != SWEEPS or not (error.is_missing or error.is_refused):
            raise
        return []
    return sorted(found, key=lambda job: (job["metadata"]["namespace"], job["metadata"]["name"]))


def stop(connection: Connection, namespace: str, name: str, kind: Resource = TRAINING_JOBS) -> Object:
    """Suspends a job: it leaves a checkpoint, frees what it has, and goes on when it is submitted again.

    One that has ended is left as it is; its summary says so.
    """
    job = get(connection, namespace, name, kind)
    if ended(job):
        return job
    path = kind.path(namespace, name)
    query = {"fieldManager": MANAGER}
    try:
        body = {"spec": {"suspend": True}}
        return _judged(lambda: connection.request("PATCH", path, query=query, body=body, content_type=MERGE))
    except ApiError as error:
        if error.is_missing:
            raise _missing(namespace, name, kind) from error
        raise


def delete(connection: Connection, namespace: str, name: str, kind: Resource = TRAINING_JOBS) -> None:
    """Deletes a job from the cluster; its directory stays."""
    job = get(connection, namespace, name, kind)
    connection.delete(kind, namespace, name, uid=job["metadata"]["uid"])


def follow(
    connection: Connection,
    namespace: str,
    name: str,
    *,
    timeout: float | None = None,
    kind: Resource = TRAINING_JOBS,
) -> Iterator[Object]:
    """A job now, and whenever it changes; ends when it is deleted.

    Raises:
        InputError: There is no such job.
        RunError: It took longer than `timeout` seconds, whether or not the API server answers.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    query = {"fieldSelector": f"metadata.name={name}"}
    away: float | None = None

    def left(most: float) -> float:
        return most if deadline is None else min(most, deadline - time.monotonic())

    def late(why: str = "") -> RunError:
        return RunError(
            f"timed out: {namespace}/{name} did not get there within {timeout:g} s{why}",
            remedy="Wait longer with --timeout, or look at it: raygen get",
        )

    while True:
        try:
            # A list gives a version that a watch can go on from, which of a single object is not promised.
            seconds = max(left(LIST_SECONDS), LEAST_SECONDS)
            listed = connection.request("GET", kind.path(namespace), query=query, seconds=seconds)
            if not listed["items"]:
                raise _missing(namespace, name, kind)
            yield listed["items"][0]
            away = None
            seconds = left(WATCH_SECONDS)
            if seconds <= 0:
                raise late()
            events = connection.watch(
                kind,
                namespace,
                listed["metadata"]["resourceVersion"],
                seconds=max(seconds, 1.0),
                silence=min(SILENT_SECONDS, seconds + LEAST_SECONDS),
                **query,
            )
            for event in events:
                if event["type"] == "DELETED":
                    return
                if event["type"] != "BOOKMARK":
                    yield event["object"]
        except ApiError as error:
            away = away or time.monotonic()
            if error.exit_code == 2 or time.monotonic() - away > LOST_SECONDS:
                raise
            if left(PAUSE_SECONDS) <= 0:
                raise late(f": {error.what}") from error
            time.sleep(max(left(PAUSE_SECONDS), 0))


def wait(
    connection: Connection,
    namespace: str,
    name: str,
    *,
    until: Sequence[str] = (),
    timeout: float | None = None,
    tell: Callable[[Object], None] | None = None,
    kind: Resource = TRAINING_JOBS,
) -> Object:
    """Waits until a job has ended, rests suspended, or has one of the given reasons.

    Args:
        connection: The API server.
        namespace: The job's.
        name: The job's.
        until: Reasons of the summary condition that end the wait too, such as Training.
        timeout: Longest wait, in seconds.
        tell: Takes the job whenever it changes.
        kind: What it is.
    """
    for job in follow(connection, namespace, name, timeout=timeout, kind=kind):
        if tell is not None:
            tell(job)
        found = current(job)
        if found["status"] != "Unknown" or found["reason"] in ("Suspended", *until):
            return job
    raise RunError(
        f"{namespace}/{name} was deleted", remedy="Its run directory, if it has one, goes on with its name."
    )


def _missing(namespace: str, name: str, kind: Resource | None) -> InputError:
    what = "TrainingJob or Sweep" if kind is None else kind.kind
    return InputError(
        f"there is no {what} {name} in the namespace {namespace}",
        remedy="List them: raygen list --all-namespaces",
    )
