"""A fault of the operator's own: the job that it befalls says so, and all others are looked after as before."""

from __future__ import annotations

import copy
from datetime import UTC, datetime

from raygen.controller import conditions
from raygen.controller.conditions import SUCCEEDED
from raygen.controller.events import Note, Recorder
from raygen.controller.store import Object, key_of
from raygen.kube import TRAINING_JOBS, Connection
from raygen.operator.trainingjob.draft import own_part
from raygen.spec.names import OPERATOR_MANAGER

REASON = "OperatorFault"
MAX_TEXT = 200


def tell(connection: Connection, recorder: Recorder, job: Object, fault: Exception) -> None:
    """Says in the status of a job, and by an Event, that the operator cannot cope with it; once for the same fault.

    Args:
        connection: The API server.
        recorder: Writes the Event.
        job: As it is kept.
        fault: What was raised.

    Raises:
        ApiError: The status could not be written.
    """
    metadata = job["metadata"]
    status = copy.deepcopy(own_part(job["status"]))
    said = (
        f"The operator has a fault with this job ({type(fault).__name__}: {str(fault)[:MAX_TEXT]}) and tries again"
        " now and then; other jobs go on. Report it with the operator's log, or make the job anew."
    )
    told: list[Object] = status.setdefault("conditions", [])
    before = conditions.find(told, SUCCEEDED)
    if before is not None and (before["status"] != "Unknown" or before["message"] == said):
        return
    now, generation = datetime.now(UTC), metadata.get("generation", 0)
    conditions.put(told, SUCCEEDED, None, REASON, said, now=now, generation=generation)
    body = {
        "apiVersion": TRAINING_JOBS.api_version,
        "kind": TRAINING_JOBS.kind,
        "metadata": {key: metadata[key] for key in ("name", "namespace", "uid")},
        "status": status,
    }
    connection.apply(TRAINING_JOBS, *key_of(job), body, manager=OPERATOR_MANAGER, subresource="status")
    recorder.record(job, Note(REASON, said, warning=True))
