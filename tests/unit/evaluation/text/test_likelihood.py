"""Likelihood of texts: sums add up, and the worst passages are those that a search of all windows finds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.evaluation.text.likelihood import likelihood, total, worst_passages
from tests.budget import examples

LOSSES = st.lists(st.lists(st.integers(0, 6).map(float), max_size=12), min_size=1, max_size=4)


def test_a_fair_coin_for_each_bit_costs_eight_bits_a_byte() -> None:
    found = likelihood([math.log(256)] * 5, [1] * 5)
    assert found.perplexity == pytest.approx(256)
    assert found.bits_per_byte == pytest.approx(8)
    # The same bytes in fewer tokens: perplexity is another one, bits per byte are not.
    longer = likelihood([2 * math.log(256), 3 * math.log(256)], np.array([2, 3]))
    assert longer.bits_per_byte == pytest.approx(8)
    assert longer.perplexity == pytest.approx(256**2.5)
    assert likelihood([1e6], [1]).perplexity == math.inf


def test_every_token_of_all_texts_counts_alike() -> None:
    parts = [likelihood([1.0, 2.0], [3, 0]), likelihood([0.5], [2])]
    assert total(parts) == likelihood([1.0, 2.0, 0.5], [3, 0, 2])
    with pytest.raises(ValueError, match="no texts"):
        total([])


def test_the_worst_tokens_come_with_what_stands_around_them() -> None:
    tokens = [["the", "cat", "sat", "xq"], ["on", "zz", "mat"]]
    first, second = worst_passages([[1, 2, 1, 7], [1, 9, 2]], tokens, count=2, around=2)
    assert (first.text, first.start, first.loss) == (1, 1, 9.0)
    assert (first.before, first.tokens, first.after) == (("on",), ("zz",), ("mat",))
    assert (second.before, second.tokens, second.after) == (("cat", "sat"), ("xq",), ())


@examples(60)
@given(LOSSES, st.integers(1, 4), st.integers(1, 6))
def test_windows_are_the_worst_that_overlap_none_before(
    losses: list[list[float]], length: int, count: int
) -> None:
    tokens = [[f"{text}.{place}" for place in range(len(one))] for text, one in enumerate(losses)]
    found = worst_passages(losses, tokens, count=count, length=length)
    every = {
        (text, start): sum(one[start : start + length]) / length
        for text, one in enumerate(losses)
        for start in range(len(one) - length + 1)
    }
    expected: list[tuple[int, int]] = []
    while every and len(expected) < count:
        text, start = max(every, key=lambda at: (every[at], (-at[0], -at[1])))
        expected.append((text, start))
        every = {at: v for at, v in every.items() if at[0] != text or abs(at[1] - start) >= length}
    assert [(one.text, one.start) for one in found] == expected
    assert all(one.tokens == tuple(tokens[one.text][one.start : one.start + length]) for one in found)


@pytest.mark.parametrize(
    ("losses", "sizes", "message"),
    [
        ([], [], "at least 1"),
        ([[1.0]], [[1]], "shape"),
        ([math.nan], [1], "finite"),
        ([-1.0], [1], "not below 0"),
        ([1.0], [1, 2], "whole numbers"),
        ([1.0], [1.5], "whole numbers"),
        ([1.0], [-1], "whole numbers"),
        ([1.0], [0], "no bytes"),
    ],
)
def test_what_is_no_loss_of_tokens_is_refused(losses: list[float], sizes: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        likelihood(losses, sizes)


def test_tokens_of_other_texts_are_refused() -> None:
    with pytest.raises(ValueError, match="losses of 1 texts"):
        worst_passages([[1.0]], [])
    with pytest.raises(ValueError, match="text 0 has 1 losses and 2 tokens"):
        worst_passages([[1.0]], [["a", "b"]])
    with pytest.raises(ValueError, match="at least"):
        worst_passages([[1.0]], [["a"]], count=0)
