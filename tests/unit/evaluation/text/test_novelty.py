"""What of texts stands in the training data, beside a search for each part."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.evaluation.text.novelty import Span, new_share, novelty
from tests.budget import examples

TEXTS = st.lists(st.text("abc", max_size=10), min_size=1, max_size=4)


def longest_ending(text: str, end: int, documents: list[str]) -> int:
    return max(
        length
        for length in range(end + 2)
        if length == 0 or any(text[end + 1 - length : end + 1] in document for document in documents)
    )


@examples(300)
@given(TEXTS, TEXTS)
def test_each_token_knows_the_longest_part_before_it_that_was_trained_on(
    texts: list[str], documents: list[str]
) -> None:
    found = novelty(texts, documents)
    for text, one in zip(texts, found, strict=True):
        assert one.matched == tuple(longest_ending(text, end, documents) for end in range(len(text)))
        span = one.longest
        part = text[span.start : span.start + span.length]
        assert len(part) == span.length
        assert not part or any(part in document for document in documents)
        for n in range(1, 5):
            parts = [text[start : start + n] for start in range(len(text) - n + 1)]
            new = [part for part in parts if not any(part in document for document in documents)]
            assert one.new_grams(n) == (len(new), len(parts))


def test_a_planted_copy_is_found_where_it_stands() -> None:
    draw = random.Random(0)
    training = [[draw.randrange(5000) for _ in range(2000)] for _ in range(20)]
    text = [draw.randrange(5000) for _ in range(300)]
    text[100:160] = training[7][500:560]
    (found,) = novelty([text], iter(training))
    assert found.longest == Span(100, 60)
    assert new_share([found], 8) > 0.8


def test_nothing_is_found_across_two_documents_or_in_none() -> None:
    (found,) = novelty(["abcd"], ["ab", "cd"])
    assert found.longest.length == 2
    (alone,) = novelty(["abcd"], [])
    assert alone.longest == Span(1, 0) or alone.longest.length == 0
    assert new_share([alone], 1) == 1
    assert novelty([""], ["ab"])[0].longest == Span(0, 0)


def test_shares_need_texts_that_are_long_enough() -> None:
    with pytest.raises(ValueError, match="no text has 5 tokens"):
        new_share(novelty(["abcd"], ["ab"]), 5)
    with pytest.raises(ValueError, match="at least one token"):
        novelty(["abcd"], ["ab"])[0].new_grams(0)
