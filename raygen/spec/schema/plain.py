"""Takes any Python value for a job's document, and gives JSON values within bounds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from raygen.spec.schema.base import MAX_INT
from raygen.spec.schema.faults import ROOT, Fault, Location, bare_fault, fault

MAX_DEPTH = 100
MAX_VALUES = 100_000

_HUGE = 10**300
"""Beyond every bound of the format, and within what JSON and floats can hold."""

Found = tuple[Location, Fault]


class Plain:
    """JSON values of a document, and the faults of those that JSON cannot hold.

    A value at fault is left out, or null in a list. A float without decimals becomes the integer that it
    is, since JSON and Kubernetes know one kind of number: `tokens: 1e9` is a whole number.

    Attributes:
        document: The JSON values.
        found: Location and fault of each value at fault.
    """

    def __init__(self, document: Any) -> None:
        self.found: list[Found] = []
        self._count = 0
        self.document = self._value(document, ())
        if self._count > MAX_VALUES:
            many = Fault(ROOT, "", f"must have at most {MAX_VALUES} values", "Remove what is repeated.")
            self.found = [((), many)]

    def _value(self, value: Any, location: Location) -> Any:
        self._count += 1
        if self._count > MAX_VALUES:
            return None
        if isinstance(value, Mapping | list | tuple):
            return self._container(value, location)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(value, location)
        if isinstance(value, int):
            return max(min(int(value), _HUGE), -_HUGE)
        if isinstance(value, float):
            return self._number(value, location)
        return self._refuse(location, value, "must be text, a number, true, false, null, a list or a map")

    def _container(self, value: Any, location: Location) -> Any:
        if len(location) >= MAX_DEPTH:
            deep = bare_fault(
                location[:6], f"is nested more than {MAX_DEPTH} levels deep", "Remove the nesting."
            )
            self.found.append((location, deep))
            return None
        if isinstance(value, Mapping):
            return dict(self._items(value, location))
        return [self._value(item, (*location, number)) for number, item in enumerate(value)]

    def _items(self, value: Mapping[Any, Any], location: Location) -> Iterator[tuple[str, Any]]:
        for key, inner in value.items():
            if not isinstance(key, str):
                place = (*location, str(key)[:80]) if isinstance(key, int | float | None) else location
                self.found.append(
                    (place, fault(place, key, "is a key that is not text", "Put the key in quotes."))
                )
            elif _is_broken(key):
                place = (*location, key)
                self.found.append(
                    (place, bare_fault(place, "is a key that is not Unicode text", "Rename it."))
                )
            else:
                yield key, self._value(inner, (*location, key))

    def _text(self, value: str, location: Location) -> Any:
        if _is_broken(value):
            return self._refuse(location, value, "must be Unicode text, without lone surrogates")
        return str(value)

    def _number(self, value: float, location: Location) -> Any:
        if not math.isfinite(value):
            return self._refuse(location, float(value), "must be a finite number")
        return int(value) if value.is_integer() and abs(value) <= MAX_INT else float(value)

    def _refuse(self, location: Location, value: Any, rule: str) -> None:
        remedy = "Write a number." if isinstance(value, float) else "Write another value."
        self.found.append((location, fault(location, value, rule, remedy)))


def _is_broken(text: str) -> bool:
    return any("\ud800" <= c <= "\udfff" for c in text)
