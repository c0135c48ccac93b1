"""Mixtures are exact, and a function of weights, seed and position."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from raygen.data.shards.mixture import BLOCK, Mixture, Phase, quotas, tempered

WEIGHTS = st.lists(st.floats(0.001, 1000), min_size=1, max_size=6)


@given(WEIGHTS)
def test_blocks_are_full_and_shares_right(weights: list[float]) -> None:
    counts = quotas(weights)
    assert counts.sum() == BLOCK
    assert (counts > 0).all()
    wanted = BLOCK * np.array(weights) / sum(weights)
    assert (np.abs(counts - wanted) <= len(weights)).all()


@given(WEIGHTS, st.integers(0, 2**32), st.data())
def test_pieces_are_pieces_of_the_whole(weights: list[float], seed: int, data: st.DataObject) -> None:
    changed = [*weights[::-1]]
    phases = [Phase(0, tuple(weights)), Phase(data.draw(st.integers(1, 3 * BLOCK)), tuple(changed))]
    end = 4 * BLOCK
    whole, ranks = Mixture(seed, phases).components(range(end))
    # Each component gives its samples one after the other, whatever the weights, and over every change of them.
    for component in range(len(weights)):
        assert np.array_equal(ranks[whole == component], np.arange(np.count_nonzero(whole == component)))
    again = Mixture(seed, phases)
    for _ in range(4):
        start = data.draw(st.integers(0, end))
        stop = data.draw(st.integers(start, end))
        chosen, counted = again.components(range(start, stop))
        assert np.array_equal(chosen, whole[start:stop])
        assert np.array_equal(counted, ranks[start:stop])


@given(WEIGHTS, st.integers(0, 2**32), st.integers(1, 2 * BLOCK))
def test_a_change_alters_nothing_before_it(weights: list[float], seed: int, start: int) -> None:
    plain = Mixture(seed, [Phase(0, tuple(weights))]).components(range(start))
    changed = Mixture(seed, [Phase(0, tuple(weights)), Phase(start, (*weights[1:], 1.0))]).components(
        range(start)
    )
    assert np.array_equal(plain[0], changed[0])
    assert np.array_equal(plain[1], changed[1])


def test_a_temperature_lifts_small_components() -> None:
    assert tempered([100, 400], [None, None], 1) == [0.25, 1]
    assert tempered([100, 400], [None, None], 2) == [0.5, 1]
    assert tempered([100, 400], [400, None], 1) == [1, 1]
    assert tempered([100, 400], [0, None], 2) == [0, 1]
