"""The next attempt of a job: whether there may be one now, and if not, why."""

from __future__ import annotations

from typing import Any

from raygen.errors import ValidationError
from raygen.operator import attempts, conditions, suspend
from raygen.operator.attempts import Ending
from raygen.operator.conditions import RUNNING, SUSPENDED, VALIDATED, moment, stamp
from raygen.operator.draft import Draft
from raygen.operator.model import Note
from raygen.operator.render import render, travelling
from raygen.operator.runtime import refusals
from raygen.spec import TrainingJob, parse
from raygen.spec.runtime import RaygenRuntime

Object = dict[str, Any]

OBSTACLE_SECONDS, WAITING_SECONDS = 15.0, 15.0


def begin(draft: Draft) -> None:
    """Begins the next attempt, or says what it waits for."""
    if draft.spec.get("suspend"):
        suspend.rest(draft)
        return
    if conditions.find(draft.conditions, SUSPENDED) is not None:
        draft.put(SUSPENDED, False, "Resumed", "")
    if draft.obstacle is not None:
        draft.tell(None, draft.obstacle.reason, draft.obstacle.message)
        draft.result.look_again(OBSTACLE_SECONDS)
        return
    read = _read(draft)
    if read is None:
        return
    if any(not attempts.is_over(one) for one in draft.seen.ray_jobs):
        draft.tell(None, "Stopping", "The RayJob of an earlier attempt is still there.")
        draft.result.look_again(WAITING_SECONDS)
        return
    number = draft.status.get("attemptCount", 0) + 1
    wait = _pause(draft)
    if wait > 0:
        draft.tell(
            None, "Restarting", f"Attempt {number} starts after a pause. {draft.attempts[-1]['message']}"
        )
        draft.result.look_again(wait)
        return
    draft.result.create = render(draft.seen.job, *read, number)
    draft.add_attempt(number, stamp(draft.seen.now))
    draft.tell(None, "Starting", f"Attempt {number} starts its pods and its driver.")
    draft.put(RUNNING, False, "NotTraining", "")


def _pause(draft: Draft) -> float:
    if not draft.attempts:
        return 0.0
    last = draft.attempts[-1]
    failures = 0
    for attempt in reversed(draft.attempts):
        if not Ending(attempt["cause"], "").counts:
            break
        failures += 1
    wait = float(attempts.pause(failures))
    life = (moment(last["ended"]) - moment(last["started"])).total_seconds()
    if failures == 0 and last["cause"] != "Suspended" and life < attempts.FIRST_PAUSE:
        wait = float(attempts.FIRST_PAUSE)
    return wait - (draft.seen.now - moment(last["ended"])).total_seconds()


def _read(draft: Draft) -> tuple[TrainingJob, RaygenRuntime] | None:
    """Job and runtime, read and allowed; None if they are not, which the conditions then say."""
    try:
        job = parse({key: draft.seen.job[key] for key in ("apiVersion", "kind")} | _as_file(draft.seen.job))
    except ValidationError as error:
        faults = " ".join(str(fault) for fault in error.faults)
        _refuse(draft, "Invalid", f"The job has faults. {faults}")
        return None
    name = job.spec.runtime_ref.name
    if draft.seen.runtime is None:
        said = f"There is no RaygenRuntime {name}. Have it made, or name another in spec.runtimeRef."
        _refuse(draft, "RuntimeNotFound", said)
        return None
    try:
        runtime = RaygenRuntime.model_validate(_as_file(draft.seen.runtime), by_alias=True, strict=False)
    except ValueError as error:
        said = f"The RaygenRuntime {name} has faults: {' '.join(str(error).split())} Have it mended."
        _refuse(draft, "RuntimeInvalid", said)
        return None
    size = len(travelling(draft.seen.job).encode())
    found = refusals(job, runtime, draft.metadata["namespace"], size)
    if found:
        _refuse(draft, "NotAllowed", " ".join(str(fault) for fault in found))
        return None
    return job, runtime


def _refuse(draft: Draft, reason: str, message: str) -> None:
    before = conditions.find(draft.conditions, VALIDATED)
    draft.put(VALIDATED, False, reason, message)
    draft.tell(None, reason, message)
    if before is None or before["message"] != message[: conditions.MAX_MESSAGE]:
        draft.result.notes.append(Note(reason, message, warning=True))


def _as_file(document: Object) -> Object:
    """An object as a person would write it."""
    metadata = {
        key: document["metadata"][key] for key in ("name", "namespace") if key in document["metadata"]
    }
    return {"metadata": metadata, "spec": document["spec"]}
