"""The operator as a process: watches, workers, the Lease and the probes."""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from raygen.kube import PODS, RAY_JOBS, RUNTIMES, TRAINING_JOBS, ApiError, Connection, Resource
from raygen.operator import mishap, trim
from raygen.operator.controller import Controller, Stores
from raygen.operator.election import Election
from raygen.operator.events import Recorder
from raygen.operator.health import Health
from raygen.operator.metrics import Metrics
from raygen.operator.queue import Key, WorkQueue
from raygen.operator.reflector import SILENT_SECONDS, WATCH_SECONDS, Listener, Reflector
from raygen.operator.store import Object, Store
from raygen.spec.names import JOB_LABEL

log = logging.getLogger(__name__)

SYNC_SECONDS = 60.0
"""In which all watches must have begun."""
STUCK_SECONDS = 120.0
"""For which a key may be worked on or wait before the operator counts as stuck."""
LEASE = "raygen-operator"


@dataclass(frozen=True)
class Settings:
    """How the operator runs.

    Attributes:
        namespace: The only one whose jobs are its own; "": all.
        lease_namespace: Where the Lease is; "": there is no election.
        workers: Jobs that are worked on at the same time.
        health_port: Port of the probes; 0: a free one.
        watch_seconds: How long a watch lasts.
        silent_seconds: After how much silence a watch counts as dead.
    """

    namespace: str = ""
    lease_namespace: str = ""
    workers: int = 4
    health_port: int = 8081
    watch_seconds: float = WATCH_SECONDS
    silent_seconds: float = SILENT_SECONDS


class Operator:
    """The parts of an operator, and how they begin and end together.

    Args:
        connection: The API server.
        settings: How it runs.
        connect: Makes another connection, for the Lease.
    """

    def __init__(
        self, connection: Connection, settings: Settings, connect: Callable[[], Connection] | None = None
    ) -> None:
        self.settings = settings
        self.queue, self.stores = WorkQueue(), Stores()
        identity = f"{os.environ.get('POD_NAME') or socket.gethostname()}-{uuid.uuid4().hex[:8]}"
        self._connection, self._recorder = connection, Recorder(connection, identity)
        self.controller = Controller(connection, self.stores, self.queue, self._recorder)
        listeners = self.controller.listeners()
        labelled = {"labelSelector": JOB_LABEL}
        kinds: tuple[tuple[Resource, Store, Listener, Callable[[Object], Object], dict[str, str]], ...] = (
            (RUNTIMES, self.stores.runtimes, listeners["runtimes"], trim.runtime, {}),
            (TRAINING_JOBS, self.stores.jobs, listeners["jobs"], trim.training_job, {}),
            (RAY_JOBS, self.stores.ray_jobs, listeners["ray_jobs"], trim.ray_job, labelled),
            (PODS, self.stores.pods, listeners["pods"], trim.pod, labelled),
        )
        self.reflectors = [
            Reflector(
                connection,
                resource,
                store,
                listener,
                namespace=settings.namespace if resource.namespaced else "",
                trim=keep,
                query=query,
                watch_seconds=settings.watch_seconds,
                silent_seconds=settings.silent_seconds,
            )
            for resource, store, listener, keep, query in kinds
        ]
        self.election = (
            Election(connect() if connect else connection, settings.lease_namespace, LEASE, identity)
            if settings.lease_namespace
            else None
        )
        self.metrics = Metrics()
        self.metrics.gauge("raygen_queue_depth", "Jobs that are due.", lambda: self.queue.depth)
        self.metrics.gauge(
            "raygen_queue_age_seconds", "How long the oldest of them has waited.", lambda: self.queue.age
        )
        self.metrics.gauge("raygen_jobs", "Jobs that are known.", lambda: len(self.stores.jobs))
        self.metrics.gauge(
            "raygen_watch_silence_seconds",
            "How long ago the most silent watch heard the server.",
            lambda: max(one.silence for one in self.reflectors),
        )
        self.health = Health(
            settings.health_port,
            {"watches": self._deaf, "queue": self._stuck},
            {"synced": self._unsynced},
            self.metrics.text,
        )
        self._leads = threading.Event()
        self._ended = threading.Event()
        self._failed = False

    def run(self) -> int:
        """Works until `stop`; the exit code."""
        self.health.start()
        for reflector in self.reflectors:
            reflector.start()
        try:
            if self.election is not None and not self.election.wait():
                return 0
            # What was seen while another led was seen too, so its list is as good as a new one.
            if not all(reflector.wait(SYNC_SECONDS) for reflector in self.reflectors):
                self._tell_why()
                return 1
            self._leads.set()
            log.info("ready: %d jobs", len(self.stores.jobs))
            for number in range(self.settings.workers):
                threading.Thread(target=self._work, name=f"worker-{number}", daemon=True).start()
            if self.election is not None:
                threading.Thread(
                    target=self.election.hold, args=(self._lose,), name="lease", daemon=True
                ).start()
            self._ended.wait()
            return 1 if self._failed else 0
        finally:
            self.queue.close()
            for reflector in self.reflectors:
                reflector.stop()
            if self.election is not None:
                self.election.stop()
                if not self._failed:
                    self.election.release()
            self.health.stop()

    def stop(self) -> None:
        """Ends `run`; what is being written is written to its end or found half-way by the next operator."""
        if self.election is not None:
            self.election.stop()
        self._ended.set()

    def _lose(self) -> None:
        self._failed = True
        self._ended.set()

    def _work(self) -> None:
        while (key := self.queue.take()) is not None:
            try:
                self._reconcile(key)
            finally:
                self.queue.done(key)

    def _reconcile(self, key: Key) -> None:
        try:
            with self.metrics.reconciles.time():
                self.controller.reconcile(key)
        except ApiError as error:
            self.metrics.errors.labels(error.reason or str(error.status)).inc()
            pause = self.queue.retry(key, at_least=error.retry_after or 0.0)
            log.warning("%s/%s: %s; again in %.1f s", *key, error, pause)
        except Exception as fault:
            # One job that nobody foresaw must not keep the others from being looked after.
            self.metrics.errors.labels("fault").inc()
            pause = self.queue.retry(key)
            log.exception("%s/%s: a fault of the operator's; again in %.1f s", *key, pause)
            self._tell(key, fault)
        else:
            self.queue.forget(key)

    def _tell(self, key: Key, fault: Exception) -> None:
        known = self.stores.jobs.get(key)
        if known is None:
            return
        try:
            mishap.tell(self._connection, self._recorder, known, fault)
        except Exception as error:  # noqa: BLE001 (a job so odd that nothing can be said of it)
            log.warning("%s/%s: its fault cannot be told: %s", *key, error)

    def _deaf(self) -> str:
        limit = 2 * self.settings.silent_seconds
        deaf = [one.resource.plural for one in self.reflectors if one.silence > limit]
        return f"nothing was heard of {', '.join(deaf)} for {limit:.0f} s" if deaf else ""

    def _stuck(self) -> str:
        age = self.queue.age if self._leads.is_set() else 0.0
        return f"a job has waited for {age:.0f} s" if age > STUCK_SECONDS else ""

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
