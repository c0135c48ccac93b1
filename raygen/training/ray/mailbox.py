"""What a driver and its workers say to each other: the task, events, and how the run ended, as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, get_args

from raygen import errors
from raygen.errors import GuardError, RaygenError, RollBackError, RunError
from raygen.models.sample import Sample
from raygen.training.engine.guards import Finding
from raygen.training.engine.state import Ending, State, Trained
from raygen.training.engine.store import Store
from raygen.training.observers.events import Event, EventSink, Ready, Sampled, WorkersLost

RESULT = "result"
FACTS = "facts"
"""What rank 0 has found out by opening data and model (`facts.Facts`)."""
BEGUN = "begun"
"""The driver's answer to it: the attempt (`ClaimedAttempt`)."""
FILES = "files"
"""What the data set of rank 0 gave to keep, for the others to open theirs with."""
TRANSPORTS = ("gloo", "NCCL")
"""A word in the errors of those that train with a worker that is gone."""
STARTS = "starts"
"""How often workers have begun."""
TRAINS = "trains"
"""Number of the newest of these starts that has come to train."""
_EVENTS = "events"


@dataclass(frozen=True)
class Task:
    """What the driver says to every worker before anything is opened; JSON values alone.

    Attributes:
        job: The job, fitted to the machine.
        base: Folder that relative source paths start from.
        storage: URI of the folder of all runs.
        run: The run's name.
        parent: Run and step whose weights a new run starts from, or None.
        rollbacks: How often the run went back.
        stop_at: Step at which the run stops, or None.
        reports: Whether somebody hears of evaluations before training goes on.
        scratch: Folder on the driver's machine that is deleted after the run; `launch` says which.
        threads: Of PyTorch in each worker; likewise.
        reading: Of each worker's pipeline that reads data the fields of `raygen.pipelines.reading.Workers`; likewise. None: it
            reads by itself.
    """

    job: dict[str, Any]
    base: str
    storage: str
    run: str
    parent: dict[str, Any] | None
    rollbacks: list[dict[str, Any]]
    stop_at: int | None
    reports: bool
    scratch: str = ""
    threads: int = 1
    reading: dict[str, Any] | None = None


@dataclass(frozen=True)
class ClaimedAttempt:
    """What the driver answers once data and model are open; JSON values alone.

    Attributes:
        attempt: attempts/NNN.json.
        steps: Last step.
        fingerprint: Of the data of rank 0.
    """

    attempt: dict[str, Any]
    steps: int
    fingerprint: str


@dataclass(frozen=True)
class Reply:
    """How workers ended.

    Attributes:
        outcome: What they leave, or the error that ended them.
        findings: What guards found.
    """

    outcome: Trained | RaygenError
    findings: list[Finding]


class RemoteSink:
    """Takes events in a worker, so that they arrive at the driver."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def take(self, event: Event) -> None:
        """Posts it. Ray's controller tells the driver of lost workers; pictures are in the run directory."""
        if isinstance(event, WorkersLost):
            return
        if isinstance(event, Sampled):
            event = replace(event, samples=[replace(sample, png=None) for sample in event.samples])
        content = json.dumps([type(event).__name__, asdict(event)])
        # Written before it is counted, so that the driver never reads what is not there.
        number = self._store.add(f"{_EVENTS}-written", 1)
        self._store.set(f"event-{number}", content)
        self._store.add(_EVENTS, 1)


class Inbox:
    """The driver's side of `RemoteSink`.

    Args:
        store: Where events arrive.
        sink: Takes them.
        ready: Takes the seconds of `Ready` instead, since a worker knows its own phases alone.
    """

    def __init__(self, store: Store, sink: EventSink, ready: Callable[[Mapping[str, float]], None]) -> None:
        self._store, self._sink, self._ready = store, sink, ready
        self._read = 0

    def deliver(self) -> None:
        """Hands on the events that have come."""
        while self._read < self._store.add(_EVENTS, 0):
            self._read += 1
            key = f"event-{self._read}"
            event = _event_of(*json.loads(self._store.get(key)))
            self._store.delete_key(key)
            if isinstance(event, Ready):
                self._ready(event.seconds)
            else:
                self._sink.take(event)


def _event_of(name: str, content: dict[str, Any]) -> Event:
    if name == Sampled.__name__:
        return Sampled(content["step"], [Sample(**sample) for sample in content["samples"]])
    event: Event = _TYPES[name](**content)
    return event


_TYPES: dict[str, Any] = {kind.__name__: kind for kind in get_args(Event)}


def trained_document(trained: Trained) -> dict[str, Any]:
    """What workers leave as JSON values."""
    return {
        "reason": trained.ending.reason,
        "stopped": trained.ending.stopped,
        "state": trained.state.values(),
        "loss": trained.loss,
        "findings": [finding.record() for finding in trained.findings],
    }


def reply_of(document: Mapping[str, Any]) -> Reply:
    """What `trained_document` or `error_document` wrote."""
    findings = findings_of(document)
    if "error" in document:
        return Reply(error_of(document), findings)
    ending = Ending(document["reason"], stopped=document["stopped"])
    return Reply(Trained(ending, State(**document["state"]), document["loss"], findings), findings)


def error_document(error: RaygenError, findings: Sequence[Finding]) -> dict[str, Any]:
    """An error as JSON values, with what guards had found."""
    document: dict[str, Any] = {
        "error": type(error).__name__,
        "what": error.what,
        "where": error.where,
        "remedy": error.remedy,
        "findings": [finding.record() for finding in findings],
    }
    if isinstance(error, GuardError):
        document["kind"] = error.kind
    return document


def findings_of(document: Mapping[str, Any]) -> list[Finding]:
    """What guards had found, in a result or an error."""
    return [
        Finding(**{**record, "value": math.nan if record["value"] is None else record["value"]})
        for record in document["findings"]
    ]


def error_of(document: Mapping[str, Any]) -> RaygenError:
    """The error that `error_document` wrote."""
    words = {"where": str(document["where"]), "remedy": str(document["remedy"])}
    name, what = document["error"], str(document["what"])
    if name in ("GuardError", "RollBackError"):
        guard = RollBackError if name == "RollBackError" else GuardError
        return guard(what, kind=document["kind"], **words)
    found = getattr(errors, name, RunError)
    if found in (errors.ValidationError, errors.MissingExtraError):
        found = errors.InputError
    error: RaygenError = found(what, **words)
    return error
