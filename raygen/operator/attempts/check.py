"""Whether a job may run as it is now, and what it would run with."""

from __future__ import annotations

from dataclasses import dataclass

from raygen.controller import conditions
from raygen.controller.conditions import VALIDATED
from raygen.controller.events import Note
from raygen.errors import ValidationError
from raygen.kube.bodies import Body, Fields
from raygen.operator.attempts import stored_job
from raygen.operator.attempts.draft import Draft
from raygen.operator.attempts.model import Observed
from raygen.operator.rayjob.render import travelling
from raygen.spec import TrainingJob
from raygen.spec.runtime import RaygenRuntime, parse_runtime


@dataclass(frozen=True)
class Refusal:
    """Why a job may not run.

    Attributes:
        reason: One CamelCase word.
        message: What is wrong and what to do.
    """

    reason: str
    message: str


def examine(seen: Observed) -> tuple[TrainingJob, RaygenRuntime] | Refusal:
    """The job that asks for what an attempt has, and the runtime, read and allowed."""
    try:
        asked = seen.work.read({key: seen.job[key] for key in ("apiVersion", "kind")} | _as_file(seen.job))
    except ValidationError as error:
        faults = " ".join(str(fault) for fault in error.faults)
        return Refusal("Invalid", f"The {seen.work.noun} has faults. {faults}")
    name = stored_job.runtime_of(seen.job["spec"])
    if seen.runtime is None:
        said = f"There is no RaygenRuntime {name}. Have it made, or name another in spec.runtimeRef."
        return Refusal("RuntimeNotFound", said)
    try:
        runtime = parse_runtime(_as_file(seen.runtime))
    except ValidationError as error:
        faults = " ".join(str(fault) for fault in error.faults)
        return Refusal(
            "RuntimeInvalid", f"The RaygenRuntime {name} has faults that its administrator can fix. {faults}"
        )
    size = len(travelling(seen.job).encode())
    found = asked.refusals(runtime, seen.job["metadata"]["namespace"], size)
    if found:
        return Refusal("NotAllowed", " ".join(str(fault) for fault in found))
    return asked.job(runtime), runtime


def refuse(draft: Draft, refusal: Refusal) -> None:
    """Says that the job may not run as it is, by an Event too when that is new."""
    before = conditions.find(draft.conditions, VALIDATED)
    is_new = before is None or before["message"] != refusal.message[: conditions.MAX_MESSAGE]
    draft.put(VALIDATED, False, refusal.reason, refusal.message)
    if is_new:
        draft.result.notes.append(Note(refusal.reason, refusal.message, warning=True))


def _as_file(document: Body) -> Fields:
    """An object as a person would write it."""
    metadata = {key: value for key, value in document["metadata"].items() if key in ("name", "namespace")}
    return {"metadata": metadata, "spec": document["spec"]}
