"""What a worker tells the driver, through its store."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import pytest

from raygen import errors
from raygen.errors import GuardError, RaygenError, RollBackError, RunError
from raygen.models.sample import Sample
from raygen.training.engine.guards import Finding
from raygen.training.engine.store import Table
from raygen.training.observers.events import (
    CheckpointStarted,
    Evaluated,
    GuardTriggered,
    Notice,
    Progress,
    Ready,
    Sampled,
    Started,
)
from raygen.training.ray.mailbox import Inbox, RemoteSink, error_document, error_of, findings_of
from tests.unit.training.runs import Watcher

PLAN = Started(run="runs/a", attempt=2, parameters=7, device="cpu, 2 workers", first_step=11, steps=20)
PROGRESS = Progress(
    step=15, steps=20, loss=0.5, throughput=3.0, unit="images", seconds_left=1.0, checkpoint=None
)


@pytest.fixture
def driver() -> Table:
    return Table(10)


def test_every_event_arrives_once_and_in_order(driver: Table) -> None:
    worker = RemoteSink(driver)
    starts: list[Mapping[str, float]] = []
    watcher = Watcher()
    inbox = Inbox(driver, watcher, starts.append)
    inbox.deliver()
    worker.take(Notice("first"))
    worker.take(PLAN)
    worker.take(Ready({"model": 1.5}))
    inbox.deliver()
    worker.take(PROGRESS)
    worker.take(Evaluated(15, {"loss": 0.25}))
    worker.take(Sampled(15, [Sample(prompt="A", text="b"), Sample(prompt="samples", png=b"\x89PNG")]))
    worker.take(CheckpointStarted(15))
    worker.take(GuardTriggered("LossSpike"))
    worker.take(Notice("last"))
    inbox.deliver()
    inbox.deliver()
    assert watcher.notices == ["first", "last"]
    assert watcher.plans == [PLAN]
    assert starts == [{"model": 1.5}]
    assert watcher.progress == [PROGRESS]
    assert watcher.evaluations == {15: {"loss": 0.25}}
    assert watcher.checkpoints == [15]
    assert watcher.guards == ["LossSpike"]
    assert list(watcher.samples[15]) == [Sample(prompt="A", text="b"), Sample(prompt="samples")]


@pytest.mark.parametrize("name", ["DataError", "OutputError", "RunError", "ModelError", "FencedError"])
def test_an_error_arrives_as_what_it_was(name: str) -> None:
    error: RaygenError = getattr(errors, name)("it broke", where="there", remedy="Fix it.")
    found = error_of(error_document(error, ()))
    assert type(found) is type(error)
    assert (found.what, found.where, found.remedy) == ("it broke", "there", "Fix it.")


def test_guards_keep_their_kind_and_step() -> None:
    guard = error_of(
        error_document(GuardError("loss", kind="LossSpike", where="step 3", remedy="Lower it."), ())
    )
    assert isinstance(guard, GuardError)
    assert guard.kind == "LossSpike"
    back = error_of(error_document(RollBackError("loss", kind="NaNLoss", where="step 9"), ()))
    assert isinstance(back, RollBackError)
    assert (back.kind, back.where) == ("NaNLoss", "step 9")


def test_an_error_unknown_here_is_a_failed_run() -> None:
    document = {"error": "Newer", "what": "it broke", "where": "", "remedy": ""}
    assert type(error_of(document)) is errors.RunError


def test_findings_arrive_with_results_and_errors() -> None:
    finding = Finding(
        "NonFiniteLoss", "Stop", 3, 2, math.nan, 0.0, "the loss became nan at step 3", "Lower it."
    )
    for document in (error_document(RunError("it broke"), [finding]), {"findings": [finding.record()]}):
        (found,) = findings_of(json.loads(json.dumps(document)))
        assert found.record() == finding.record()
        assert math.isnan(found.value)
