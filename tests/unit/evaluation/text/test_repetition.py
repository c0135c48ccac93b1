"""Repetition within and between texts, beside the formulas written out."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.evaluation.text.repetition import EPSILON, distinct_share, repeated_share, self_bleu
from tests.budget import examples

WORDS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=12)
SETS = st.lists(WORDS, min_size=2, max_size=6)


def grams(text: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(text[start : start + n]) for start in range(len(text) - n + 1)]


def bleu(text: list[str], others: list[list[str]], n: int) -> float:
    """BLEU of one text as its paper has it (Papineni et al. 2002), with the smoothing that self-BLEU takes."""
    logarithms = []
    for size in range(1, n + 1):
        own = Counter(grams(text, size))
        common = sum(
            min(count, max(Counter(grams(one, size))[gram] for one in others)) for gram, count in own.items()
        )
        logarithms.append(math.log((common or EPSILON) / max(sum(own.values()), 1)))
    nearest = min((len(one) for one in others), key=lambda length: (abs(length - len(text)), length))
    penalty = 0.0 if len(text) >= nearest else 1 - nearest / len(text)
    return math.exp(penalty + sum(logarithms) / n)


@examples(100)
@given(SETS, st.integers(1, 4))
def test_self_bleu_is_the_mean_of_each_text_against_the_others(texts: list[list[str]], n: int) -> None:
    each = [bleu(text, texts[:number] + texts[number + 1 :], n) for number, text in enumerate(texts)]
    seen = Counter(token for text in texts for token in set(text))
    expected = sum(each) / len(each) if max(seen.values()) > 1 else 0.0
    assert self_bleu(texts, n) == pytest.approx(expected, rel=1e-12)


def test_self_bleu_of_equal_texts_is_one_and_of_unlike_ones_zero() -> None:
    assert self_bleu([list("the same"), list("the same")]) == pytest.approx(1)
    assert self_bleu([list("abcd"), list("efgh"), list("ijkl")]) == 0
    near, far = [list("to be or not"), list("to be or so")], [list("to be or not"), list("all is well")]
    assert self_bleu(near) > self_bleu(far)


@examples(60)
@given(SETS, st.integers(1, 3))
def test_distinct_and_repeated_shares_count_n_grams(texts: list[list[str]], n: int) -> None:
    every = [gram for text in texts for gram in grams(text, n)]
    if every:
        assert distinct_share(texts, n) == len(set(every)) / len(every)
    for text in texts:
        own = grams(text, n)
        if own:
            assert repeated_share(text, n) == pytest.approx(1 - len(set(own)) / len(own))


def test_a_text_that_runs_in_a_circle_repeats_nearly_all() -> None:
    assert repeated_share(
        ["again", "and", "again", "and", "again", "and", "again", "and", "again"], 2
    ) == pytest.approx(6 / 8)
    assert repeated_share([*range(50)], 4) == 0


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: distinct_share([["a"]], 2), "no text has 2 tokens"),
        (lambda: repeated_share([], 1), "no text has 1 tokens"),
        (lambda: distinct_share([["a"]], 0), "at least one token"),
        (lambda: self_bleu([["a"]]), "there is 1"),
        (lambda: self_bleu([["a"], []]), "a text is empty"),
    ],
)
def test_what_cannot_be_counted_is_refused(call: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call()
