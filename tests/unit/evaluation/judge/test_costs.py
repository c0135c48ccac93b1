"""Budgets hold whatever threads do, and end no pass that fits."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.evaluation.judge import Judge, Prices
from raygen.evaluation.judge.costs import Ledger, Usage
from raygen.evaluation.judge.endpoint import TEMPLATE_BYTES
from tests.budget import examples
from tests.unit.evaluation.judge.fake import FakeEndpoint, VirtualClock, cases


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=30), st.integers(0, 500))
@examples(100)
def test_what_is_spent_stays_within_the_budget(sizes: list[tuple[int, int]], budget: int) -> None:
    ledger = Ledger(Prices(1e6, 2e6), budget)

    def send(size: tuple[int, int]) -> bool:
        most = ledger.most(50, 50)
        if not ledger.reserve(most):
            return False
        ledger.settle(most, sent=True, reply=size)
        return True

    with ThreadPoolExecutor(4) as threads:
        sent = list(threads.map(send, sizes))
    assert ledger.usage.cost <= budget
    assert ledger.usage.requests == sum(sent)
    assert ledger.usage.cost == sum(
        size[0] + 2 * size[1] for size, went in zip(sizes, sent, strict=True) if went
    )
    # Nothing is held any more: what is left may be spent.
    assert ledger.reserve(budget - ledger.usage.cost)


def test_who_may_fit_later_waits_for_the_others() -> None:
    ledger = Ledger(Prices(1e6, 1e6), 10.0)
    assert ledger.reserve(8.0)
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(ledger.reserve(8.0)))
    waiting.start()
    ledger.settle(8.0, sent=True, reply=(1, 1))
    waiting.join(30)
    assert answers == [True]
    ledger.settle(8.0, sent=True, reply=(1, 2))
    assert not ledger.reserve(8.0)


def test_an_endpoint_that_does_not_count_costs_the_most(fake: FakeEndpoint) -> None:
    fake.usage = None
    with Judge(fake.endpoint(Prices(1.0, 1.0)), clock=VirtualClock()) as judge:
        usage = judge.score(cases(3), ["Fluency"]).usage
    assert (usage.requests, usage.without_count, usage.input_tokens) == (3, 3, 0)
    size = sum(len(message["content"].encode()) for body in fake.bodies for message in body["messages"])
    size += sum(len(json.dumps(body["response_format"]["json_schema"]["schema"])) for body in fake.bodies)
    assert usage.cost == pytest.approx((size + 3 * TEMPLATE_BYTES + 3 * 400) / 1e6)


def test_a_pass_tells_its_own_usage_and_the_judge_all(fake: FakeEndpoint) -> None:
    with Judge(fake.endpoint(Prices(1.0, 1.0)), clock=VirtualClock()) as judge:
        first = judge.score(cases(3), ["Fluency"]).usage
        second = judge.score(cases(5), ["Fluency"]).usage
        assert (first.requests, second.requests, second.from_cache) == (3, 2, 3)
        assert judge.usage == Usage(5, 3500, 100, pytest.approx(3600e-6), 0, 0, 3)
