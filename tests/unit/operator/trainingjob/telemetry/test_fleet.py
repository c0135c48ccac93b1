"""Figures of all jobs together: by state and reason, and quickly."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from raygen.controller.conditions import stamp
from raygen.controller.store import Store
from raygen.operator.attempts import stored_job
from raygen.operator.kinds import KINDS
from raygen.operator.metrics import Metrics
from raygen.operator.trainingjob.telemetry.fleet import REASONS, Fleet
from tests.unit.operator.attempts.world import START, job
from tests.unit.operator.scrape import samples, value

Object = dict[str, Any]
SCRAPE_SECONDS = 0.1
"""In which 5,000 jobs must have been counted."""


def told(status: str, reason: str, *, trains: bool = False, goodput: float | None = None) -> Object:
    when = {"lastTransitionTime": stamp(START), "message": "", "observedGeneration": 1}
    document: Object = {
        "conditions": [
            {"type": "Succeeded", "status": status, "reason": reason, **when},
            {"type": "Running", "status": "True" if trains else "False", "reason": "Training", **when},
        ],
        "attempts": [{"number": 1, "rayJob": "tiny-r1", "started": stamp(START)}],
        "progress": {"rayJob": "tiny-r1", "step": 7, "time": stamp(START + timedelta(minutes=1))},
    }
    if goodput is not None:
        document["progress"]["goodput"] = goodput
    return document


def fleet(*statuses: Mapping[str, Any] | None, leads: bool = True) -> Metrics:
    jobs = Store()
    for number, status in enumerate(statuses):
        document = job(f"job-{number}", scale={"workers": 2, "gpusPerWorker": 4})
        jobs.put(stored_job.training_job(document if status is None else document | {"status": status}))
    metrics = Metrics(KINDS)
    metrics.add(Fleet(jobs, lambda: leads))
    return metrics


def test_jobs_count_by_state_and_reason() -> None:
    text = fleet(
        None,
        told("Unknown", "Training", trains=True, goodput=0.9),
        told("Unknown", "PodWaits", trains=True, goodput=0.4),
        told("Unknown", "Queued"),
        told("Unknown", "Suspended"),
        told("True", "Completed"),
        told("False", "OutOfMemory"),
        told("False", "ErrorOfSomebodysOwn"),
    ).text()
    jobs = {labels: one for (name, labels), one in samples(text).items() if name == "raygen_jobs"}
    assert {tuple(found for _, found in sorted(labels)): one for labels, one in jobs.items() if one} == {
        ("New", "Active"): 1,
        ("Training", "Active"): 1,
        ("PodWaits", "Active"): 1,
        ("Queued", "Active"): 1,
        ("Suspended", "Active"): 1,
        ("Completed", "Succeeded"): 1,
        ("OutOfMemory", "Failed"): 1,
        ("Other", "Failed"): 1,
    }
    assert len(jobs) == sum(map(len, REASONS.values()))
    assert value(text, "raygen_requested_workers", stage="Training") == 4
    assert value(text, "raygen_requested_gpus", stage="Training") == 16
    assert value(text, "raygen_requested_workers", stage="Waiting") == 4
    assert value(text, "raygen_requested_gpus", stage="Waiting") == 16
    assert value(text, "raygen_goodput_mean_ratio") == pytest.approx(0.65)
    assert value(text, "raygen_goodput_min_ratio") == 0.4


def test_nobody_trains_is_no_goodput_of_zero() -> None:
    text = fleet(told("Unknown", "Training", trains=True)).text()
    assert value(text, "raygen_goodput_min_ratio") is None


def test_only_who_leads_speaks_of_jobs() -> None:
    assert value(fleet(None, leads=False).text(), "raygen_jobs", state="Active", reason="New") is None


def test_five_thousand_jobs_are_counted_in_time() -> None:
    kinds = [told("Unknown", "Training", trains=True, goodput=0.9), told("True", "Completed"), None]
    metrics = fleet(*(kinds[number % 3] for number in range(5000)))
    metrics.text()
    taken = []
    for _ in range(5):
        begun = time.thread_time()
        metrics.text()
        taken.append(time.thread_time() - begun)
    assert min(taken) < SCRAPE_SECONDS
