"""The trace of a job, as a collector gets it."""

from __future__ import annotations

from typing import Any

import pytest

from raygen.operator import traces
from raygen.operator.kinds import KINDS
from raygen.operator.trainingjob.telemetry import trace
from tests.unit.operator.attempts.world import START, World, job
from tests.unit.operator.collector import Collector, facts


class Traced(World):
    """A world whose statuses are traced as the operator traces them."""

    def __init__(self, document: dict[str, Any], made: traces.Traces) -> None:
        super().__init__(document)
        self._traces = made

    def _do(self, made: Any) -> None:
        seen = self.observed()
        super()._do(made)
        if made.status is not None:
            self._traces.told("TrainingJob", seen.job, made.status)


def world(**changes: Any) -> Traced:
    made = traces.from_environment(KINDS)
    assert made is not None
    document = job(**changes)
    document["metadata"]["uid"] = "01234567-89ab-cdef-0123-456789abcdef"
    return Traced(document, made)


def seconds(span: Any) -> tuple[int, int]:
    """Beginning and end, from when the job was made."""
    times = span.start_time_unix_nano, span.end_time_unix_nano
    return tuple(time // 10**9 - int(START.timestamp()) for time in times)  # type: ignore[return-value]


def test_a_job_that_waited_was_disrupted_and_went_on_is_seen_whole(collector: Collector) -> None:
    one = world(scheduling={"queueName": "research"})
    one.settle()
    one.ray_jobs["tiny-r1"]["spec"]["suspend"] = True
    one.settle()
    one.wait(100)
    one.ray_jobs["tiny-r1"]["spec"]["suspend"] = False
    one.running()
    one.settle()
    one.wait(30)
    one.running(step=5)
    one.settle()
    one.wait(70)
    one.over(status="FAILED", message="the driver ended, exit code 1")
    one.settle()
    one.wait(10)
    one.settle()
    one.running(2)
    one.settle()
    one.wait(20)
    one.running(2, step=50, first=6)
    one.settle()
    one.wait(60)
    one.driver_says(2)
    one.over(2)
    one.settle()
    one._traces.close()
    spans = collector.spans
    whole = "TrainingJob team/tiny"
    expected = {
        whole: (0, 290),
        f"{whole}/Attempt 1": (0, 200),
        "Attempt 1/Queued": (0, 100),
        "Attempt 1/Starting": (100, 130),
        "Attempt 1/Training": (130, 200),
        f"{whole}/Attempt 2": (spans and seconds(spans[f"{whole}/Attempt 2"])[0], 290),
        "Attempt 2/Starting": (spans and seconds(spans[f"{whole}/Attempt 2"])[0], 230),
        "Attempt 2/Training": (230, 290),
    }
    assert {name: seconds(span) for name, span in spans.items()} == expected
    assert {span.trace_id.hex() for span in spans.values()} == {"0123456789abcdef0123456789abcdef"}
    assert facts(spans[whole])["raygen.reason"] == "Completed"
    assert facts(spans[whole])["raygen.attempts"] == 2
    first = spans[f"{whole}/Attempt 1"]
    assert facts(first)["raygen.cause"] == "DriverFailed"
    assert (first.status.code, spans[whole].status.code) == (2, 1), "an error, and none"
    assert "exit code 1" in first.status.message
    (path,) = {path for path, _ in collector.requests}
    assert path == "/v1/traces"


def test_a_job_that_failed_says_so_and_what_was_not_seen_is_left_out(collector: Collector) -> None:
    one = world(attempts={"limit": 1})
    one.settle()
    one.running(step=5)
    one.settle()
    before, one._traces = one._traces, traces.from_environment(KINDS)  # type: ignore[assignment]
    one.wait(50)
    one.over(status="FAILED", message="the driver ended, exit code 1")
    one.settle()
    before.close()
    one._traces.close()
    spans = collector.spans
    assert set(spans) == {"TrainingJob team/tiny", "TrainingJob team/tiny/Attempt 1"}
    assert spans["TrainingJob team/tiny"].status.code == 2
    assert "attempts.limit is 1" in spans["TrainingJob team/tiny"].status.message


def test_memory_of_attempts_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "REMEMBERED", 3)
    one = World()
    one.settle()
    made = trace.JobTrace()
    for number in range(10):
        one.job["metadata"]["uid"] = f"uid-{number}"  # type: ignore[index]
        assert not made.told(one.observed().job, one.status)
    assert len(made._seen) <= 3
