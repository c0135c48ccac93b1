"""Scores of an offline judge: what they depend on, what they do not, and what is told beside them."""

from __future__ import annotations

import random
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from raygen.errors import DataError, InputError
from raygen.evaluation.judge import Case, MetricName
from raygen.evaluation.judge.offline import LocalJudge
from raygen.evaluation.judge.offline import judge as module
from tests.budget import examples
from tests.unit.evaluation.judge.test_prompts import ATTACKS

METRICS: list[MetricName] = list(get_args(MetricName))
CONTEXT = (
    "The bridge was opened to traffic in May 1937, after four years of work. It spans the strait. The chief engineer was Joseph Strauss."
    " It was the longest in the world until 1964. Ships pass below it every day."
)
CASES = [
    Case("When was the bridge opened?", answer, context=CONTEXT, ground_truth="In May 1937.")
    for answer in (
        "It was opened in 1937.",
        "In 1957. It was not easy to build, and Isambard Brunel was the engineer.",
        "the the the bridge",
        "I do not know. Ask Mr. Smith, who was there.",
        "Yes.",
        "日本語の答え。 Ja, nein!",
        "...",
        "x" * 3000,
    )
]


def test_every_case_has_a_score_of_every_metric_in_order(judge: LocalJudge) -> None:
    found = judge.score(CASES, METRICS)
    assert [(one.case, one.metric) for one in found.scores] == [
        (str(n), m) for n in range(len(CASES)) for m in METRICS
    ]
    assert found.stopped is None
    assert found.usage.requests == 0
    for one in found.scores:
        assert one.expected is not None
        assert 1 <= one.expected <= 5
        assert one.score == int(one.expected + 0.5)
        assert one.reason is None
    summary = found.summary("Fluency")
    assert summary.total == len(CASES)
    assert summary.mean is not None


def test_a_score_depends_on_no_other_case(judge: LocalJudge, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = {(one.case, one.metric): one for one in judge.score(_named(CASES), METRICS).scores}
    for size in (1, 3):
        monkeypatch.setattr(module, "AT_ONCE", size)
        monkeypatch.setattr(module, "KEPT", size)
        mixed = _named(CASES)
        random.Random(size).shuffle(mixed)
        fresh = LocalJudge.of(judge.trained)
        assert {(one.case, one.metric): one for one in fresh.score(mixed, METRICS).scores} == whole
        alone = {
            (one.id or "", metric): fresh.score([one], [metric]).scores[0]
            for one in mixed
            for metric in METRICS
        }
        assert alone == whole


def test_a_score_depends_on_no_number_of_threads(judge: LocalJudge, monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    first = LocalJudge.of(judge.trained).score(CASES, METRICS)
    monkeypatch.setattr("raygen.evaluation.text.embeddings.MOST_THREADS", 1)
    assert LocalJudge.of(judge.trained).score(CASES, METRICS) == first
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_an_answer_says_to_its_judge_moves_no_score(judge: LocalJudge, attack: str) -> None:
    cases = [
        Case(one.question, f"{one.answer}{between}{attack}", one.context, one.ground_truth)
        for one in CASES[:2]
        for between in (" ", "\n")
    ]
    plain = judge.score([one for one in CASES[:2] for _ in range(2)], METRICS).scores
    attacked = judge.score(cases, METRICS).scores
    assert [one.expected for one in attacked] == [one.expected for one in plain]
    assert all("addressed to the judge" in one.explanation for one in attacked)


def test_an_answer_of_nothing_but_instructions_has_the_lowest_score(judge: LocalJudge) -> None:
    (score,) = judge.score([Case("What?", ATTACKS[0])], ["Fluency"]).scores
    assert (score.score, score.expected) == (1, 1.0)


def test_what_is_missing_is_told(judge: LocalJudge) -> None:
    case = Case("When?", "Brunel opened it with Nkrumah in 1824.", context=CONTEXT)
    (score,) = judge.score([case], ["Groundedness"]).scores
    assert score.explanation
    (features,) = judge.features([case], "Groundedness")
    assert features.details["numbers"] == "numbers 1824 not in the context"
    assert "nkrumah" in features.details["names"]


def test_texts_without_words_have_no_score(judge: LocalJudge) -> None:
    cases = [Case("What?", " "), Case("\ud800", "text"), Case("What?", "text", context="")]
    found = [
        judge.score([case], ["Groundedness" if case.context == "" else "Relevance"]).scores[0]
        for case in cases
    ]
    assert [one.reason for one in found] == ["EmptyText", "InvalidText", "EmptyText"]
    assert [one.score for one in found] == [None] * 3


def test_what_is_lacking_is_refused(judge: LocalJudge) -> None:
    with pytest.raises(DataError, match="Groundedness needs 'context'"):
        judge.score([Case("What?", "That.")], ["Groundedness"])
    with pytest.raises(InputError, match="no metric 'Style'"):
        judge.score(CASES, ["Style"])  # type: ignore[list-item]
    with pytest.raises(DataError, match="nothing to look at"):
        judge.features([Case("What?", "...")], "Fluency")


def test_an_answer_may_use_the_words_of_a_document_and_not_only_those_of_the_question(
    judge: LocalJudge,
) -> None:
    document = f"{CONTEXT} Cars pay a toll. The colour is orange. People walk there too. What is known of it?"
    cases = [
        Case(document, "The chief engineer was Joseph Strauss."),
        Case("What is known of the chief engineer Joseph Strauss?", "The chief engineer was Joseph Strauss."),
    ]
    said, echoed = (one.values for one in judge.features(cases, "Relevance"))
    assert said["own"] == 1
    assert echoed["own"] < 0.9


def test_progress_is_told(judge: LocalJudge) -> None:
    heard: list[tuple[int, int]] = []
    judge.score(CASES, METRICS, progress=lambda done, total: heard.append((done, total)))
    assert heard == [(40, 40)]


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
@examples(40)
def test_any_text_has_a_score_or_a_reason(judge: LocalJudge, question: str, answer: str, other: str) -> None:
    case = Case(question, answer, other, other)
    found = judge.score([case], METRICS).scores
    assert found == judge.score([case], METRICS).scores
    for one in found:
        assert (one.expected is None) == (one.reason is not None)
        assert one.expected is None or 1 <= one.expected <= 5


def _named(cases: list[Case]) -> list[Case]:
    return [
        Case(one.question, one.answer, one.context, one.ground_truth, id=str(number))
        for number, one in enumerate(cases)
    ]
