"""Runs that are stopped, paused and asked from outside."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import raygen
from raygen.errors import InputError
from raygen.training.engine import loop
from raygen.training.engine.control import POLL_S, Control
from tests.jobs import job_document
from tests.unit.training.runs import Watcher, losses, train

WHOLE = job_document(evaluation__everySteps=5)


def test_a_run_stops_at_a_step_and_resumes_as_if_it_had_not(base: Path) -> None:
    train(base, WHOLE, run="whole")
    first = train(base, WHOLE, control=Control(stop_at=7))
    assert (first.state, first.reason, first.step, first.exit_code) == ("Stopped", "StopAt", 7, 3)
    again = train(base, WHOLE, control=Control(stop_at=7))
    assert (again.state, again.step) == ("Stopped", 7)
    assert train(base, WHOLE).state == "Succeeded"
    assert losses(base) == losses(base, "whole")


def test_reports_come_at_each_evaluation_and_what_they_ask_is_done_before_the_next_step(base: Path) -> None:
    heard: list[tuple[int, dict[str, float]]] = []

    def report(step: int, values: Mapping[str, float]) -> None:
        heard.append((step, dict(values)))
        if step == 10:
            control.stop("NotGoodEnough")

    control = Control(report=report)
    result = train(base, WHOLE, control=control)
    assert (result.state, result.reason, result.step) == ("Stopped", "NotGoodEnough", 10)
    assert [step for step, _ in heard] == [5, 10]
    assert all("loss" in values for _, values in heard)


def test_a_report_that_no_evaluation_will_make_is_told_once(base: Path) -> None:
    unmeasured = job_document(evaluation__everySteps=None, evaluation__metrics=None)
    heard: list[int] = []
    watcher = Watcher()
    train(base, unmeasured, control=Control(report=lambda step, values: heard.append(step)), observer=watcher)
    assert heard == []
    assert [message for message in watcher.notices if "report is never called" in message] == [
        (
            "spec.evaluation.metrics: names nothing to measure, so that report is never called. Add a metric, for"
            " example {name: loss, type: ValidationLoss}, and everySteps."
        )
    ]
    unheard = Watcher()
    train(base, unmeasured, run="unheard", control=Control(stop_at=2), observer=unheard)
    assert not any("report" in message for message in unheard.notices)


def test_a_paused_run_leaves_a_checkpoint_and_waits_until_it_is_resumed(base: Path) -> None:
    control = Control(report=lambda step, values: control.pause() if step == 5 else None)
    paused, watcher = threading.Event(), Paused()
    watcher.then = paused
    results: list[raygen.Result] = []
    thread = threading.Thread(
        target=lambda: results.append(train(base, WHOLE, control=control, observer=watcher))
    )
    thread.start()
    assert paused.wait(30)
    assert watcher.checkpoints[-1] == 5
    control.resume()
    thread.join(30)
    assert [(result.state, result.step) for result in results] == [("Succeeded", 20)]
    train(base, WHOLE, run="whole")
    assert losses(base) == losses(base, "whole")


def test_a_paused_run_can_be_stopped(base: Path) -> None:
    control = Control(report=lambda step, values: control.pause() if step == 5 else None)
    watcher = Paused()
    watcher.then = StopsIt(control)
    result = train(base, WHOLE, control=control, observer=watcher)
    assert (result.state, result.reason, result.step) == ("Stopped", "enough", 5)


@pytest.mark.parametrize("stops", ["while it evaluates", "before it generates"])
def test_what_a_stop_leaves_unfinished_the_next_attempt_finishes(
    base: Path, monkeypatch: pytest.MonkeyPatch, stops: str
) -> None:
    """Else an evaluation would be missing, and early stopping would count otherwise than without the stop."""
    document = job_document(
        training__duration__steps=40,
        evaluation__everySteps=5,
        evaluation__samples__everySteps=5,
        training__earlyStopping={"metric": "loss", "patience": 3, "minDelta": 10.0},
    )
    whole, before, after = Watcher(), Watcher(), Watcher()
    ended = train(base, document, run="whole", observer=whole)
    control, calls, evaluate = Control(), itertools.count(1), loop.evaluate

    def stopping(*arguments: Any, **options: Any) -> Any:
        values = evaluate(*arguments, **options) if stops == "before it generates" else None
        if next(calls) == 2:
            control.stop("SIGTERM")
        return evaluate(*arguments, **options) if values is None else values

    with monkeypatch.context() as patched:
        patched.setattr(loop, "evaluate", stopping)
        stopped = train(base, document, control=control, observer=before)
    assert (stopped.state, stopped.step) == ("Stopped", 10)
    assert 10 not in before.samples
    result = train(base, document, observer=after)
    assert (result.reason, result.step) == (ended.reason, ended.step) == ("EarlyStopped", 20)
    assert before.evaluations | after.evaluations == whole.evaluations
    assert sorted(before.samples | after.samples) == sorted(whole.samples)
    assert losses(base) == losses(base, "whole")


def test_a_stop_in_the_last_evaluation_is_finished_by_the_next_attempt(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    control, evaluate = Control(), loop.evaluate

    def stopping(*arguments: Any, **options: Any) -> Any:
        control.stop("SIGTERM")
        return evaluate(*arguments, **options)

    document = job_document(evaluation__everySteps=None)
    with monkeypatch.context() as patched:
        patched.setattr(loop, "evaluate", stopping)
        stopped = train(base, document, control=control)
    assert (stopped.state, stopped.step, stopped.metrics) == ("Stopped", 20, {})
    result, whole = train(base, document), train(base, document, run="whole")
    assert (result.state, result.step, result.attempt) == ("Succeeded", 20, 2)
    assert result.metrics == whole.metrics != {}


@pytest.mark.parametrize("step", ["20", 1.5, -1, True])
def test_a_step_that_is_no_number_is_refused_at_once(step: Any) -> None:
    with pytest.raises(InputError, match="cannot stop at step"):
        Control(stop_at=step)


def test_the_first_reason_to_stop_counts() -> None:
    control = Control()
    control.stop("SIGTERM")
    control.stop("later")
    assert control.reason == "SIGTERM"


class Paused(Watcher):
    """Sets `then` once the run has paused."""

    then: threading.Event

    def notice(self, message: str) -> None:
        super().notice(message)
        if message.startswith("paused after step"):
            self.then.set()


class StopsIt(threading.Event):
    """Stops the run instead."""

    def __init__(self, control: Control) -> None:
        super().__init__()
        self._control = control

    def set(self) -> None:
        threading.Timer(2 * POLL_S, self._control.stop, ["enough"]).start()


@pytest.mark.parametrize("step", [None, 9])
def test_a_step_to_stop_at_can_be_changed_while_it_runs(base: Path, step: int | None) -> None:
    control = Control(stop_at=6, report=lambda at, values: control.stop_at(step) if at == 5 else None)
    result = train(base, WHOLE, control=control)
    assert result.step == (20 if step is None else 9)
