"""A trace of each job's way, for OpenTelemetry: what took how long between the making of a job and its end.

    TrainingJob ---------------------------------------------------
      Attempt 1 ---------------------        Attempt 2 ------------
        Queued --- Starting -- Training --       Starting - Training

The trace's ID is the job's UID, by which it can be found. All spans are sent when the job has ended, from what its status says;
what an operator has only seen go by (when an attempt got its quota, and when its steps began) is left out if it was not
there. OpenTelemetry's own variables say where to (OTEL_EXPORTER_OTLP_ENDPOINT); without one nothing is sent.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from raygen import __version__
from raygen.controller.conditions import SUCCEEDED, find, moment
from raygen.kube.bodies import Body, Fields
from raygen.operator.trainingjob.attempts import FREE

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.export import SpanExporter

log = logging.getLogger(__name__)

VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""OpenTelemetry's variables that say where spans go (its specification of the OTLP exporter)."""
REMEMBERED = 10_000
"""Attempts of which it is known when they got their quota and began their steps."""
LEAVE_SECONDS = 3.0
"""In which what has not been sent may still be, when the operator ends."""


@dataclass(frozen=True)
class Span:
    """One stretch of a job's way.

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


class Traces:
    """Takes statuses as they are written, and hands over the spans of jobs that have ended.

    Args:
        processor: Gathers spans.
        exporter: By which it sends them.
    """

    def __init__(self, processor: SpanProcessor, exporter: SpanExporter) -> None:
        self._processor, self._exporter = processor, exporter
        self._seen: dict[tuple[str, int], dict[str, datetime]] = {}

    def told(self, item: Body, status: Fields) -> None:
        """Takes a status that was just written.

        Args:
            item: The object before.
            status: The operator's part of its status now.
        """
        uid, before = item["metadata"]["uid"], item.get("status") or {}
        attempts = status.get("attempts") or ()
        if attempts and "ended" not in attempts[-1]:
            self._look(uid, attempts[-1], before, status)
        if "completionTime" in status and "completionTime" not in before:
            known = {one["number"]: self._seen.pop((uid, one["number"]), {}) for one in attempts}
            spans = list(spans_of(item, status, known))
            for span in spans:
                self._send(uid, span)

    def _look(self, uid: str, attempt: Fields, before: Fields, status: Fields) -> None:
        """Takes note of what the status will not say any more at the end."""
        moments = self._seen.setdefault((uid, attempt["number"]), {})
        if "startTime" in status:
            moments.setdefault("active", moment(status["startTime"]))
        else:
            # What waits for quota begins when it has got that, and not before.
            moments.pop("active", None)
        if "firstStep" in attempt and "time" in (before.get("progress") or {}):
            moments.setdefault("trains", moment(before["progress"]["time"]))
        while len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]

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


def from_environment() -> Traces | None:
    """Traces to where OpenTelemetry's variables say; None if they say nothing, or its packages are missing."""
    if not any(os.environ.get(name) for name in VARIABLES):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        log.warning("no traces are sent: OpenTelemetry is not installed (pip install 'raygen[tracing]')")
        return None
    exporter = OTLPSpanExporter()
    return Traces(BatchSpanProcessor(exporter), exporter)


def spans_of(item: Body, status: Fields, known: Mapping[int, Mapping[str, datetime]]) -> Iterator[Span]:
    """The spans of a job that has ended, the whole first.

    Args:
        item: The job.
        status: What the operator says of it.
        known: Of each attempt when it was `active`, which is to have its quota, and since when it `trains`.
    """
    metadata = item["metadata"]
    name = f"{metadata['namespace']}/{metadata['name']}"
    summary: Mapping[str, object] = find(status["conditions"], SUCCEEDED) or {}
    attempts = [one for one in status.get("attempts") or () if "ended" in one]
    facts = {
        "k8s.namespace.name": metadata["namespace"],
        "raygen.job": metadata["name"],
        "raygen.run": status.get("run", ""),
        "raygen.reason": summary.get("reason", ""),
        "raygen.attempts": status.get("attemptCount", len(attempts)),
    }
    whole = (f"{item['kind']} {name}",)
    fault = str(summary.get("message", "")) if summary.get("status") == "False" else ""
    began, ended = moment(metadata["creationTimestamp"]), moment(status["completionTime"])
    yield Span(whole, began, ended, facts, fault)
    for one in attempts:
        yield from _attempt(whole, one, known.get(one["number"], {}))


_FACTS = {
    "rayJob": "raygen.ray_job",
    "cause": "raygen.cause",
    "firstStep": "raygen.first_step",
    "lastStep": "raygen.last_step",
    "lostSteps": "raygen.lost_steps",
    "lostHeads": "raygen.lost_heads",
}


def _attempt(whole: tuple[str, ...], attempt: Fields, known: Mapping[str, datetime]) -> Iterator[Span]:
    began, ended = moment(attempt["started"]), moment(attempt["ended"])
    path = (*whole, f"Attempt {attempt['number']}")
    went_well = attempt["cause"] in FREE | {"Completed", "EarlyStopped", "AlreadyComplete"}
    facts = {name: attempt[key] for key, name in _FACTS.items() if key in attempt}
    yield Span(path, began, ended, facts, "" if went_well else str(attempt.get("message", attempt["cause"])))
    active = min(max(known.get("active", began), began), ended)
    if active > began:
        yield Span((*path, "Queued"), began, active)
    trains = known.get("trains")
    if trains is not None:
        trains = min(max(trains, active), ended)
        yield Span((*path, "Starting"), active, trains)
        yield Span((*path, "Training"), trains, ended)


def trace_id(uid: str) -> int:
    """The trace of a job: its UID, which has as many bits where it is a UUID."""
    try:
        return uuid.UUID(uid).int
    except ValueError:
        return int.from_bytes(hashlib.sha256(uid.encode()).digest()[:16], "big")


def _nanoseconds(time: datetime) -> int:
    return int(time.timestamp()) * 1_000_000_000
