"""The values that parameters may take, and how the numbers from 0 to 1 are spread over them.

One documented meaning for whatever chooses values: a Real is uniform between its ends, or its logarithm is. An Integer has
the value whose number stands next to a uniform one between half a step below its least and half a step above its
greatest value, or to one whose logarithm is uniform; so on a scale Log the share of k is log((k + 1/2) / (k - 1/2)) of the whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeGuard

from pydantic import JsonValue

from raygen.spec.sweep.parameters import Condition, Parameter

DEFAULT_POINTS = 5


@dataclass(frozen=True)
class Real:
    """Any number between two.

    Attributes:
        path: The field.
        low: The least.
        high: The greatest.
        log: Whether logarithms are spread evenly.
        points: How many of them a grid has.
        when: When it takes part.
    """

    path: str
    low: float
    high: float
    log: bool = False
    points: int = DEFAULT_POINTS
    when: Condition | None = None

    def at(self, unit: float) -> float:
        """The value at a place from 0 to 1."""
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        value = low + unit * (high - low)
        # The way there and back may leave the bounds by a rounding.
        return min(max(math.exp(value) if self.log else value, self.low), self.high)

    @cached_property
    def listed(self) -> tuple[float, ...]:
        """Those of a grid."""
        return tuple(self.at(number / (self.points - 1)) for number in range(self.points))

    def __contains__(self, value: object) -> bool:
        return is_number(value) and self.low <= value <= self.high


@dataclass(frozen=True)
class Integer:
    """A whole number, in steps.

    Attributes:
        path: The field.
        low: The least.
        step: Distance between two.
        count: How many there are.
        log: Whether logarithms are spread evenly.
        when: When it takes part.
    """

    path: str
    low: int
    step: int
    count: int
    log: bool = False
    when: Condition | None = None

    @property
    def high(self) -> int:
        """The greatest."""
        return self.low + (self.count - 1) * self.step

    def at(self, unit: float) -> int:
        """The value at a place from 0 to 1."""
        if self.log:
            low, high = math.log(self._edge), math.log(self.high + self.step / 2)
            place = (math.exp(low + unit * (high - low)) - self.low) / self.step
        else:
            place = unit * self.count - 0.5
        return self.low + min(max(math.floor(place + 0.5), 0), self.count - 1) * self.step

    @property
    def _edge(self) -> float:
        """Half a step below the least, and above 0."""
        return max(self.low - self.step / 2, self.low / 2)

    @cached_property
    def listed(self) -> Sequence[int]:
        """All of them."""
        return range(self.low, self.high + 1, self.step)

    def __contains__(self, value: object) -> bool:
        return is_number(value) and float(value).is_integer() and int(value) in self.listed


@dataclass(frozen=True)
class Choice:
    """One of some values.

    Attributes:
        path: The field.
        values: JSON values.
        when: When it takes part.
    """

    path: str
    values: tuple[JsonValue, ...]
    when: Condition | None = None

    def at(self, unit: float) -> JsonValue:
        """The value at a place from 0 to 1."""
        return self.values[min(int(unit * len(self.values)), len(self.values) - 1)]

    @property
    def listed(self) -> tuple[JsonValue, ...]:
        """All of them."""
        return self.values

    def __contains__(self, value: object) -> bool:
        return any(same(value, one) for one in self.values)


Domain = Real | Integer | Choice
Values = Mapping[str, Any]
"""Values by path, of those parameters that take part."""


def domain_of(parameter: Parameter) -> Domain:
    """The values of a parameter that does not follow another one."""
    log, when = parameter.scale == "Log", parameter.when
    low, high = parameter.low, parameter.high
    if parameter.type == "Choice" and parameter.values is not None:
        return Choice(parameter.path, parameter.values, when)
    if low is None or high is None:
        raise ValueError(f"{parameter.path} has no bounds")
    if parameter.type == "Integer":
        step = parameter.step or 1
        return Integer(parameter.path, int(low), step, int((high - low) // step) + 1, log, when)
    return Real(parameter.path, low, high, log, parameter.points or DEFAULT_POINTS, when)


def same(one: object, other: object) -> bool:
    """Whether two JSON values are the same; true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a JSON value is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)
