"""Conditions as the API conventions have them, and times as the API writes them."""

from __future__ import annotations

from datetime import UTC, datetime

from raygen.kube.bodies import Condition

SUCCEEDED = "Succeeded"
"""The summary: True and False are final, Unknown says what the job waits for."""
VALIDATED = "Validated"
RUNNING = "Running"
SUSPENDED = "Suspended"
MAX_MESSAGE = 4000


def find(conditions: list[Condition], kind: str) -> Condition | None:
    """The condition of a type."""
    return next((one for one in conditions if one["type"] == kind), None)


def put(
    conditions: list[Condition],
    kind: str,
    status: bool | None,
    reason: str,
    message: str,
    *,
    now: datetime,
    generation: int,
) -> None:
    """Sets a condition in place; its time moves only with its status. None is Unknown."""
    said = {True: "True", False: "False", None: "Unknown"}[status]
    before = find(conditions, kind)
    moved = before is None or before["status"] != said
    fresh: Condition = {
        "type": kind,
        "status": said,
        "observedGeneration": generation,
        "lastTransitionTime": stamp(now) if before is None or moved else before["lastTransitionTime"],
        "reason": reason,
        "message": message[:MAX_MESSAGE],
    }
    if before is None:
        conditions.append(fresh)
        conditions.sort(key=lambda one: (one["type"] != SUCCEEDED, one["type"]))
    else:
        before.update(fresh)


def stamp(time: datetime) -> str:
    """A time in the API's spelling, in whole seconds."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime:
    """The time that the API spells so."""
    return datetime.fromisoformat(text)
