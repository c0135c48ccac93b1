"""Passes of a judge over a real local endpoint: nothing is lost or done twice, whatever the endpoint does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from raygen.errors import DataError, InputError, OutputError
from raygen.evaluation.judge import Case, Endpoint, Judge, Pair, Prices, Retries, Sampling
from tests.unit.evaluation.judge.fake import (
    FAULTS,
    ROOT,
    Body,
    FakeEndpoint,
    VirtualClock,
    cases,
    environment,
    planned,
    reply,
    score_of,
    with_probabilities,
)


def test_a_thousand_calls_with_five_percent_faults_are_neither_lost_nor_doubled(
    fake: FakeEndpoint, tmp_path: Path
) -> None:
    fake.fault = planned(0.05)
    endpoint = fake.endpoint(Prices(1.0, 2.0), timeout_s=4.0)
    with Judge(endpoint, cache=tmp_path, clock=VirtualClock(), retries=Retries(requests=8)) as judge:
        scores = judge.score(cases(1000), ["Relevance"])
    assert [score.case for score in scores.scores] == [str(number) for number in range(1000)]
    assert [score.reason for score in scores.scores] == [None] * 1000
    assert set(fake.faults) == set(FAULTS)
    assert 30 < fake.faults.total() < 80
    users = list(fake.whole)
    assert len(users) == 1000
    assert set(fake.whole.values()) == {1}
    expected = {user.split("What is ")[1].split("?")[0]: score_of(user) for user in users}
    assert {score.case: score.score for score in scores.scores} == expected
    usage = scores.usage
    assert (usage.requests, usage.lost) == (len(fake.bodies), fake.faults.total())
    assert usage.cost == pytest.approx(1000 * (700 * 1.0 + 20 * 2.0) / 1e6)
    before = len(fake.bodies)
    with Judge(endpoint, cache=tmp_path, clock=VirtualClock()) as judge:
        again = judge.score(cases(1000), ["Relevance"])
    assert len(fake.bodies) == before
    assert again.scores == scores.scores
    assert (again.usage.requests, again.usage.from_cache, again.usage.cost) == (0, 1000, 0.0)


INVALID = [
    reply(7),
    reply("five"),
    reply("4"),
    reply(4.0),
    reply(0),
    reply(True),
    reply(None),
    'The score is {"score": 4}',
    '```json\n{"score": 4}\n```',
    '{"score": 4',
    '{"score": 4, "score": 5}',
    '{"score": NaN}',
    '{"score": 4, "confidence": 1}',
    "[4]",
    "4",
    "",
    " ",
    "[" * 100_000,
]


@pytest.mark.parametrize("text", INVALID, ids=lambda text: text[:20])
def test_what_has_to_be_guessed_is_no_score(fake: FakeEndpoint, tmp_path: Path, text: str) -> None:
    fake.reply = lambda body, number: text
    with Judge(fake.endpoint(), cache=tmp_path, clock=VirtualClock()) as judge:
        (score,) = judge.score(cases(1), ["Fluency"]).scores
        assert (score.score, score.expected, score.reason) == (None, None, "InvalidAnswer")
        assert "(3 replies)" in score.detail
        assert len(fake.bodies) == 3
        assert len({body["seed"] for body in fake.bodies}) == 3
    # The judge has answered, if badly: it is not asked the same again.
    with Judge(fake.endpoint(), cache=tmp_path, clock=VirtualClock()) as judge:
        assert judge.score(cases(1), ["Fluency"]).scores == (score,)
    assert len(fake.bodies) == 3


def test_a_reply_that_becomes_valid_is_taken(fake: FakeEndpoint) -> None:
    fake.reply = lambda body, number: reply(7 if number < 2 else 2)
    with Judge(fake.endpoint(), clock=VirtualClock()) as judge:
        (score,) = judge.score(cases(1), ["Fluency"]).scores
    assert (score.score, score.expected) == (2, 2.0)


def test_probabilities_give_the_expected_score(fake: FakeEndpoint) -> None:
    chances = [
        ("4", -0.6931471805599453),
        (" 4", -5.0),
        ("5", -1.3862943611198906),
        ("3", -1.3862943611198906),
    ]
    fake.reply = lambda body, number: with_probabilities(
        [('{"score":', []), ("4", chances), (',"explanation":"fine"}', [])]
    )
    with Judge(fake.endpoint(), sampling=Sampling(samples=5), clock=VirtualClock()) as judge:
        (score,) = judge.score(cases(1), ["Coherence"]).scores
    assert score.score == 4
    assert score.expected == pytest.approx(0.5 * 4 + 0.25 * 5 + 0.25 * 3)
    assert len(fake.bodies) == 1
    assert fake.bodies[0]["logprobs"] is True


def test_without_probabilities_it_is_the_mean_of_the_replies(fake: FakeEndpoint) -> None:
    drawn = [5, 3, 4, 3, 5]
    fake.reply = lambda body, number: reply(drawn[body["seed"] - 10])
    with Judge(fake.endpoint(), sampling=Sampling(samples=5, seed=10), clock=VirtualClock()) as judge:
        (score,) = judge.score(cases(1), ["Coherence"]).scores
    assert (score.expected, score.score) == (4.0, 3)
    assert {body["temperature"] for body in fake.bodies} == {1.0}


def test_the_budget_stops_a_pass_and_keeps_what_was_judged(fake: FakeEndpoint, tmp_path: Path) -> None:
    prices = Prices(1000.0, 1000.0)
    each = (700 + 20) / 1000
    sampling = Sampling(max_tokens=100)
    budget = 25 * each
    with Judge(
        fake.endpoint(prices), cache=tmp_path, budget=budget, sampling=sampling, clock=VirtualClock()
    ) as judge:
        scores = judge.score(cases(100), ["Fluency"])
        assert scores.stopped == "Budget"
        assert judge.usage.cost <= budget
        there = [score for score in scores.scores if score.score is not None]
        assert {score.reason for score in scores.scores if score.score is None} == {"NotJudged"}
        # The next request could have cost some four times as much as it does, so that much is left.
        assert 18 <= len(there) == len(fake.bodies) <= 25
        assert scores.summary("Fluency").without == {"NotJudged": pytest.approx(1 - len(there) / 100)}
        # What is known is answered although nothing more may be sent.
        again = judge.score(cases(100), ["Fluency"])
        assert [score for score in again.scores if score.score is not None] == there
    with Judge(fake.endpoint(prices), cache=tmp_path, sampling=sampling, clock=VirtualClock()) as judge:
        rest = judge.score(cases(100), ["Fluency"])
    assert rest.stopped is None
    assert all(score.score for score in rest.scores)
    assert len(fake.bodies) == 100


KILLED = """
import sys
from raygen.evaluation.judge import Endpoint, Judge, Limits
from tests.unit.evaluation.judge.fake import cases
with Judge(Endpoint("fake", sys.argv[1]), cache=sys.argv[2], limits=Limits(concurrency=4)) as judge:
    judge.score(cases(100), ["Fluency"])
"""


def test_a_pass_that_is_killed_goes_on_without_repeating(fake: FakeEndpoint, tmp_path: Path) -> None:
    waiting, dead = threading.Semaphore(0), threading.Event()

    def hold(body: Body, number: int) -> str:
        if len(fake.bodies) > 40:
            waiting.release()
            dead.wait(60)
        return reply(4)

    fake.reply = hold
    program = subprocess.Popen(
        [sys.executable, "-c", KILLED, fake.url, tmp_path], cwd=ROOT, env=environment()
    )
    for _ in range(4):
        assert waiting.acquire(timeout=120)
    os.kill(program.pid, signal.SIGKILL)
    program.wait()
    dead.set()
    fake.reply = lambda body, number: reply(4)
    (written,) = tmp_path.iterdir()
    kept = written.read_bytes()
    lines = len(kept.splitlines())
    # Four threads have each sent one more request when all that was answered before lies in the file.
    assert 37 <= lines <= 40
    # What a kill in the middle of a write leaves.
    written.write_bytes(kept + kept.splitlines()[0][:50])
    before = len(fake.bodies)
    with Judge(Endpoint("fake", fake.url), cache=tmp_path) as judge:
        scores = judge.score(cases(100), ["Fluency"])
    assert all(score.score == 4 for score in scores.scores)
    assert len(fake.bodies) - before == 100 - lines
    assert scores.usage.from_cache == lines


def test_processes_share_a_cache(fake: FakeEndpoint, tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, fake.url, str(tmp_path)]
    both = [subprocess.Popen(command, cwd=ROOT, env=environment()) for _ in range(2)]
    assert [one.wait(120) for one in both] == [0, 0]
    keys = [json.loads(line)["key"] for path in tmp_path.iterdir() for line in path.read_text().splitlines()]
    assert len(set(keys)) == 100
    before = len(fake.bodies)
    with Judge(Endpoint("fake", fake.url), cache=tmp_path) as judge:
        assert all(score.score for score in judge.score(cases(100), ["Fluency"]).scores)
    assert len(fake.bodies) == before


def test_a_refused_or_filtered_case_does_not_stop_the_others(fake: FakeEndpoint) -> None:
    def picky(body: Body, number: int) -> str | Body | tuple[int, Body, dict[str, str]]:
        user = body["messages"][1]["content"]
        if "What is 1?" in user:
            return 400, {"error": {"message": "maximum context length is 8192 tokens"}}, {}
        if "What is 2?" in user:
            return {"message": {"content": None, "refusal": "I cannot."}, "finish_reason": "stop"}
        return reply(3)

    fake.reply = picky
    with Judge(fake.endpoint(), clock=VirtualClock()) as judge:
        scores = judge.score(cases(4), ["Fluency"])
    assert [score.reason for score in scores.scores] == [None, "Refused", "Filtered", None]
    assert scores.summary("Fluency").without == {"Filtered": 0.25, "Refused": 0.25}


def test_texts_that_cannot_be_judged_are_not_sent(fake: FakeEndpoint) -> None:
    odd = [Case("q", ""), Case("q", " \n"), Case("", "a"), Case("q", "\ud800"), Case("q", "a", id="good")]
    with Judge(fake.endpoint(), clock=VirtualClock()) as judge:
        scores = judge.score(odd, ["Fluency"]).scores
    assert [score.reason for score in scores] == ["EmptyText", "EmptyText", "EmptyText", "InvalidText", None]
    assert scores[-1].case == "good"
    assert len(fake.bodies) == 1


def test_what_a_metric_needs_is_checked_before_anything_is_sent(fake: FakeEndpoint) -> None:
    good = Case("q", "a", context="c", ground_truth="g")
    with Judge(fake.endpoint(), clock=VirtualClock()) as judge:
        with pytest.raises(DataError, match=r"case 1: Groundedness needs 'context'"):
            judge.score([good, Case("q", "a")], ["Fluency", "Groundedness"])
        with pytest.raises(DataError, match=r"pair 0: Similarity needs 'ground_truth'"):
            judge.compare([Pair("q", "a", "b")], "Similarity")
        with pytest.raises(InputError, match="no metric 'Style'"):
            judge.score([good], ["Style"])  # type: ignore[list-item]
        with pytest.raises(InputError, match="no metric 'Style'"):
            judge.compare([], "Style")  # type: ignore[arg-type]
        assert not fake.bodies
        assert len(judge.score([good], ["Groundedness", "Similarity"]).scores) == 2
    assert judge.score([], ["Fluency"]).scores == ()


def test_equal_cases_are_judged_once(fake: FakeEndpoint) -> None:
    with Judge(fake.endpoint(), clock=VirtualClock()) as judge:
        scores = judge.score([Case("q", "a", id=str(number)) for number in range(20)], ["Fluency"]).scores
    assert len(fake.bodies) == 1
    assert len({score.score for score in scores}) == 1


def test_another_model_prompt_or_sampling_is_another_question(fake: FakeEndpoint, tmp_path: Path) -> None:
    def asked(endpoint: Endpoint, sampling: Sampling) -> int:
        before = len(fake.bodies)
        with Judge(endpoint, cache=tmp_path, sampling=sampling, clock=VirtualClock()) as judge:
            judge.score(cases(2), ["Fluency"])
        return len(fake.bodies) - before

    assert asked(Endpoint("one", fake.url), Sampling()) == 2
    assert asked(Endpoint("one", fake.url + "/"), Sampling()) == 0
    assert asked(Endpoint("two", fake.url), Sampling()) == 2
    assert asked(Endpoint("one", fake.url), Sampling(seed=1)) == 2
    assert asked(Endpoint("one", fake.url), Sampling(max_tokens=99)) == 2
    assert asked(Endpoint("one", fake.url), Sampling(temperature=0.5)) == 2


def test_a_cache_that_cannot_be_written_is_told(fake: FakeEndpoint, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be kept"):
        Judge(fake.endpoint(), cache=tmp_path / "file")


def test_progress_counts_what_is_judged(fake: FakeEndpoint) -> None:
    heard: list[tuple[int, int]] = []
    with Judge(fake.endpoint(), clock=VirtualClock()) as judge:
        judge.score(
            [*cases(4), *cases(2)], ["Fluency"], progress=lambda done, total: heard.append((done, total))
        )
    assert heard == [(number, 4) for number in range(1, 5)]
