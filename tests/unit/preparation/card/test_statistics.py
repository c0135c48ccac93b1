"""Statistics of parts add up to those of the whole, however the parts are cut and whichever comes first."""

from __future__ import annotations

import itertools
import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.preparation.card.statistics import Counting, Statistics, length_class, summed
from tests.budget import examples

TEXTS = st.lists(st.tuples(st.integers(-1, 2), st.integers(1, 1 << 40), st.integers(0, 1 << 40)), max_size=40)


def counted(texts: list[tuple[int, int, int]]) -> dict[str, object]:
    counting = Counting()
    for text in texts:
        counting.text(*text)
    # As a task leaves it for others.
    document: dict[str, object] = json.loads(json.dumps(counting.to_json()))
    return document


@given(TEXTS, st.lists(st.integers(0, 40), max_size=4), st.randoms(use_true_random=False))
@examples(60)
def test_parts_add_up_in_any_order(
    texts: list[tuple[int, int, int]], cuts: list[int], draw: random.Random
) -> None:
    edges = sorted({0, *cuts, len(texts)})
    parts = [counted(texts[first:end]) for first, end in itertools.pairwise(edges)]
    draw.shuffle(parts)
    assert summed(parts) == summed([counted(texts)])


@given(TEXTS)
@examples(60)
def test_nothing_is_lost(texts: list[tuple[int, int, int]]) -> None:
    for component, found in summed([counted(texts)]).items():
        own = [(tokens, size) for each, tokens, size in texts if each == component]
        assert (found.rows, found.units, found.size) == (
            len(own),
            sum(t for t, _ in own),
            sum(s for _, s in own),
        )
        assert (found.shortest, found.longest) == (min(own)[0], max(own)[0])
        assert sum(found.lengths.values()) == len(own)


@given(st.integers(0, 1 << 50), st.integers(0, 1 << 50))
def test_classes_of_lengths_keep_their_order_and_are_narrow(one: int, other: int) -> None:
    low = length_class(one)
    assert low <= one
    assert one <= 8 or one < low * 1.25
    assert length_class(low) == low
    assert (one <= other) <= (low <= length_class(other))


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_counted_by_channel(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (500, channels, 12, 8), dtype=np.uint8)
    halves = []
    for half in (pixels[:200], pixels[200:]):
        counting = Counting((channels, 12, 8))
        for number, image in enumerate(half):
            counting.image(0, number % 3, image.tobytes())
        halves.append(counting.to_json())
    (found,) = summed(halves).values()
    for channel in range(channels):
        assert found.levels[channel] == np.bincount(pixels[:, channel].ravel(), minlength=256).tolist()
    assert (found.rows, found.units, found.size) == (500, 500, pixels.size)
    assert sum(found.classes.values()) == 500


def test_statistics_of_nothing_are_neutral() -> None:
    some = Statistics(rows=2, units=9, shortest=4, longest=5)
    assert some + Statistics() == some == Statistics() + some
