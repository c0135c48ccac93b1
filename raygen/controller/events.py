"""Events: one object for what happened again and again, with a count (events.k8s.io/v1)."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from raygen.controller.store import place_of
from raygen.kube import EVENTS, EVENTS_WRITE, ApiError, Connection, Resource
from raygen.kube.bodies import Body, Fields
from raygen.kube.connection import MERGE
from raygen.spec.names import OPERATOR_MANAGER

log = logging.getLogger(__name__)

MAX_NOTE = 1024
MAX_WAITING = 10_000
"""Events that wait to be written; what comes after them is lost."""


@dataclass(frozen=True)
class Note:
    """An Event to be written once what it tells of is in the status."""

    reason: str
    message: str
    warning: bool = False


class EventSink(Protocol):
    """Takes Events."""

    def record(self, resource: Resource, item: Body, note: Note) -> None:
        """Takes an Event about an object of a resource."""
        ...


class Recorder:
    """Writes Events. One that cannot be written is logged, and no more: conditions say the same.

    Args:
        connection: The API server.
        instance: This process, as the name of its pod.
        clock: The time.
    """

    def __init__(
        self,
        connection: Connection,
        instance: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._connection, self._instance, self._clock = connection, instance, clock

    def record(self, resource: Resource, item: Body, note: Note) -> None:
        """Writes an Event about an object of a resource, or counts one more of the same."""
        namespace, name = item["metadata"]["namespace"], _name(item, note)
        about = f"{resource.kind} {namespace}/{item['metadata']['name']}"
        now = self._clock().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        try:
            self._connection.create(EVENTS_WRITE, namespace, self._event(resource, item, note, name, now))
        except ApiError as error:
            if not error.already_exists:
                log.warning("an Event about %s is lost: %s", about, error.what)
                return
            try:
                self._count(namespace, name, now)
            except ApiError as again:
                log.warning("an Event about %s is not counted: %s", about, again.what)

    def _event(self, resource: Resource, item: Body, note: Note, name: str, now: str) -> Fields:
        metadata = item["metadata"]
        return {
            "apiVersion": EVENTS_WRITE.api_version,
            "kind": "Event",
            "metadata": {"name": name, "namespace": metadata["namespace"]},
            "eventTime": now,
            "reportingController": OPERATOR_MANAGER,
            "reportingInstance": self._instance[:128],
            "action": "Reconcile",
            "reason": note.reason,
            "type": "Warning" if note.warning else "Normal",
            "note": note.message if len(note.message) <= MAX_NOTE else note.message[: MAX_NOTE - 1] + "…",
            "regarding": {
                "apiVersion": resource.api_version,
                "kind": resource.kind,
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
            },
        }

    def _count(self, namespace: str, name: str, now: str) -> None:
        there = self._connection.get(EVENTS, namespace, name)
        count = ((there.get("series") or {}).get("count") or 1) + 1
        self._connection.request(
            "PATCH",
            EVENTS_WRITE.path(namespace, name),
            body={"series": {"count": count, "lastObservedTime": now}},
            content_type=MERGE,
        )


def _name(item: Body, note: Note) -> str:
    """The same for the same words about the same object."""
    text = f"{item['metadata']['uid']} {note.reason} {note.message}"
    return f"{item['metadata']['name']}.{hashlib.sha256(text.encode()).hexdigest()[:16]}"


class EventQueue:
    """Hands Events to a sink on a thread of its own, in their order, so that no look at an object waits for them.

    An Event is put here after the status that it tells of was written, so it never comes before that. Those that wait when the
    process is killed are lost; conditions say the same.

    Args:
        sink: Writes them.
    """

    def __init__(self, sink: EventSink) -> None:
        self._sink = sink
        self._waiting: deque[tuple[Resource, Body, Note]] = deque()
        self._changed = threading.Condition()
        self._closing = self._given_up = False
        self._thread = threading.Thread(target=self._work, name="events", daemon=True)

    def start(self) -> None:
        """Begins to write."""
        self._thread.start()

    def record(self, resource: Resource, item: Body, note: Note) -> None:
        """Has an Event written soon; does not wait for that."""
        with self._changed:
            if len(self._waiting) < MAX_WAITING:
                self._waiting.append((resource, item, note))
                self._changed.notify()
                return
        log.warning("an Event about %s %s is lost: too many wait", resource.kind, "/".join(place_of(item)))

    def close(self, seconds: float) -> bool:
        """Whether all that wait were written within `seconds`; those that were not are lost."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(seconds)
        self._given_up = True
        return not self._thread.is_alive()

    def _next(self) -> tuple[Resource, Body, Note] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            return self._waiting.popleft() if self._waiting and not self._given_up else None

    def _work(self) -> None:
        while (event := self._next()) is not None:
            try:
                self._sink.record(*event)
            except Exception:
                # One Event must not keep the others from being written.
                log.exception("an Event is lost")
