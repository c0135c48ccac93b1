"""How requests are repeated, and when a pass gives up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.errors import InputError
from raygen.evaluation.judge import Judge, Limits, Retries
from tests.budget import examples
from tests.unit.evaluation.judge.fake import FakeEndpoint, VirtualClock, cases, reply


@given(st.integers(1, 100), st.text())
@examples(100)
def test_waits_double_up_to_a_bound_and_differ(failures: int, key: str) -> None:
    retries = Retries(first_wait_s=1.0, longest_wait_s=120.0)
    longest = min(2.0 ** (failures - 1), 120.0)
    assert longest / 2 <= retries.wait_s(failures, key) <= longest
    assert retries.wait_s(failures, key) == retries.wait_s(failures, key)
    assert retries.wait_s(failures, key) != retries.wait_s(failures, key + "x")


def test_a_wrong_key_or_model_stops_at_once(fake: FakeEndpoint) -> None:
    for status, body, words in (
        (401, {}, "key"),
        (404, {}, "model"),
        (429, {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}, "quota"),
    ):
        fake.bodies.clear()
        fake.reply = lambda request, number, answer=(status, body, {}): answer
        judge = Judge(fake.endpoint(), limits=Limits(concurrency=2), clock=VirtualClock())
        with judge, pytest.raises(InputError, match=words):
            judge.score(cases(50), ["Fluency"])
        assert len(fake.bodies) <= 2


def test_an_endpoint_that_is_gone_stops_the_pass(fake: FakeEndpoint) -> None:
    fake.fault = lambda body, number: "failed"
    retries = Retries(requests=2, unreachable=5)
    with Judge(fake.endpoint(), limits=Limits(concurrency=1), retries=retries, clock=VirtualClock()) as judge:
        scores = judge.score(cases(50), ["Fluency"])
    assert scores.stopped == "Unreachable"
    assert [score.reason for score in scores.scores] == ["Unreachable"] * 5 + ["NotJudged"] * 45
    assert len(fake.bodies) == 10
    assert "500" in scores.scores[0].detail


def test_waits_that_the_endpoint_asks_for_are_kept(fake: FakeEndpoint) -> None:
    fake.reply = lambda body, number: (429, {}, {"Retry-After": "30"}) if number < 2 else reply(5)
    clock = VirtualClock()
    with Judge(fake.endpoint(), clock=clock) as judge:
        assert judge.score(cases(1), ["Fluency"]).scores[0].score == 5
    assert clock.now() == 60.0
    fake.reply = lambda body, number: (429, {}, {"Retry-After": "3600"})
    with Judge(fake.endpoint(), clock=clock) as judge:
        (score,) = judge.score(cases(1), ["Fluency"]).scores
    assert score.reason == "Unreachable"
    assert clock.now() == 60.0


def test_an_endpoint_that_refuses_everything_stops_the_pass(fake: FakeEndpoint) -> None:
    fake.reply = lambda body, number: (400, {"error": {"message": "this is not a chat model"}}, {})
    judge = Judge(fake.endpoint(), limits=Limits(concurrency=1), clock=VirtualClock())
    with judge, pytest.raises(InputError, match=r"refuses every request: status 400: .*not a chat model"):
        judge.score(cases(50), ["Fluency"])
    assert len(fake.bodies) == 10
