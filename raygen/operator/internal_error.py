"""An internal error of the operator: the object whose look raised it says so, and all others are looked after as before."""

from __future__ import annotations

import copy
from datetime import UTC, datetime

from raygen.controller import conditions
from raygen.controller.conditions import SUCCEEDED
from raygen.controller.events import Note
from raygen.controller.store import place_of
from raygen.kube.bodies import Body, Condition
from raygen.operator.kind import Kind, Tools
from raygen.spec.names import OPERATOR_MANAGER

REASON = "OperatorFault"
MAX_TEXT = 200


def tell(tools: Tools, kind: Kind, item: Body, fault: Exception) -> None:
    """Says in the status of an object, and by an Event, that the operator cannot cope with it; once for the same error.

    Args:
        tools: Writes both.
        kind: Of the object.
        item: As it is kept.
        fault: What was raised.

    Raises:
        ApiError: The status could not be written.
    """
    resource, metadata = kind.own.resource, item["metadata"]
    status = copy.deepcopy(kind.own_status(item["status"]))
    said = (
        f"Internal error of the operator ({type(fault).__name__}: {str(fault)[:MAX_TEXT]}). It tries again"
        f" now and then; other {kind.noun}s are looked after. Report it with the operator's log, or recreate the {kind.noun}."
    )
    told: list[Condition] = status.setdefault("conditions", [])
    before = conditions.find(told, SUCCEEDED)
    if before is not None and (before["status"] != "Unknown" or before["message"] == said):
        return
    now, generation = datetime.now(UTC), metadata.get("generation", 0)
    conditions.put(told, SUCCEEDED, None, REASON, said, now=now, generation=generation)
    body = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {key: metadata[key] for key in ("name", "namespace", "uid")},
        "status": status,
    }
    tools.connection.apply(resource, *place_of(item), body, manager=OPERATOR_MANAGER, subresource="status")
    tools.recorder.record(resource, item, Note(REASON, said, warning=True))
