"""Texts that a judge is trained on, and faults that are put into them."""

from __future__ import annotations

import random
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from raygen.evaluation.judge import MetricName
from raygen.evaluation.judge.offline.fluency import Ngrams, trained_wrong_words
from raygen.evaluation.judge.offline.order import trained_order
from raygen.evaluation.judge.offline.training import faults, talk
from raygen.evaluation.judge.offline.training.cases import Maker, tellable
from raygen.evaluation.judge.offline.training.corpus import Corpus, Exchange, articles, dialogues, split
from tests.budget import examples
from tests.unit.evaluation.judge.offline.tiny import tiny_corpus

SENTENCE = "The bridge, which is long, was opened by Strauss in 1937 (in May) and has many visitors."
DUMP = """<page><title>Bridge</title><text xml:space="preserve">{{Infobox|a={{b}}}}
'''Bridges''' are [[structure|structures]] that span gaps.&lt;ref name="x"&gt;A book.&lt;/ref&gt; They are old. The first one was made of [[wood]].
==History==
The [http://example.org oldest one] is made of stone and still stands. It was built by hand. Nobody knows by whom it was built.
* a list
==References==
This is a note that is no text. It is long enough. It has three sentences here.
</text></page><page><title>Brdge</title><text>#REDIRECT [[Bridge]]</text></page>"""


def test_articles_are_paragraphs_of_whole_sentences() -> None:
    assert [(one.title, one.section, one.text) for one in articles(DUMP)] == [
        (
            "Bridge",
            "History",
            "The oldest one is made of stone and still stands. It was built by hand. Nobody knows by whom it was built.",
        )
    ]


def test_dialogues_are_first_questions_and_answers() -> None:
    text = 'categories: [x]\nconversations:\n- ["Who?", Me., "Really?"]\n- [Alone]\n- ["When?", 1963]\n'
    found = list(dialogues(text))
    assert found == [Exchange("Who?", "Me."), Exchange("When?", "1963")]
    assert tellable([*found, Exchange("How?", "So: ```x = 1```")]) == []


def test_no_article_is_in_both_parts() -> None:
    one, other = split(tiny_corpus(), 0.25, seed=1)
    titles = [{passage.title for passage in part.passages} for part in (one, other)]
    assert not titles[0] & titles[1]
    assert len(titles[1]) == 6
    assert len(one.exchanges) == 18
    assert split(tiny_corpus(), 0.25, seed=1) == (one, other)


@pytest.mark.parametrize("metric", get_args(MetricName))
def test_cases_are_made_with_all_that_their_metric_needs(metric: MetricName) -> None:
    made = Maker(tiny_corpus(), seed=0).made(metric, 40)
    assert len(made) >= 40
    assert made == Maker(tiny_corpus(), seed=0).made(metric, 40)
    assert {1.0, 5.0} <= {round(one.score) + 0.0 for one in made}
    for one in made:
        assert 1 <= one.score <= 5
        assert one.case.answer.strip()
        assert (one.case.context is not None) == (metric == "Groundedness")
        assert (one.case.ground_truth is not None) == (metric == "Similarity")


@given(st.integers(0, 2**32), st.integers(1, 6))
@examples(200)
def test_wrong_words_are_marked_where_they_stand(seed: int, count: int) -> None:
    changed = faults.wrong_words(SENTENCE, count, random.Random(seed))
    assert changed.wrong
    for start, end in changed.wrong:
        assert changed.text[start:end].split() == [changed.text[start:end]]
    outside = [word for word in changed.text.split() if word not in SENTENCE.split()]
    marked = {changed.text[start:end] for start, end in changed.wrong}
    assert set(outside) <= marked


@given(st.integers(0, 2**32))
@examples(50)
def test_wrong_claims_differ_in_what_they_say(seed: int) -> None:
    drawn = random.Random(seed)
    assert "1937" not in (faults.other_number(SENTENCE, drawn) or "1937")
    assert "Strauss" not in (faults.other_name(SENTENCE, ["Brunel"], drawn) or "Strauss")
    assert faults.opposite(SENTENCE) == SENTENCE.replace("is long", "is not long")
    assert faults.opposite("It is not so.") == "It is so."
    assert "(in May)" not in faults.shorter(SENTENCE, drawn)
    assert len(faults.cut(SENTENCE, drawn)) < len(SENTENCE)
    assert len(faults.looped(SENTENCE, drawn)) > len(SENTENCE)
    assert sorted(faults.shuffled(SENTENCE, drawn).text.split()) == sorted(SENTENCE.split())
    assert (
        faults.other_number("None.", drawn)
        is faults.other_name("None.", [], drawn)
        is faults.opposite("None.")
        is None
    )


def test_talk_is_of_different_sentences() -> None:
    drawn = random.Random(0)
    for made in (talk.addressed(300, drawn), talk.about(300, drawn)):
        assert len(set(made)) == len(made) >= 150
        assert not any("{" in one and "}" in one and "reader" in one for one in made)


def test_word_pieces_gain_from_those_before_them() -> None:
    random_ids = np.random.default_rng(0).integers(200, 300, size=(50, 20))
    pattern = np.tile([7, 8, 9, 10], 5)
    ngrams = Ngrams.of([*random_ids, *[pattern] * 20], 400)
    assert ngrams.gains(pattern).mean() > 1
    assert ngrams.gains(np.array([10, 8, 7, 9] * 5))[1:].mean() < 0
    assert np.isfinite(ngrams.gains(np.array([399, 398]))).all()


def test_the_network_for_wrong_words_learns_which_are_wrong() -> None:
    random = torch.Generator().manual_seed(0)
    states = [torch.randn(12, 8, generator=random) for _ in range(200)]
    # A word is wrong whose neighbour to the left has a large first entry.
    wrong = [torch.cat([torch.zeros(1), (one[:-1, 0] > 0.5).float()]) for one in states]
    network = trained_wrong_words(states, wrong, seed=0, hidden=16, epochs=60)
    logits = torch.cat([network(one) for one in states[:50]])
    assert ((logits > 0) == (torch.cat(wrong[:50]) > 0)).float().mean() > 0.9


def test_order_is_learnt_from_pairs() -> None:
    random = np.random.default_rng(0)
    first = random.normal(size=(400, 6)).astype(np.float32)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.concatenate([first[:200] * np.float32(0.99), first[::-1][:200]])
    order = trained_order(first, second, np.repeat([1.0, 0.0], 200))
    assert order.mean([]) == order.mean([None]) > 0  # type: ignore[list-item]
    assert len(order.weights) == 24


def test_a_corpus_of_nothing_has_no_parts() -> None:
    assert split(Corpus([], []), 0.5, seed=0) == (Corpus([], []), Corpus([], []))
