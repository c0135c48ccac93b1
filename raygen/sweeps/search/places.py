"""Where values lie from 0 to 1: the way back of `raygen.spec.sweep.domains`."""

from __future__ import annotations

import math
from typing import Any

from raygen.spec.sweep.domains import Choice, Domain, Real, Values, same
from raygen.spec.sweep.space import Space


def place(domain: Domain, value: Any) -> float:
    """A number from 0 to 1 at which a parameter has a value; of several, one in the middle."""
    if isinstance(domain, Choice):
        return (index_of(domain, value) + 0.5) / len(domain.values)
    if isinstance(domain, Real):
        low, high, at = domain.low, domain.high, float(value)
        if domain.log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return min(max((at - low) / (high - low), 0.0), 1.0)
    if not domain.log:
        return (domain.listed.index(int(value)) + 0.5) / domain.count
    # The middle, on a scale of logarithms, of what is rounded to the value; `Integer.at` has the same edges.
    edges = [
        domain.low - domain.step / 2,
        value - domain.step / 2,
        value + domain.step / 2,
        domain.high + domain.step / 2,
    ]
    least = domain.low / 2
    low, left, right, high = (math.log(max(one, least)) for one in edges)
    return ((left + right) / 2 - low) / (high - low)


def index_of(domain: Choice, value: Any) -> int:
    """The place of a value in the list of a Choice."""
    return next(number for number, one in enumerate(domain.values) if same(one, value))


def lies_in(space: Space, values: Values) -> bool:
    """Whether values are those of a point of the space: trials from before it was changed may not be."""
    known: dict[str, Any] = {}
    for domain in space.ordered:
        if space.takes_part(domain, known):
            if domain.path not in values or values[domain.path] not in domain:
                return False
            known[domain.path] = values[domain.path]
    return known.keys() == values.keys()
