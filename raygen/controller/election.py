"""One operator at a time: a Lease that its holder renews (coordination.k8s.io/v1).

Times of other processes are never compared with ours: a Lease is free once it has not changed for as long as it lasts,
by our own clock, which only grows. Whoever cannot renew in time ends, before another may begin: ours counts from before
the request that renewed it, for that is the earliest moment at which others may have seen the change.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from raygen.kube import LEASES, ApiError, Connection
from raygen.kube.bodies import Fields

log = logging.getLogger(__name__)

LEASE_SECONDS, RENEW_SECONDS, RETRY_SECONDS = 15.0, 10.0, 2.0
"""As controller-runtime has them: a Lease lasts 15 s, whoever could not renew it for 10 s ends, all try every 2 s."""
REQUEST_SECONDS = 5.0
"""In which an answer about the Lease must begin."""


class Election:
    """Waits for the Lease, then holds it.

    Args:
        connection: One of its own, so that no other request can keep it waiting, which waits REQUEST_SECONDS.
        namespace: Of the Lease.
        name: Of the Lease.
        identity: This process.
        clock: Seconds that only grow.
        pause: Waits for seconds; whether to end. Default: until `stop`.
    """

    def __init__(
        self,
        connection: Connection,
        namespace: str,
        name: str,
        identity: str,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], bool] | None = None,
    ) -> None:
        self._connection, self._namespace, self._name = connection, namespace, name
        self._identity, self._clock = identity, clock
        self._seen: tuple[str, float] = ("", 0.0)
        self._stopped, self._lost = threading.Event(), threading.Event()
        self._losing = threading.Lock()
        self._pause = pause or self._stopped.wait
        self._until = -math.inf

    @property
    def holds(self) -> bool:
        """Whether the Lease is ours, and nobody else can have it at this moment."""
        return not self._lost.is_set() and self._clock() < self._until

    def wait(self) -> bool:
        """Returns once this process holds the Lease; False if it was told to stop."""
        while not self._stopped.is_set():
            asked = self._clock()
            if self._ask():
                self._until = asked + RENEW_SECONDS
                # One that was answered too late may be another's by now.
                if self.holds:
                    return True
            self._pause(RETRY_SECONDS)
        return False

    def hold(self, lost: Callable[[], None]) -> None:
        """Renews the Lease from `wait` until `stop`; calls `lost` when that did not work in time.

        It is called at that time, even while a request waits for its answer.
        """
        threading.Thread(target=self._keep, args=(lost,), name="lease-renewal", daemon=True).start()
        while not self._stopped.is_set():
            left = self._until - self._clock()
            if left <= 0:
                self._lose(lost)
                return
            self._pause(left)

    def _keep(self, lost: Callable[[], None]) -> None:
        while not self._pause(RETRY_SECONDS):
            asked = self._clock()
            # What was asked for too late, or is answered too late, renews nothing.
            held = self._ask() if self.holds else False
            if held is False or not self.holds:
                self._lose(lost)
                return
            if held:
                self._until = asked + RENEW_SECONDS

    def _lose(self, lost: Callable[[], None]) -> None:
        """Both who renews and who watches the time may find it."""
        with self._losing:
            if self._stopped.is_set():
                return
            self._lost.set()
            self._stopped.set()
        log.error("the Lease %s is lost", self._name)
        lost()

    def _ask(self) -> bool | None:
        """Whether the Lease is ours now; None if nobody says."""
        try:
            return self._try()
        except Exception as error:  # noqa: BLE001 (whatever it is, the time runs out)
            said = error.what if isinstance(error, ApiError) else f"{type(error).__name__}: {error}"
            log.warning("the Lease %s cannot be acquired: %s", self._name, said)
            return None

    def stop(self) -> None:
        """Ends `wait` and `hold`."""
        self._stopped.set()

    def release(self) -> None:
        """Frees the Lease, so that another need not wait until it has run out."""
        try:
            there = self._connection.get(LEASES, self._namespace, self._name)
            if there["spec"].get("holderIdentity") == self._identity:
                self._put(there, {"holderIdentity": "", "leaseDurationSeconds": 1})
        except ApiError as error:
            log.info("the Lease %s could not be released: %s", self._name, error.what)

    def _try(self) -> bool:
        """Whether the Lease is ours now."""
        try:
            there = self._connection.get(LEASES, self._namespace, self._name)
        except ApiError as error:
            if not error.is_missing:
                raise
            return self._make()
        spec = there["spec"]
        holder = spec.get("holderIdentity") or ""
        if holder not in ("", self._identity) and not self._has_run_out(there):
            return False
        changes = 0 if holder == self._identity else 1
        now = _micro()
        fresh = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(LEASE_SECONDS),
            "renewTime": now,
            "acquireTime": spec.get("acquireTime", now) if not changes else now,
            "leaseTransitions": spec.get("leaseTransitions", 0) + changes,
        }
        try:
            self._put(there, fresh)
        except ApiError as error:
            if error.status == 409:
                return False
            raise
        return True

    def _has_run_out(self, lease: Fields) -> bool:
        version = lease["metadata"]["resourceVersion"]
        if version != self._seen[0]:
            self._seen = (version, self._clock())
        lasts = float(lease["spec"].get("leaseDurationSeconds") or LEASE_SECONDS)
        return self._clock() - self._seen[1] > lasts

    def _make(self) -> bool:
        now = _micro()
        body = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": int(LEASE_SECONDS),
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": 0,
            },
        }
        try:
            self._connection.create(LEASES, self._namespace, body)
        except ApiError as error:
            if error.already_exists:
                return False
            raise
        return True

    def _put(self, there: Fields, spec: Fields) -> None:
        """Replaces the spec of the very Lease that was read."""
        metadata = {key: there["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion")}
        body = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": spec}
        self._connection.request("PUT", LEASES.path(self._namespace, self._name), body=body)


def _micro() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
