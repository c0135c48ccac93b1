"""Traces of objects' ways, for OpenTelemetry: what took how long between the making of an object and its end.

A trace's ID is the object's UID, by which it can be found; its spans are what the object's kind says. OpenTelemetry's own
variables say where to (OTEL_EXPORTER_OTLP_ENDPOINT); without one nothing is sent.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from raygen import __version__
from raygen.kube.bodies import Body, Fields
from raygen.operator.kind import Kind, Span

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.export import SpanExporter

log = logging.getLogger(__name__)

VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""OpenTelemetry's variables that say where spans go (its specification of the OTLP exporter)."""
LEAVE_SECONDS = 3.0
"""In which what has not been sent may still be, when the operator ends."""


class Traces:
    """Takes statuses as they are written, and sends the spans that end with them.

    Args:
        processor: Gathers spans.
        exporter: By which it sends them.
        kinds: That the operator looks after; some of them have traces.
    """

    def __init__(self, processor: SpanProcessor, exporter: SpanExporter, kinds: Sequence[Kind]) -> None:
        self._processor, self._exporter = processor, exporter
        self._traces = {kind.name: kind.trace() for kind in kinds if kind.trace is not None}

    def told(self, kind: str, item: Body, status: Fields) -> None:
        """Takes a status that was just written.

        Args:
            kind: Of the object.
            item: The object before.
            status: The operator's part of its status now.
        """
        trace = self._traces.get(kind)
        for span in list(trace.told(item, status)) if trace is not None else ():
            self._send(item["metadata"]["uid"], span)

    def close(self) -> None:
        """Sends what there is, for a moment; a collector that is away keeps nobody from leaving."""
        last = threading.Thread(target=self._processor.force_flush, name="traces", daemon=True)
        last.start()
        last.join(LEAVE_SECONDS)
        # Ends what is still tried again.
        self._exporter.shutdown()

    def _send(self, uid: str, span: Span) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

        def context(path: tuple[str, ...]) -> SpanContext:
            identifier = int.from_bytes(hashlib.sha256("/".join((uid, *path)).encode()).digest()[:8], "big")
            return SpanContext(trace_id(uid), identifier, False, TraceFlags(TraceFlags.SAMPLED))

        resource = Resource.create({"service.name": "raygen-operator", "service.version": __version__})
        self._processor.on_end(
            ReadableSpan(
                span.path[-1],
                context(span.path),
                context(span.path[:-1]) if len(span.path) > 1 else None,
                resource,
                dict(span.facts),
                status=Status(StatusCode.ERROR, span.fault) if span.fault else Status(StatusCode.OK),
                start_time=_nanoseconds(span.began),
                end_time=_nanoseconds(span.ended),
            )
        )


def from_environment(kinds: Sequence[Kind]) -> Traces | None:
    """Traces of kinds to where OpenTelemetry's variables say; None if they say nothing, or its packages are missing."""
    if not any(os.environ.get(name) for name in VARIABLES):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        log.warning("no traces are sent: OpenTelemetry is not installed (pip install 'raygen[tracing]')")
        return None
    exporter = OTLPSpanExporter()
    return Traces(BatchSpanProcessor(exporter), exporter, kinds)


def trace_id(uid: str) -> int:
    """The trace of an object: its UID, which has as many bits where it is a UUID."""
    try:
        return uuid.UUID(uid).int
    except ValueError:
        return int.from_bytes(hashlib.sha256(uid.encode()).digest()[:16], "big")


def _nanoseconds(time: datetime) -> int:
    return int(time.timestamp()) * 1_000_000_000
