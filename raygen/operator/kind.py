"""What the operator has to know of a kind: what it watches for it, who looks after it, what of its status it writes, and what
others are told of that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from prometheus_client.registry import Collector, CollectorRegistry

from raygen.controller.events import EventSink
from raygen.controller.queue import Key, WorkQueue
from raygen.controller.reflector import Listener
from raygen.controller.store import Index, Store
from raygen.kube import Connection, Resource
from raygen.kube.bodies import Body, Fields

Written = Callable[[Body, Fields, datetime], None]
"""Takes each status that was written: the object as it was seen before, the operator's part of its status, and the time."""


@dataclass(frozen=True, eq=False)
class Watch:
    """A resource that is watched. Kinds that name the same Watch share its requests and its store.

    Attributes:
        resource: The resource.
        keep: Makes of an object what is stored of it.
        indexes: For each further index its name and the values that an object is found by.
        labels: Label selector; "": all objects.
    """

    resource: Resource
    keep: Callable[[Fields], Body]
    indexes: Mapping[str, Index] = field(default_factory=dict)
    labels: str = ""

    @property
    def query(self) -> dict[str, str]:
        """Parameters of its requests."""
        return {"labelSelector": self.labels} if self.labels else {}


@dataclass(frozen=True)
class Tools:
    """What the operator lends to whoever looks after a kind.

    Attributes:
        connection: The API server.
        stores: What is known, by Watch; takes what is written at once, so that the next look knows of it.
        queue: Is asked to look again.
        recorder: Takes Events, after the status that they tell of.
        written: Takes each status that was written.
    """

    connection: Connection
    stores: Mapping[Watch, Store]
    queue: WorkQueue
    recorder: EventSink
    written: Written = lambda *_: None


class Reconciler(Protocol):
    """Brings the objects of one kind to where they should be."""

    def reconcile(self, key: Key) -> None:
        """One look at one object.

        Raises:
            ApiError: Something could not be written; the key comes again after a pause.
        """
        ...

    def listeners(self) -> Mapping[Watch, Listener]:
        """For each Watch of the kind what takes its changes, and puts keys into the queue."""
        ...


@dataclass(frozen=True)
class Span:
    """One stretch of an object's way from its making to its end.

    Attributes:
        path: Its own name last, after those of the spans that it is part of.
        began: Its beginning.
        ended: Its end.
        facts: What else is known of it.
        fault: What went wrong; "" if nothing did.
    """

    path: tuple[str, ...]
    began: datetime
    ended: datetime
    facts: Mapping[str, str | int] = field(default_factory=dict)
    fault: str = ""


class Figures(Protocol):
    """Figures of what the statuses of a kind say."""

    def told(self, item: Body, status: Fields, now: datetime) -> None:
        """Takes a status that was written: the object before, the operator's part of its status, and the time."""
        ...


class Trace(Protocol):
    """The ways of a kind's objects."""

    def told(self, item: Body, status: Fields) -> Iterable[Span]:
        """Takes a status that was written, with the object before; the spans that end with it."""
        ...


@dataclass(frozen=True)
class Kind:
    """A kind that the operator looks after.

    Attributes:
        own: Its own objects; what is stored of them has `metadata` and `status`.
        watches: All that is watched for it, its own objects included.
        reconciler: Makes what looks after it.
        own_status: The part of a status that the operator applies; an internal error is told in its `conditions`.
        noun: What its users call one of its objects.
        attempt_of: Number of an object's newest attempt, for the log; None where there is none.
        fleet: Makes figures of all its objects together, if there are any, from their store and whether this operator leads.
        figures: Makes figures of what its statuses say, if there are any, and puts them where they are found.
        trace: Makes what follows the ways of its objects, if there are traces of them.
    """

    own: Watch
    watches: tuple[Watch, ...]
    reconciler: Callable[[Tools], Reconciler]
    own_status: Callable[[Fields], Fields]
    noun: str = "object"
    attempt_of: Callable[[Body], int | None] = lambda _: None
    fleet: Callable[[Store, Callable[[], bool]], Collector] | None = None
    figures: Callable[[CollectorRegistry], Figures] | None = None
    trace: Callable[[], Trace] | None = None

    @property
    def name(self) -> str:
        """As keys and objects have it."""
        return self.own.resource.kind


def stores_of(watches: tuple[Watch, ...]) -> dict[Watch, Store]:
    """An empty store for each Watch."""
    return {watch: Store(watch.indexes) for watch in watches}
