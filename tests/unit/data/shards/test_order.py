"""The n-th sample is a function of the data, the seed and n."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.data.shards.order import WindowOrder, shuffled, words

COUNTS = st.lists(st.integers(0, 7), min_size=1, max_size=30).filter(lambda counts: sum(counts) > 0)


def test_the_order_is_the_published_one() -> None:
    """Whoever recomputes it in another language compares with these."""
    assert words(3, 1337, 2, 0, 0).tolist() == [
        7953551111192398040,
        10911519757053904772,
        8747127573068225883,
    ]
    assert shuffled(8, 7, 1, 0).tolist() == [7, 6, 1, 4, 3, 2, 5, 0]
    samples = WindowOrder(1337, [5, 3, 4, 6, 2], 2).samples_at(range(45))
    assert (
        hashlib.sha256(samples.astype("<i8").tobytes()).hexdigest()
        == "5bd7cf49333a1cecf96e1d09e0ae22eb7c9cb7124f602d55098e7657af0da987"
    )


@given(COUNTS, st.integers(1, 9), st.integers(0, 2**32), st.data())
def test_every_epoch_has_each_sample_once(
    counts: list[int], per_window: int, seed: int, data: st.DataObject
) -> None:
    order = WindowOrder(seed, counts, per_window)
    total = sum(counts)
    epoch = data.draw(st.integers(0, 3))
    assert sorted(order.samples_at(range(epoch * total, (epoch + 1) * total)).tolist()) == list(range(total))


@given(COUNTS, st.integers(1, 9), st.integers(0, 2**32), st.data())
def test_any_piece_is_a_piece_of_the_whole(
    counts: list[int], per_window: int, seed: int, data: st.DataObject
) -> None:
    total = sum(counts)
    whole = WindowOrder(seed, counts, per_window).samples_at(range(3 * total))
    order = WindowOrder(seed, counts, per_window)
    for _ in range(5):
        start = data.draw(st.integers(0, 3 * total))
        stop = data.draw(st.integers(start, 3 * total))
        assert np.array_equal(order.samples_at(range(start, stop)), whole[start:stop])


@given(COUNTS, st.integers(1, 9), st.integers(0, 1000))
def test_samples_of_few_shards_stand_together(counts: list[int], per_window: int, seed: int) -> None:
    order = WindowOrder(seed, counts, per_window)
    for window, chosen in order.pieces(range(sum(counts))):
        assert len(window.shards) <= per_window
        shards, places = window.places(chosen)
        assert all(place < window.counts[shard] for shard, place in zip(shards, places, strict=True))


@pytest.mark.parametrize("other", [{"seed": 1}, {"epoch": 1}])
def test_seeds_and_epochs_have_orders_of_their_own(other: dict[str, int]) -> None:
    def order(seed: int = 0, epoch: int = 0) -> list[int]:
        return WindowOrder(seed, [50] * 8, 4).samples_at(range(400 * epoch, 400 * epoch + 400)).tolist()

    assert order() != order(**other)
