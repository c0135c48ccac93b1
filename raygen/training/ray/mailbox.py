"""How a worker tells the driver what happens: events, and how the run ended, as JSON in the driver's store."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from raygen import errors
from raygen.errors import GuardError, RaygenError, RollBackError, RunError
from raygen.models.protocol import Sample
from raygen.training.engine.agreement import Store
from raygen.training.engine.guards import Finding
from raygen.training.observers.events import Loss, Observer, Plan, Progress

RESULT = "result"
TRANSPORTS = ("gloo", "NCCL")
"""A word in the errors of those that train with a worker that is gone."""
STARTS = "starts"
"""How often workers have begun."""
_EVENTS = "events"


class RemoteObserver:
    """An observer whose events arrive at the driver."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def notice(self, message: str) -> None:
        """Posts it."""
        self._post("notice", message)

    def started(self, plan: Plan) -> None:
        """Posts it."""
        self._post("started", asdict(plan))

    def ready(self, seconds: Mapping[str, float]) -> None:
        """Posts it."""
        self._post("ready", dict(seconds))

    def progressed(self, progress: Progress) -> None:
        """Posts it."""
        self._post("progressed", asdict(progress))

    def evaluated(self, step: int, values: Mapping[str, float]) -> None:
        """Posts it."""
        self._post("evaluated", [step, dict(values)])

    def sampled(self, step: int, samples: Sequence[Sample]) -> None:
        """Posts the texts; pictures are in the run directory."""
        self._post("sampled", [step, [{"prompt": s.prompt, "text": s.text} for s in samples]])

    def saved(self, step: int) -> None:
        """Posts it."""
        self._post("saved", step)

    def lost(self, loss: Loss) -> None:
        """Says nothing: Ray's controller tells the driver (`train.losses`)."""

    def found(self, finding: Finding) -> None:
        """Posts which guard has found something."""
        self._post("found", finding.type)

    def _post(self, kind: str, content: Any) -> None:
        # Written before it is counted, so that the driver never reads what is not there.
        number = self._store.add(f"{_EVENTS}-written", 1)
        self._store.set(f"event-{number}", json.dumps([kind, content]))
        self._store.add(_EVENTS, 1)


class Inbox:
    """The driver's side of `RemoteObserver`.

    Args:
        store: Where events arrive.
        observer: Takes them.
        ready: Takes `ready` instead, since the worker knows its own phases alone.
        found: Takes the type of each guard that has found something.
    """

    def __init__(
        self,
        store: Store,
        observer: Observer,
        ready: Callable[[Mapping[str, float]], None],
        found: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._observer = observer
        self._ready, self._found = ready, found
        self._read = 0

    def deliver(self) -> None:
        """Hands on the events that have come."""
        while self._read < self._store.add(_EVENTS, 0):
            self._read += 1
            key = f"event-{self._read}"
            kind, content = json.loads(self._store.get(key))
            self._store.delete_key(key)
            self._hand_on(kind, content)

    def _hand_on(self, kind: str, content: Any) -> None:
        observer = self._observer
        if kind == "notice":
            observer.notice(content)
        elif kind == "started":
            observer.started(Plan(**content))
        elif kind == "ready":
            self._ready(content)
        elif kind == "found":
            self._found(content)
        elif kind == "progressed":
            observer.progressed(Progress(**content))
        elif kind == "evaluated":
            observer.evaluated(content[0], content[1])
        elif kind == "sampled":
            observer.sampled(content[0], [Sample(**sample) for sample in content[1]])
        else:
            observer.saved(content)


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
