"""What the operator counts of itself, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    """The operator's own figures; each operator has a registry of its own.

    Attributes:
        reconciles: Seconds of each look at a job.
        errors: Looks that failed, by what the API server said; `fault` is one of the operator's own.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.reconciles = Histogram(
            "raygen_reconcile_seconds", "Time of one look at a job.", buckets=BUCKETS, registry=self._registry
        )
        self.errors = Counter(
            "raygen_reconcile_errors", "Looks at a job that failed.", ["reason"], registry=self._registry
        )

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A figure that is read when it is asked for."""
        Gauge(name, text, registry=self._registry).set_function(read)

    def text(self) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(self._registry)
