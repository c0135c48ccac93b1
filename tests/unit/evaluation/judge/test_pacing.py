"""Limits per minute, in virtual time."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.evaluation.judge import Judge, Limits
from raygen.evaluation.judge.pacing import MINUTE, Pacer, SystemClock
from tests.budget import examples
from tests.unit.evaluation.judge.fake import FakeEndpoint, VirtualClock, cases

GOING = threading.Event()


@given(
    st.integers(1, 5),
    st.integers(1, 500),
    st.lists(st.tuples(st.floats(0, 40), st.integers(1, 200)), min_size=1, max_size=40),
)
@examples(100)
def test_no_minute_holds_more_than_the_limits(
    requests: int, tokens: int, asked: list[tuple[float, int]]
) -> None:
    clock = VirtualClock()
    pacer = Pacer(Limits(1, requests, tokens), clock)
    went: list[tuple[float, int]] = []
    for pause, size in asked:
        clock.wait_until(clock.now() + pause, GOING)
        pacer.wait(size, GOING)
        went.append((clock.now(), size))
    for moment, _ in went:
        # Half open: what went out 60 seconds ago does not count any more, but for what floats round.
        window = [size for at, size in went if moment <= at < moment + MINUTE - 1e-6]
        assert len(window) <= requests
        assert sum(window) <= tokens or len(window) == 1


def test_requests_go_out_as_soon_as_they_may() -> None:
    clock = VirtualClock()
    pacer = Pacer(Limits(1, requests_per_minute=3), clock)
    moments = []
    for _ in range(9):
        pacer.wait(1, GOING)
        moments.append(clock.now())
    assert moments == [0.0] * 3 + [60.0] * 3 + [120.0] * 3


def test_a_request_above_the_limit_of_tokens_goes_alone() -> None:
    clock = VirtualClock()
    pacer = Pacer(Limits(1, tokens_per_minute=100), clock)
    moments = []
    for size in (50, 500, 50):
        pacer.wait(size, GOING)
        moments.append(clock.now())
    assert moments == [0.0, 60.0, 120.0]


def test_a_pause_holds_for_all() -> None:
    clock = VirtualClock()
    pacer = Pacer(Limits(), clock)
    pacer.pause(7.5)
    pacer.pause(2.0)
    pacer.wait(1, GOING)
    assert clock.now() == 7.5


def test_a_stop_ends_a_wait() -> None:
    stop = threading.Event()
    pacer = Pacer(Limits(1, requests_per_minute=1), SystemClock())
    pacer.wait(1, stop)
    waiting = threading.Thread(target=pacer.wait, args=(1, stop))
    waiting.start()
    stop.set()
    waiting.join(30)
    assert not waiting.is_alive()


@pytest.mark.parametrize("limits", [Limits(4, requests_per_minute=10), Limits(4, tokens_per_minute=10_000)])
def test_a_pass_keeps_to_the_limits(fake: FakeEndpoint, limits: Limits) -> None:
    clock = VirtualClock()
    moments = []
    fake.reply = lambda body, number: moments.append(clock.now()) or '{"score": 3}'  # type: ignore[func-returns-value]
    with Judge(fake.endpoint(), limits=limits, clock=clock) as judge:
        assert all(score.score == 3 for score in judge.score(cases(40), ["Fluency"]).scores)
    # Ten requests of some 1,000 tokens each go in a minute; 40 take three minutes after the first ten.
    assert 180.0 <= clock.now() <= 300.0
    assert len(moments) == 40
