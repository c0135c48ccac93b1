from __future__ import annotations

import math

import pytest
from scipy.stats import binomtest

from raygen.evaluation.ratings.intervals import proportion


@pytest.mark.parametrize(
    ("successes", "count"), [(0, 1), (1, 1), (0, 6), (3, 6), (6, 6), (17, 48), (999, 1000)]
)
def test_a_share_has_wilsons_interval(successes: int, count: int) -> None:
    found = proportion(successes, count)
    expected = binomtest(successes, count).proportion_ci(0.95, "wilson")
    assert found.value == successes / count
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-12, abs=1e-15)
    assert found.count == count


def test_a_share_of_nothing_is_not_defined() -> None:
    found = proportion(0, 0)
    assert math.isnan(found.value)
    assert (found.low, found.high, found.count) == (None, None, 0)
    with pytest.raises(ValueError, match="2 of 1"):
        proportion(2, 1)
