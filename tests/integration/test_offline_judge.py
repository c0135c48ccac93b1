"""An offline judge that is trained from what the packages carry, on a part of it: that it can tell good from bad, which small random weights cannot."""

from __future__ import annotations

import random

import pytest

from raygen.evaluation.judge import Case, MetricName
from raygen.evaluation.judge.offline import Amounts, LocalJudge, train_judge
from raygen.evaluation.judge.offline.training.corpus import Corpus, packaged_corpus
from raygen.evaluation.text.similarity import similarity
from tests.unit.evaluation.judge.test_prompts import ATTACKS

QUESTION = "When was the bridge opened?"
CONTEXT = (
    "The bridge was opened to traffic in May 1937, after four years of work. It spans the strait between San Francisco and Marin County."
    " The chief engineer was Joseph Strauss. It was the longest suspension bridge in the world until 1964."
)
ORDERED: dict[MetricName, list[str]] = {
    "Groundedness": [
        "The bridge was opened in May 1937.",
        "The bridge was opened in 1957.",
        "Bananas are rich in potassium.",
    ],
    "Relevance": [
        "The bridge was opened in 1937.",
        "The chief engineer was Joseph Strauss.",
        "I don't know.",
    ],
    "Coherence": [
        "The bridge took four years to build. It was opened in 1937. Many people came to see it on that day.",
        "The bridge took four years to build. Bananas are rich in potassium. Quantum physics is hard.",
        "opened bridge the 1937 was in years four build took it",
    ],
    "Fluency": [
        "The bridge took four years to build, and it was opened in 1937.",
        "The bridge take four year to building, and it were open in 1937.",
        "The the bridge bridge the the four the four the years bridge",
    ],
    "Similarity": [
        "It was opened in May 1937.",
        "It was opened in May 1957.",
        "Bananas are rich in potassium.",
    ],
}
"""Answers, the best first."""


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> LocalJudge:
    corpus = packaged_corpus()
    assert len(corpus.passages) > 2000
    assert len(corpus.exchanges) > 500
    random.Random(0).shuffle(passages := list(corpus.passages))
    path = tmp_path_factory.mktemp("judge") / "judge.safetensors"
    some = Corpus(passages[:600], corpus.exchanges, corpus.sources)
    report = train_judge(
        path, corpus=some, amounts=Amounts(sentences=400, pairs=400, talk=250, cases=60, held_out=15)
    )
    assert report.bytes < 60 * 2**20
    assert all(error < 1.5 for error in report.errors.values())
    return LocalJudge(path)


@pytest.mark.parametrize("metric", ORDERED)
def test_better_answers_have_higher_scores(judge: LocalJudge, metric: MetricName) -> None:
    cases = [Case(QUESTION, answer, CONTEXT, "In May 1937.") for answer in ORDERED[metric]]
    scores = [one.expected or 0.0 for one in judge.score(cases, [metric]).scores]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] - scores[-1] > 1


def test_the_judge_of_a_part_hears_the_known_attacks_and_no_answer(judge: LocalJudge) -> None:
    plain = [
        Case(QUESTION, answer, CONTEXT, "In May 1937.")
        for answers in ORDERED.values()
        for answer in answers[:2]
    ]
    before = judge.score(plain, list(ORDERED))
    assert not any("addressed to the judge" in one.explanation for one in before.scores)
    for attack in ATTACKS:
        attacked = [Case(QUESTION, f"{one.answer} {attack}", CONTEXT, one.ground_truth) for one in plain[:2]]
        found = judge.score(attacked, list(ORDERED)).scores
        assert [one.expected for one in found] == [one.expected for one in before.scores[: len(found)]], (
            attack
        )


def test_similarity_follows_meaning(judge: LocalJudge) -> None:
    text = "A plane is taking off."
    others = ["An airplane is taking off.", "A plane is landing.", "A woman is slicing an onion."]
    found = similarity([text] * 3, others)
    assert found == sorted(found, reverse=True)
    assert found == similarity([text] * 3, others, encoder=judge.trained.encoder)
