"""What the operator counts of itself, for Prometheus, and where the kinds put what they count.

Every label has few values, all of them known beforehand; what is not among them counts as `Other`.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from http import HTTPStatus

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.registry import Collector

from raygen import __version__
from raygen.kube import EVENTS, LEASES, ApiError
from raygen.kube.bodies import Body, Fields
from raygen.operator.kind import Kind

BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
OTHER = "Other"
FAULT = "fault"
"""A failure that is one of the operator's own."""
NO_ANSWER = "none"
"""Instead of a status, where the API server gave none."""
ERRORS = (
    FAULT,
    "AlreadyExists",
    "BadRequest",
    "Conflict",
    "Forbidden",
    "Gone",
    "InternalError",
    "Invalid",
    "NoAnswer",
    "NotFound",
    "ServiceUnavailable",
    "Timeout",
    "ServerTimeout",
    "TooManyRequests",
    "Unauthorized",
)
"""The API server's words for what it refuses, and two of our own."""
CODES = frozenset(map(int, HTTPStatus))
VERBS = {"POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}


class Metrics:
    """The operator's own figures; each operator has a registry of its own.

    Args:
        kinds: That it looks after.

    Attributes:
        reconciles: Seconds of each look at an object, by kind (its plural).
        errors: Looks that failed, by kind and by what the API server said; `fault` is one of the operator's own.
        requests: Requests to the API server, by verb, kind (its plural) and status; `none`: no answer came.
    """

    def __init__(self, kinds: Sequence[Kind]) -> None:
        registry = self._registry = CollectorRegistry()
        self._plurals = {kind.name: kind.own.resource.plural for kind in kinds}
        watched = {watch.resource.plural for kind in kinds for watch in kind.watches}
        self._resources = watched | {EVENTS.plural, LEASES.plural}
        self.reconciles = Histogram(
            "raygen_reconcile_seconds",
            "Time of one look at an object.",
            ["kind"],
            buckets=BUCKETS,
            registry=registry,
        )
        self.errors = Counter(
            "raygen_reconcile_errors",
            "Looks at an object that failed.",
            ["kind", "reason"],
            registry=registry,
        )
        self.requests = Counter(
            "raygen_api_requests",
            "Requests to the API server; a watch counts when it begins.",
            ["verb", "kind", "code"],
            registry=registry,
        )
        self._figures = {kind.name: kind.figures(registry) for kind in kinds if kind.figures is not None}
        # From zero on, or the first of a kind would be no increase.
        for plural in self._plurals.values():
            self.reconciles.labels(plural)
            for reason in (*ERRORS, OTHER):
                self.errors.labels(plural, reason)
        build = {"version": __version__, "python": platform.python_version()}
        Info("raygen_build", "What runs.", registry=registry).info(build)
        ProcessCollector(registry=registry)

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A figure that is read when it is asked for."""
        Gauge(name, text, registry=self._registry).set_function(read)

    def gauges(
        self, name: str, text: str, label: str, values: Iterable[str], read: Callable[[str], float]
    ) -> None:
        """One figure for each value of a label; each is read when it is asked for."""
        made = Gauge(name, text, [label], registry=self._registry)
        for value in values:
            made.labels(value).set_function(lambda value=value: read(value))  # type: ignore[misc]

    def add(self, collector: Collector) -> None:
        """Figures that are made when they are asked for."""
        self._registry.register(collector)

    def text(self) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(self._registry)

    def look(self, kind: str) -> AbstractContextManager[None]:
        """Times one look at an object of a kind."""
        return self.reconciles.labels(self._plurals[kind]).time()

    def failed(self, kind: str, error: Exception) -> None:
        """Counts a look at an object of a kind that failed."""
        reason = FAULT
        if isinstance(error, ApiError):
            reason = error.reason if error.status else "NoAnswer"
        self.errors.labels(self._plurals[kind], reason if reason in ERRORS else OTHER).inc()

    def answered(self, method: str, target: str, status: int) -> None:
        """Counts a request to the API server.

        Args:
            method: HTTP's.
            target: Path and query.
            status: HTTP's; 0 if no answer came.
        """
        verb, kind = request_of(method, target, self._resources)
        code = str(status) if status in CODES else OTHER if status else NO_ANSWER
        self.requests.labels(verb, kind, code).inc()

    def told(self, kind: str, item: Body, status: Fields, now: datetime) -> None:
        """Counts what a status that was just written says for the first time.

        Args:
            kind: Of the object.
            item: The object before.
            status: The operator's part of its status now.
            now: The time at which it was seen.
        """
        figures = self._figures.get(kind)
        if figures is not None:
            figures.told(item, status, now)


def request_of(method: str, target: str, known: Collection[str]) -> tuple[str, str]:
    """Verb and kind (its plural) of a request; `Other` for a kind that is not among the known ones."""
    path, _, query = target.partition("?")
    parts = path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        rest = rest[2:]
    kind = rest[0] if rest and rest[0] in known else OTHER
    if method == "GET":
        return ("watch" if "watch=true" in query else "get" if len(rest) > 1 else "list"), kind
    return VERBS.get(method, OTHER), kind
