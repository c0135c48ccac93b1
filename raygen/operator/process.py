"""The operator as a process: watches, workers, the Lease and the probes."""

from __future__ import annotations

import logging
import math
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from raygen.controller.election import Election
from raygen.controller.events import EventQueue, Recorder
from raygen.controller.health import Health
from raygen.controller.logs import about
from raygen.controller.queue import Key, WorkQueue
from raygen.controller.reflector import SILENT_SECONDS, WATCH_SECONDS, Listener, Reflector
from raygen.controller.store import place_of
from raygen.kube import ApiError, Connection
from raygen.kube.bodies import Body, Fields
from raygen.operator import internal_error, traces
from raygen.operator.kind import Kind, Tools, Watch, stores_of
from raygen.operator.metrics import Metrics

log = logging.getLogger(__name__)

SYNC_SECONDS = 60.0
"""In which all watches must have begun."""
STUCK_SECONDS = 120.0
"""For which a key may be worked on, or all may wait with none of them done, before the operator counts as stuck."""
LEAVE_SECONDS = 8.0
"""In which workers may end what they have begun before the Lease is given back; a pod has 30 s for its end."""
EVENT_SECONDS = 2.0
"""In which Events that wait then may still be written."""


@dataclass(frozen=True)
class Settings:
    """How the operator runs.

    Attributes:
        namespaces: Those whose objects are its own; none: all.
        lease_namespace: Where the Lease is; "": there is no election.
        lease_name: The Lease. Operators that share one do the same work, one at a time.
        workers: Objects that are worked on at the same time.
        health_port: Port of the probes; 0: a free one.
        watch_seconds: How long a watch lasts.
        silent_seconds: After how much silence a watch counts as dead.
    """

    namespaces: tuple[str, ...] = ()
    lease_namespace: str = ""
    lease_name: str = "raygen-operator"
    workers: int = 4
    health_port: int = 8081
    watch_seconds: float = WATCH_SECONDS
    silent_seconds: float = SILENT_SECONDS


class Operator:
    """The parts of an operator, and how they begin and end together.

    Args:
        connection: The API server.
        kinds: That it looks after.
        settings: How it runs.
        connect: Makes another connection, for the Lease; needed where there is one.
    """

    def __init__(
        self,
        connection: Connection,
        kinds: Sequence[Kind],
        settings: Settings,
        connect: Callable[[], Connection] | None = None,
    ) -> None:
        self.settings = settings
        self.kinds = {kind.name: kind for kind in kinds}
        watches = tuple(dict.fromkeys(watch for kind in kinds for watch in kind.watches))
        self.queue, self.stores = WorkQueue(), stores_of(watches)
        identity = f"{os.environ.get('POD_NAME') or socket.gethostname()}-{uuid.uuid4().hex[:8]}"
        self.metrics = Metrics(kinds)
        connection.on_answer = self.metrics.answered
        self.traces = traces.from_environment(kinds)
        self._events = EventQueue(Recorder(connection, identity))
        self._tools = Tools(connection, self.stores, self.queue, self._events)
        self.reconcilers = {kind.name: kind.reconciler(self._tools_of(kind)) for kind in kinds}
        self.reflectors = [
            self._reflector(watch, place) for watch in watches for place in self._places(watch)
        ]
        self.election: Election | None = None
        if settings.lease_namespace:
            if connect is None:
                raise ValueError("a Lease needs a connection of its own")
            own = connect()
            own.on_answer = self.metrics.answered
            election = self.election = Election(own, settings.lease_namespace, settings.lease_name, identity)
            # Whatever a worker is at when the Lease is lost, its next write is not sent.
            connection.may_write = lambda: election.holds
        self._measure()
        self.health = Health(
            settings.health_port,
            {"watches": self._deaf, "queue": self._stuck},
            {"synced": self._unsynced},
            self.metrics.text,
        )
        self._workers = [
            threading.Thread(target=self._work, name=f"worker-{number}", daemon=True)
            for number in range(settings.workers)
        ]
        self._leads_since = math.inf
        self._ended = threading.Event()
        self._failed = False

    def run(self) -> int:
        """Works until `stop`; the exit code."""
        for reflector in self.reflectors:
            reflector.start()
        self.health.start()
        try:
            if self.election is not None:
                if not self.election.wait():
                    return 0
                threading.Thread(
                    target=self.election.hold, args=(self._lose,), name="lease", daemon=True
                ).start()
            # What was seen while another led was seen too, so its list is as good as a new one.
            if not self._synced():
                return 1
            if self._ended.is_set():
                return 1 if self._failed else 0
            self._leads_since = time.monotonic()
            counts = ", ".join(f"{len(self.stores[kind.own])} {name}s" for name, kind in self.kinds.items())
            log.info("ready: %s", counts)
            self._events.start()
            for worker in self._workers:
                worker.start()
            self._ended.wait()
            return 1 if self._failed else 0
        finally:
            self._leave()

    def _places(self, watch: Watch) -> tuple[str, ...]:
        """The namespaces in which a resource is watched; "" for all of it."""
        return (self.settings.namespaces if watch.resource.namespaced else ()) or ("",)

    def _reflector(self, watch: Watch, namespace: str) -> Reflector:
        """Keeps the store of a resource, for all kinds that watch it."""
        made = (reconciler.listeners() for reconciler in self.reconcilers.values())
        listeners = [every[watch] for every in made if watch in every]
        return Reflector(
            self._tools.connection,
            watch.resource,
            self.stores[watch],
            _each(listeners),
            namespace=namespace,
            trim=watch.keep,
            query=watch.query,
            watch_seconds=self.settings.watch_seconds,
            silent_seconds=self.settings.silent_seconds,
        )

    def _tools_of(self, kind: Kind) -> Tools:
        """What is lent to whoever looks after a kind."""
        return replace(self._tools, written=partial(self._written, kind.name))

    def _written(self, kind: str, item: Body, status: Fields, now: datetime) -> None:
        with _beside(item, "figures"):
            self.metrics.told(kind, item, status, now)
        if self.traces is not None:
            with _beside(item, "trace"):
                self.traces.told(kind, item, status)

    def stop(self) -> None:
        """Ends `run`; what is being written is written to its end or found half-way by the next operator."""
        if self.election is not None and not self.leads:
            self.election.stop()
        self._ended.set()

    @property
    def leads(self) -> bool:
        """Whether jobs are worked on."""
        return self._leads_since < math.inf

    def _measure(self) -> None:
        """Figures that are read when they are asked for. Those who do not lead have a queue that nobody works on, and
        jobs that another looks after: they say nothing of them.
        """
        metrics = self.metrics
        metrics.gauge("raygen_leader", "Whether this operator leads: 1 or 0.", lambda: self._holds)
        metrics.gauge(
            "raygen_queue_depth", "Jobs that are due.", lambda: self.queue.depth if self._holds else 0
        )
        metrics.gauge(
            "raygen_queue_age_seconds",
            "How long the oldest of them has waited or been worked on.",
            self._waited,
        )
        metrics.gauges(
            "raygen_watch_silence_seconds",
            "How long ago the watches of a kind heard the server; the most silent one.",
            "kind",
            dict.fromkeys(one.resource.plural for one in self.reflectors),
            lambda kind: max(one.silence for one in self.reflectors if one.resource.plural == kind),
        )
        for kind in self.kinds.values():
            if kind.fleet is not None:
                metrics.add(kind.fleet(self.stores[kind.own], lambda: self._holds))

    @property
    def _holds(self) -> bool:
        """Whether this operator leads, and no other can."""
        return self.leads and (self.election is None or self.election.holds)

    def _waited(self) -> float:
        """In seconds, from when this operator began to lead on."""
        return min(self.queue.age, time.monotonic() - self._leads_since) if self._holds else 0.0

    def _synced(self) -> bool:
        """Whether all watches have begun, or nobody waits for them any more."""
        end = time.monotonic() + SYNC_SECONDS
        for reflector in self.reflectors:
            while not reflector.wait(0.1) and not self._ended.is_set():
                if time.monotonic() > end:
                    self._tell_why()
                    return False
        return True

    def _leave(self) -> None:
        self.queue.close()
        for reflector in self.reflectors:
            reflector.stop()
        if self.election is None:
            self._events.close(EVENT_SECONDS)
        else:
            # Held until all have ended. What still hangs then ends with this process, and the Lease runs out after it.
            has_ended = self._join() and self._events.close(EVENT_SECONDS)
            self.election.stop()
            if has_ended and not self._failed:
                self.election.release()
        if self.traces is not None:
            self.traces.close()
        self.health.stop()

    def _join(self) -> bool:
        """Whether the workers have ended, in time and before the Lease was lost."""
        end = time.monotonic() + LEAVE_SECONDS
        for worker in self._workers if self.leads else ():
            while worker.is_alive():
                if self._failed or time.monotonic() > end:
                    return False
                worker.join(0.1)
        return True

    def _lose(self) -> None:
        self._failed = True
        self._ended.set()

    def _work(self) -> None:
        while (key := self.queue.take()) is not None:
            try:
                with about(*key.place, self._attempt(key), kind=key.kind):
                    self._reconcile(key)
            finally:
                self.queue.done(key)

    def _known(self, key: Key) -> Body | None:
        """What is stored of an object."""
        return self.stores[self.kinds[key.kind].own].get(key.place)

    def _attempt(self, key: Key) -> int | None:
        """Number of an object's newest attempt, for the log."""
        known = self._known(key)
        if known is not None:
            with _beside(known, "attempt"):
                return self.kinds[key.kind].attempt_of(known)
        return None

    def _reconcile(self, key: Key) -> None:
        try:
            with self.metrics.look(key.kind):
                self.reconcilers[key.kind].reconcile(key)
        except ApiError as error:
            self.metrics.failed(key.kind, error)
            pause = self.queue.retry(key, at_least=error.retry_after or 0.0)
            log.warning("%s: %s; again in %.1f s", key, error, pause)
        except Exception as fault:
            # One object that nobody foresaw must not keep the others from being looked after.
            self.metrics.failed(key.kind, fault)
            pause = self.queue.retry(key)
            log.exception("%s: an internal error of the operator; again in %.1f s", key, pause)
            self._tell(key, fault)
        else:
            self.queue.forget(key)

    def _tell(self, key: Key, fault: Exception) -> None:
        known = self._known(key)
        if known is None:
            return
        try:
            internal_error.tell(self._tools, self.kinds[key.kind], known, fault)
        except Exception as error:  # noqa: BLE001 (an object so odd that nothing can be said of it)
            log.warning("%s: its internal error cannot be written: %s", key, error)

    def _deaf(self) -> str:
        """A watch that only fails is not deaf: a new process would not bring the server back."""
        limit = max(2 * self.settings.silent_seconds, STUCK_SECONDS)
        dead = [one.resource.plural for one in self.reflectors if one.stillness > limit]
        return f"the watch of {', '.join(dead)} has ended or hangs" if dead else ""

    def _stuck(self) -> str:
        if not self.leads:
            return ""
        still = min(self.queue.stillness, time.monotonic() - self._leads_since)
        return f"no job has been done for {still:.0f} s" if still > STUCK_SECONDS else ""

    def _unsynced(self) -> str:
        missing = [one.resource.plural for one in self.reflectors if not one.wait(0)]
        return f"waits for {', '.join(missing)}" if missing else ""

    def _tell_why(self) -> None:
        for reflector in self.reflectors:
            if not reflector.wait(0):
                log.error(
                    "%s cannot be listed: %s\nInstall the definitions (manifests/crd, and KubeRay), and check the"
                    " operator's role.",
                    reflector.resource.plural,
                    reflector.failure or "no answer",
                )


@contextmanager
def _beside(item: Body, what: str) -> Iterator[None]:
    """What is told to others must not keep an object from being looked after."""
    try:
        yield
    except Exception:
        log.exception("no %s of %s/%s", what, *place_of(item))


def _each(listeners: Sequence[Listener]) -> Listener:
    """All of them, in order."""
    if len(listeners) == 1:
        return listeners[0]

    def listen(before: Body | None, after: Body | None) -> None:
        for listener in listeners:
            listener(before, after)

    return listen
