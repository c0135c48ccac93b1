"""Where traces go, and that nobody waits for them."""

from __future__ import annotations

import pytest

from raygen.controller.conditions import moment
from raygen.operator import traces
from raygen.operator.kinds import KINDS
from tests.unit.operator.attempts.world import START
from tests.unit.operator.trainingjob.telemetry.test_trace import world


def test_without_an_address_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in traces.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert traces.from_environment(KINDS) is None


def test_a_collector_that_is_away_keeps_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(traces, "LEAVE_SECONDS", 0.2)
    one = world()
    one.settle()
    one.running(step=5)
    one.settle()
    one.driver_says()
    one.over()
    one.settle()
    assert one.condition() == ("True", "Completed")
    one._traces.close()


def test_any_uid_gives_an_id_of_a_trace() -> None:
    assert 0 < traces.trace_id("not a UUID") < 2**128
    assert moment("2026-01-31T12:00:00Z") == START
