"""The trace of a job's way:

    TrainingJob ---------------------------------------------------
      Attempt 1 ---------------------        Attempt 2 ------------
        Queued --- Starting -- Training --       Starting - Training

All spans are made when the job has ended, from what its status says; what an operator has only seen go by (when an attempt
got its quota, and when its steps began) is left out if it was not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from raygen.controller.conditions import SUCCEEDED, find, moment
from raygen.kube.bodies import Body, Fields
from raygen.operator.attempts.endings import FREE
from raygen.operator.kind import Span

REMEMBERED = 10_000
"""Attempts of which it is known when they got their quota and began their steps."""


class JobTrace:
    """Takes statuses of TrainingJobs as they are written, and gives the spans of those that have ended."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int], dict[str, datetime]] = {}

    def told(self, item: Body, status: Fields) -> list[Span]:
        """Takes a status that was just written; the spans of the job, if it ends with that, the whole first.

        Args:
            item: The job before.
            status: The operator's part of its status now.
        """
        uid, before = item["metadata"]["uid"], item.get("status") or {}
        attempts = status.get("attempts") or ()
        if attempts and "ended" not in attempts[-1]:
            self._look(uid, attempts[-1], before, status)
        if "completionTime" in status and "completionTime" not in before:
            known = {one["number"]: self._seen.pop((uid, one["number"]), {}) for one in attempts}
            return list(_spans(item, status, known))
        return []

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


def _spans(item: Body, status: Fields, known: Mapping[int, Mapping[str, datetime]]) -> Iterator[Span]:
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
    "stage": "raygen.stage",
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
