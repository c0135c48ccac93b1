from __future__ import annotations

import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from raygen.data.order import Order, lanes_of
from tests.budget import examples

seeds = st.integers(0, 2**53 - 1)


@examples(200)
@given(seed=seeds, samples=st.integers(1, 300), epoch=st.integers(0, 10**6))
def test_every_epoch_has_each_sample_once(seed: int, samples: int, epoch: int) -> None:
    order = Order(seed, samples)

    dealt = [order.at(epoch * samples + place) for place in range(samples)]

    assert {number for number, _ in dealt} == {epoch}
    assert sorted(index for _, index in dealt) == list(range(samples))


@examples(100)
@given(
    seed=seeds,
    samples=st.integers(1, 50),
    positions=st.lists(st.integers(0, 500), min_size=1, max_size=20),
)
def test_a_sample_depends_on_seed_and_position_alone(seed: int, samples: int, positions: list[int]) -> None:
    order = Order(seed, samples)

    assert [order.at(position) for position in positions] == [Order(seed, samples).at(p) for p in positions]


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = {
        tuple(Order(seed, 50).at(epoch * 50 + place)[1] for place in range(50))
        for seed in range(5)
        for epoch in range(5)
    }

    assert len(orders) == 25


def test_every_place_gets_every_sample_equally_often() -> None:
    order = Order(7, 5)
    counts = np.zeros((5, 5))
    for position in range(5 * 2000):
        counts[position % 5, order.at(position)[1]] += 1

    # Chi-square with 16 degrees of freedom: below 39.3 with probability 0.999.
    assert ((counts - 400) ** 2 / 400).sum() < 39.3


def test_the_order_is_that_of_earlier_releases() -> None:
    """A run continues under a newer release, so that the order may never change, not even with NumPy."""
    order = Order(1337, 1000)
    dealt = np.asarray([order.at(position)[1] for position in range(3000)], dtype="<i8")

    assert dealt[:5].tolist() == [251, 197, 143, 555, 989]
    assert (
        hashlib.sha256(dealt.tobytes()).hexdigest()
        == "3dad552f0459f56e1db3456cb30bf0613b4df0894b675469dc8625942944ea12"
    )


@examples(200)
@given(workers=st.integers(1, 40), lanes=st.integers(1, 300))
def test_workers_share_the_lanes(workers: int, lanes: int) -> None:
    shares = [lanes_of(rank, workers, lanes) for rank in range(workers)]

    assert [lane for share in shares for lane in share] == list(range(lanes))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
