"""What a driver answers to its workers, through its store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

import pytest

from raygen.training.engine.control import Control
from raygen.training.engine.store import CONTROL, REPORT, STOP, Table
from raygen.training.facts import Facts
from raygen.training.ray.mailbox import BEGUN, FACTS, RESULT, ClaimedAttempt, Inbox
from raygen.training.ray.steering import Steering
from tests.unit.training.runs import Watcher

OPENED = Facts("f", 10, {}, 1, [], [], 5, {}, {})


@pytest.fixture
def store() -> Table:
    return Table(10)


def steering(store: Table, control: Control, begun: list[Facts]) -> Steering:
    def answer(facts: Facts) -> ClaimedAttempt:
        begun.append(facts)
        return ClaimedAttempt({}, 20, facts.fingerprint)

    return Steering(store, control, Inbox(store, Watcher(), lambda _: None), answer)


def test_an_attempt_begins_once_when_workers_have_opened_it(store: Table) -> None:
    begun: list[Facts] = []
    driver = steering(store, Control(), begun)
    driver.deliver()
    assert begun == []
    store.set(FACTS, json.dumps(asdict(OPENED)))
    driver.deliver()
    driver.deliver()
    assert begun == [OPENED]
    assert json.loads(store.get(BEGUN))["steps"] == 20


def test_no_attempt_begins_for_workers_that_have_failed(store: Table) -> None:
    begun: list[Facts] = []
    store.set(FACTS, json.dumps(asdict(OPENED)))
    store.set(RESULT, json.dumps({"error": "DataError"}))
    steering(store, Control(), begun).deliver()
    assert begun == []
    assert not store.check([BEGUN])


def test_an_answer_to_a_report_has_what_it_has_led_to(store: Table) -> None:
    heard: list[tuple[int, dict[str, float]]] = []

    def report(step: int, values: Mapping[str, float]) -> None:
        heard.append((step, dict(values)))
        control.stop_at(9)

    control = Control(report=report)
    driver = steering(store, control, [])
    store.set(REPORT, json.dumps({"answer": "answer-1-1", "step": 5, "values": {"loss": 0.5}}))
    driver.deliver()
    assert heard == [(5, {"loss": 0.5})]
    assert json.loads(store.get("answer-1-1")) == {"stop": None, "paused": False, "at": 9}
    assert json.loads(store.get(CONTROL)) == {"paused": False, "at": 9}
    control.stop("enough")
    driver.deliver()
    assert driver.stopping
    assert store.get(STOP) == "enough"
