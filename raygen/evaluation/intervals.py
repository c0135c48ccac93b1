"""How far values of metrics depend on the samples that they are computed from, and which differences are real; needs no PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

GROUPS = 10
"""Groups of samples of the jackknife; sample or batch i is in group i modulo their number."""
STUDENT = 2.2621571628
"""97.5 % quantile of Student's t with one degree of freedom less than there are groups."""
ERROR = "_standard_error"
"""What the name of a metric's own standard error ends in."""


@dataclass(frozen=True)
class Interval:
    """How far a value depends on the choice of samples, all else staying as it is.

    Attributes:
        standard_error: Of the value.
        low: Lower end of the 95 % interval.
        high: Upper end.
        without: The value without each of the groups.
    """

    standard_error: float
    low: float
    high: float
    without: tuple[float, ...]


def jackknife(value: float, without: Sequence[float]) -> Interval | None:
    """The interval of a value by the delete-a-group jackknife (Kott 2001).

    It takes no random numbers, and one value for each group in place of a thousand resamples; and a Frechet distance, which resampling with
    repeats moves up, keeps its place.

    Args:
        value: From all samples.
        without: Without each of the `GROUPS`, in their order.

    Returns:
        None where a value is not finite, or not every group has one.
    """
    if len(without) != GROUPS or not all(map(math.isfinite, [value, *without])):
        return None
    mean = math.fsum(without) / GROUPS
    error = math.sqrt((GROUPS - 1) / GROUPS * math.fsum((part - mean) ** 2 for part in without))
    return Interval(error, value - STUDENT * error, value + STUDENT * error, tuple(without))


def intervals(
    values: Mapping[str, float], compute: Callable[[int], Mapping[str, float]]
) -> dict[str, Interval]:
    """Intervals of values by name; names of standard errors, and what is not finite, are left out.

    Args:
        values: From all samples.
        compute: The values without the group of that number.
    """
    without = [compute(group) for group in range(GROUPS)]
    found = {
        name: jackknife(value, [one.get(name, math.nan) for one in without])
        for name, value in values.items()
        if not name.endswith(ERROR)
    }
    return {name: interval for name, interval in found.items() if interval is not None}


@dataclass(frozen=True)
class Difference:
    """The difference between two values of a metric.

    Attributes:
        value: The second less the first.
        low: Lower end of its 95 % interval; None where a value has none.
        high: Upper end.
    """

    value: float
    low: float | None
    high: float | None

    @property
    def real(self) -> bool | None:
        """Whether the interval leaves 0 out; None where there is none."""
        return None if self.low is None or self.high is None else not self.low <= 0 <= self.high


def difference(first: float, second: float, one: Interval | None, other: Interval | None) -> Difference:
    """The difference of two values, paired by groups.

    Groups that hold the same samples in both, as those of the same validation split, take out what both have in common; groups of samples
    that are independent are as good in pairs as in any other order.
    """
    apart = second - first
    if one is None or other is None:
        return Difference(apart, None, None)
    paired = jackknife(apart, [b - a for a, b in zip(one.without, other.without, strict=True)])
    return Difference(apart, None, None) if paired is None else Difference(apart, paired.low, paired.high)


def recorded(values: Mapping[str, float], found: Mapping[str, Interval]) -> dict[str, dict[str, object]]:
    """Values and their intervals as JSON values; what is not finite is left out."""
    return {
        "values": {name: value for name, value in values.items() if math.isfinite(value)},
        "intervals": {name: asdict(interval) for name, interval in found.items()},
    }
