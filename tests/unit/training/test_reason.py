"""A failure has one reason, whoever tells it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raygen import errors
from raygen.run.directory import RunDirectory
from raygen.spec.reasons import CONDITIONS
from raygen.storage import open_storage
from raygen.training.observers.job_status import StatusReporter
from raygen.training.observers.kubernetes import StatusWriter
from tests.jobs import job_document
from tests.unit.training.runs import Watcher, train

SHORT = job_document(training__duration__steps=5, evaluation__samples=None)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errors.OutOfMemoryError("full", where="cuda:0"), "OutOfMemoryError"),
        (errors.RunError("the workers were lost"), "RunError"),
        (errors.ModelError("forward failed"), "ModelError"),
        (errors.GuardError("the loss is NaN", kind="NonFiniteLoss"), "NonFiniteLoss"),
    ],
)
def test_outcome_report_attempt_and_status_give_the_same_reason(
    base: Path, error: errors.RaygenError, reason: str
) -> None:
    def fail(step: int) -> None:
        raise error

    with pytest.raises(type(error)):
        train(base, SHORT, observer=Watcher(fail))
    told: list[Any] = []
    StatusReporter(
        StatusWriter("tiny-r1", lambda status: told.append(json.loads(json.dumps(status))), print)
    ).failed(error)
    run = RunDirectory(open_storage(str(base / "runs")), "tiny")
    outcome, (attempt,) = run.read_outcome(), run.attempts()
    assert outcome is not None
    assert outcome["reason"] == told[-1]["outcome"]["reason"] == reason
    assert (attempt.cause or "").startswith(f"{reason}: ")
    assert f"{reason}: {error.located}" in run.storage.read("report.html").decode()
    assert reason in CONDITIONS["Succeeded"].reasons
