"""The points of a grid by number, without a list of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from raygen.spec.sweep.domains import Choice, Domain, Integer, Values, same
from raygen.spec.sweep.space import MAX_GRID, Space


class Lattice:
    """All combinations of the values of a space; a Real has those of its grid.

    Points are numbered in the order of the file's parameters, the last one fastest. Where conditions leave a parameter
    out, points with different numbers are the same: the first of them has the first value of each that is left out.

    Args:
        space: The space.

    Attributes:
        size: How many numbers there are.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self.size = space.size

    def values(self, number: int) -> dict[str, Any]:
        """Values of a point, of the parameters that take part."""
        return self._read(number)[0]

    def is_first(self, number: int) -> bool:
        """Whether no point before is the same."""
        return self._read(number)[1]

    def number(self, values: Values) -> int | None:
        """The first number that has these values; None: it is no point of the grid."""
        number, left = 0, len(values)
        for domain in self._space.domains:
            place: int | None = 0
            if domain.path in values:
                place = _place(domain, values[domain.path])
                left -= 1
            if place is None:
                return None
            number = number * len(domain.listed) + place
        return number if left == 0 and self.values(number).keys() == values.keys() else None

    def _read(self, number: int) -> tuple[dict[str, Any], bool]:
        places: dict[str, int] = {}
        for domain in reversed(self._space.domains):
            number, places[domain.path] = divmod(number, len(domain.listed))
        values: dict[str, Any] = {}
        is_first = True
        for domain in self._space.ordered:
            if self._space.takes_part(domain, values):
                values[domain.path] = domain.listed[places[domain.path]]
            elif places[domain.path]:
                is_first = False
        return {one.path: values[one.path] for one in self._space.domains if one.path in values}, is_first


class Untried:
    """The points of a lattice that have not been tried.

    Args:
        lattice: The points.
    """

    def __init__(self, lattice: Lattice) -> None:
        self._lattice = lattice
        self._gone: set[int] = set()
        self._floor = 0

    @property
    def are_many(self) -> bool:
        """Whether there are too many points to look through all of them."""
        return self._lattice.size > MAX_GRID

    def remove(self, values: Values) -> None:
        """These have been tried."""
        number = self._lattice.number(values)
        if number is not None:
            self._gone.add(number)

    def __contains__(self, values: Values) -> bool:
        return self._lattice.number(values) not in self._gone

    def after(self, values: Values) -> dict[str, Any] | None:
        """The next point that has not been tried, in the order of numbers, beginning again behind the last.

        Returns:
            None: there is none; of more than 100,000 points, none among the next 100,000.
        """
        size = self._lattice.size
        start = (self._lattice.number(values) or 0) + 1
        if self.are_many:
            found = self._first(range(start, start + MAX_GRID))
        else:
            # Nothing below the floor is left.
            while self._floor < size and not self._is_left(self._floor):
                self._floor += 1
            start = max(start, self._floor)
            found = self._first(chain(range(start, size), range(self._floor, min(start, size))))
        return None if found is None else self._lattice.values(found % size)

    def _first(self, numbers: Sequence[int] | chain[int]) -> int | None:
        return next((one for one in numbers if self._is_left(one % self._lattice.size)), None)

    def _is_left(self, number: int) -> bool:
        if number in self._gone:
            return False
        if self._lattice.is_first(number):
            return True
        self._gone.add(number)
        return False


def _place(domain: Domain, value: Any) -> int | None:
    """The place of a value in the list of a parameter."""
    if isinstance(domain, Choice):
        return next((place for place, one in enumerate(domain.values) if same(value, one)), None)
    if value not in domain:
        return None
    if isinstance(domain, Integer):
        # 3.0 is 3, which a range finds without a search.
        return domain.listed.index(int(value))
    return domain.listed.index(value) if value in domain.listed else None
