"""Figures of a pass: means, shares without a score, and where a judge is biased."""

from __future__ import annotations

import json
import re

import pytest
from scipy import stats

from raygen.evaluation.judge import Case, Judge, Pair, Scores
from raygen.evaluation.judge.costs import Usage
from tests.unit.evaluation.judge.fake import Body, FakeEndpoint, VirtualClock, cases, reply


def texts(body: Body) -> dict[str, str]:
    """The fenced texts of a request by name."""
    fence = re.compile(r"<<<([A-Z ]+) ([0-9a-f]+)>>>\n(.*?)\n<<<END", re.DOTALL)
    return {name: text for name, _, text in fence.findall(body["messages"][1]["content"])}


def choosing(better: str) -> str:
    return json.dumps({"better": better, "explanation": "e"})


def test_a_summary_counts_all_cases(fake: FakeEndpoint) -> None:
    given = [5, 4, 4, 7, 2]
    fake.reply = lambda body, number: reply(given[int(texts(body)["QUESTION"].split()[-1][:-1])])
    with Judge(fake.endpoint(), clock=VirtualClock()) as judge:
        scores = judge.score([*cases(5), Case("q", "")], ["Coherence"])
    summary = scores.summary("Coherence")
    assert summary.mean is not None
    assert (summary.mean.value, summary.mean.count, summary.total) == (3.75, 4, 6)
    assert summary.mean.low is not None
    assert summary.mean.high is not None
    assert 2 <= summary.mean.low < 3.75 < summary.mean.high <= 5
    assert summary.counts == {1: 0, 2: 1, 3: 0, 4: 2, 5: 1}
    assert summary.without == {"EmptyText": pytest.approx(1 / 6), "InvalidAnswer": pytest.approx(1 / 6)}
    assert scores.summary("Coherence") == summary


def test_a_judge_that_likes_length_is_seen(fake: FakeEndpoint) -> None:
    fake.reply = lambda body, number: reply(min(len(texts(body)["ANSWER"]) // 10 + 1, 5))
    answers = [Case("q", "x" * size) for size in range(1, 60)]
    with Judge(fake.endpoint(), clock=VirtualClock()) as judge:
        scores = judge.score(answers, ["Fluency"])
    bias = scores.summary("Fluency").length_bias
    assert bias is not None
    expected = [score.expected for score in scores.scores]
    assert bias.value == pytest.approx(stats.spearmanr(expected, range(1, 60)).statistic)
    assert bias.low is not None
    assert bias.low > 0.9


def test_nothing_judged_has_no_figures() -> None:
    summary = Scores((), Usage(), None).summary("Fluency")
    assert (summary.mean, summary.length_bias, summary.total) == (None, None, 0)


def test_an_answer_that_wins_in_both_orders_is_better(fake: FakeEndpoint) -> None:
    def longer(body: Body, number: int) -> str:
        found = texts(body)
        sizes = len(found["ANSWER A"]), len(found["ANSWER B"])
        return choosing("tie" if sizes[0] == sizes[1] else "A" if sizes[0] > sizes[1] else "B")

    fake.reply = longer
    pairs = [Pair("q", "long", "no"), Pair("q", "no", "longer"), Pair("q", "yes", "any", id="same")]
    with Judge(fake.endpoint(), clock=VirtualClock()) as judge:
        found = judge.compare(pairs, "Relevance")
    assert [(one.pair, one.better) for one in found.preferences] == [
        ("0", "first"),
        ("1", "second"),
        ("same", "tie"),
    ]
    assert len(fake.bodies) == 6
    wins, bias, position = found.first_wins(), found.position_bias(), found.first_position()
    assert wins is not None
    assert bias is not None
    assert position is not None
    assert (wins.value, bias.value, position.value) == (0.5, 0.0, 0.5)
    games = found.comparisons("mine", "theirs")
    assert [(one.first, one.second, one.first_share) for one in games] == [
        ("mine", "theirs", share) for share in (1.0, 0.0, 0.5)
    ]


def test_a_judge_that_likes_the_first_place_makes_ties(fake: FakeEndpoint) -> None:
    fake.reply = lambda body, number: choosing("A")
    pairs = [Pair("q", f"one {number}", f"two {number}") for number in range(10)]
    with Judge(fake.endpoint(), clock=VirtualClock()) as judge:
        found = judge.compare(pairs, "Relevance")
    assert {one.better for one in found.preferences} == {"tie"}
    assert {one.positions for one in found.preferences} == {("A", "A")}
    bias, position = found.position_bias(), found.first_position()
    assert bias is not None
    assert position is not None
    assert (bias.value, bias.low, bias.high, position.value) == (1.0, 1.0, 1.0, 1.0)


def test_a_pair_with_an_invalid_order_has_no_preference(fake: FakeEndpoint) -> None:
    fake.reply = lambda body, number: choosing("A" if texts(body)["ANSWER A"] == "one" else "C")
    with Judge(fake.endpoint(), clock=VirtualClock()) as judge:
        found = judge.compare([Pair("q", "one", "two"), Pair("q", "", "b")], "Relevance")
    assert [one.reason for one in found.preferences] == ["InvalidAnswer", "EmptyText"]
    assert found.first_wins() is None
    assert found.position_bias() is None
