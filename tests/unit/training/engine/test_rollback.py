from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from raygen.checkpoint import survey
from raygen.errors import GuardError
from raygen.inference.run import Run
from raygen.models.transformer.family import TransformerFamily
from raygen.run.directory import RunDirectory
from raygen.storage import open_storage
from raygen.training.engine import rollback
from tests.jobs import job_document
from tests.unit.training.runs import Killed, Watcher, killed_at, losses, train

GUARDS = [{"type": "NonFiniteLoss", "action": "RollBack"}]


def document(**changes: Any) -> dict[str, Any]:
    return job_document(training__guards=GUARDS, evaluation__samples=None, **changes)


def directory(base: Path, run: str = "tiny") -> RunDirectory:
    return RunDirectory(open_storage(str(base / "runs")), run)


def ill_above(monkeypatch: pytest.MonkeyPatch, rate: float, step: int) -> None:
    """The loss is no number at a step, as long as the learning rate is above a limit."""
    real = TransformerFamily.step

    def act(self: Any, micro_batches: Any, updates: Any, workers: Any) -> Any:
        scalars = real(self, micro_batches, updates, workers)
        groups = updates["model"].optimizers["main"].param_groups
        if micro_batches[0].step == step and groups[0]["lr"] > rate:
            scalars["loss"] = scalars["loss"] * math.nan
        return scalars

    monkeypatch.setattr(TransformerFamily, "step", act)


def outcome(base: Path, run: str = "tiny") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((base / "runs" / run / "outcome.json").read_text())
    return found


def test_a_run_goes_back_lowers_its_rate_and_ends_well(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ill_above(monkeypatch, 0.004, 13)
    watcher = Watcher()
    result = train(base, document(), observer=watcher)
    assert (result.state, result.step, result.attempt) == ("Succeeded", 20, 3)
    assert [(g["type"], g["action"], g["step"], g["to"]) for g in result.guards] == [
        ("NonFiniteLoss", "RollBack", 13, 10)
    ] * 2
    assert outcome(base)["guards"][0]["remedy"]
    rates = {
        line.step: line.values["learning_rate"]
        for line in directory(base).read_metrics().lines
        if line.kind == "train"
    }
    assert [rates[step] for step in (10, 11, 20)] == [0.01, 0.0025, 0.0025]
    assert all(math.isfinite(loss) for loss in losses(base).values())
    assert len([notice for notice in watcher.notices if "going back" in notice]) == 2
    causes = [attempt.cause or "" for attempt in directory(base).attempts()]
    assert causes[0].startswith("RolledBack: NonFiniteLoss: the loss became nan at step 13; back to step 10")
    assert "NonFiniteLoss" in (base / "runs" / "tiny" / "report.html").read_text()


def test_going_back_is_bounded(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ill_above(monkeypatch, 0.0, 13)
    with pytest.raises(GuardError, match="gone back 3 times"):
        train(base, document())
    assert outcome(base)["reason"] == "NonFiniteLoss"
    assert [g["action"] for g in outcome(base)["guards"]] == ["RollBack"] * 4
    assert [folder.step for folder in survey(directory(base).checkpoints)] == [5, 10]
    assert directory(base).read_metrics().lines[-1].step == 13


def test_without_a_good_checkpoint_it_begins_again(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ill_above(monkeypatch, 0.006, 2)
    result = train(base, document())
    assert (result.state, result.guards[0]["to"]) == ("Succeeded", 0)
    assert sorted(losses(base)) == list(range(1, 21))


def test_a_checkpoint_whose_weights_are_no_numbers_is_passed_over(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = TransformerFamily.step
    spoilt: list[int] = []

    def act(self: Any, micro_batches: Any, updates: Any, workers: Any) -> Any:
        scalars = real(self, micro_batches, updates, workers)
        if micro_batches[0].step == 10 and not spoilt:
            spoilt.append(10)
            next(iter(self.networks["model"].parameters())).data.fill_(math.nan)
        return scalars

    monkeypatch.setattr(TransformerFamily, "step", act)
    result = train(base, document(evaluation__everySteps=None))
    assert (result.state, result.step, result.attempt) == ("Succeeded", 20, 2)
    assert [(g["step"], g["to"]) for g in result.guards] == [(11, 5)]
    assert all(math.isfinite(loss) for loss in losses(base).values())


@pytest.mark.parametrize("phase", ["written", "discarded", "ended"])
def test_a_kill_while_going_back_changes_nothing(
    base: Path, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    ill_above(monkeypatch, 0.006, 13)
    whole = train(base, document(), run="whole")

    with monkeypatch.context() as patch:
        if phase == "written":
            patch.setattr(rollback, "discard", killing)
        elif phase == "discarded":
            real = rollback.discard
            patch.setattr(rollback, "discard", lambda one: (real(one), killing(one)))
        else:
            patch.setattr("raygen.run.directory.Attempt.end", killing)
        with pytest.raises(Killed):
            train(base, document(), run="parts")
    result = train(base, document(), run="parts")
    assert result.guards == whole.guards
    assert losses(base, "parts") == losses(base, "whole")
    ours, theirs = (Run.open(base / "runs" / run).checkpoint() for run in ("parts", "whole"))
    assert all(bool((ours.tensors[name] == theirs.tensors[name]).all()) for name in theirs.tensors)


def killing(*_: Any, **__: Any) -> None:
    raise Killed


def test_a_run_that_went_back_resumes_exactly(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ill_above(monkeypatch, 0.006, 8)
    train(base, document(), run="whole")
    with pytest.raises(Killed):
        train(base, document(), run="parts", observer=killed_at(15))
    result = train(base, document(), run="parts")
    assert result.guards[0]["step"] == 8
    assert losses(base, "parts") == losses(base, "whole")


def test_a_warning_lets_the_run_go_on(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ill_above(monkeypatch, 0.0, 13)
    watcher = Watcher()
    warned = job_document(training__guards=[{"type": "NonFiniteLoss", "action": "Warn"}])
    result = train(base, warned, observer=watcher)
    assert result.state == "Succeeded"
    assert result.guards[0]["step"] == 13
    assert any(
        notice.startswith("NonFiniteLoss: the loss became nan at step 13.") for notice in watcher.notices
    )


def test_repeated_texts_stop_a_run(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = {"type": "TextRepetition", "action": "Stop", "threshold": 0.01}
    repeated = job_document(
        training__guards=[guard], evaluation__samples__maxTokens=200, evaluation__samples__temperature=0
    )
    with pytest.raises(GuardError, match="4-grams"):
        train(base, repeated)
    assert (outcome(base)["reason"], outcome(base)["step"]) == ("TextRepetition", 10)
