"""The parsed text as a tree whose nodes know their lines, and what is made of it: JSON values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from raygen.errors import JobFileError
from raygen.spec.schema.faults import Fault, Location, bare_fault

MAX_NODES = 100_000
MAX_DEPTH = 100


@dataclass
class Scalar:
    """A text, number, truth value or null.

    Attributes:
        value: The value.
        line: Its line, from 1.
        problem: What is wrong with it, as rule and remedy, or None.
    """

    value: Any
    line: int
    problem: tuple[str, str] | None = None


@dataclass
class Items:
    """A list; one node may stand in several places, by aliases."""

    nodes: list[Node]
    line: int


@dataclass
class Pair:
    """A key and its value.

    Attributes:
        key: The key's text.
        value: The value.
        line: The key's line, from 1.
        problem: What is wrong with the key, as rule and remedy, or None.
    """

    key: str
    value: Node
    line: int
    problem: tuple[str, str] | None = None


@dataclass
class Pairs:
    """A map, with every pair of the text, also those whose key is there twice."""

    pairs: list[Pair]
    line: int


Node = Scalar | Items | Pairs
Lines = dict[Location, int | None]
Found = tuple[Location, Fault]


def read(root: Node, where: str) -> tuple[Any, Lines, list[Found]]:
    """The JSON values of a tree, aliases written out.

    Returns:
        The values without those at fault, the line of each, and the faults with their locations.

    Raises:
        JobFileError: aliases make it too large or too deep.
    """
    reader = _Reader(where)
    return reader.value(root, ()), reader.lines, reader.found


def too_large(where: str, line: int) -> NoReturn:
    """Raises what says that there are too many nodes."""
    raise JobFileError(
        f"has more than {MAX_NODES} values, counting what aliases repeat",
        where=f"{where}:{line}",
        remedy="Remove what is repeated.",
    )


def too_deep(where: str, line: int) -> NoReturn:
    """Raises what says that there are too many levels."""
    raise JobFileError(
        f"is nested more than {MAX_DEPTH} levels deep",
        where=f"{where}:{line}",
        remedy="Remove the nesting.",
    )


class _Reader:
    def __init__(self, where: str) -> None:
        self.lines: Lines = {}
        self.found: list[Found] = []
        self._where = where
        self._count = 0

    def value(self, node: Node, location: Location) -> Any:
        self._count += 1
        if self._count > MAX_NODES:
            too_large(self._where, node.line)
        if len(location) > MAX_DEPTH:
            too_deep(self._where, node.line)
        self.lines.setdefault(location, node.line)
        if isinstance(node, Pairs):
            return self._map(node, location)
        if isinstance(node, Items):
            return [self.value(item, (*location, number)) for number, item in enumerate(node.nodes)]
        if node.problem is not None:
            self._refuse(location, node.problem, node.line)
            return None
        return node.value

    def _map(self, node: Pairs, location: Location) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for pair in node.pairs:
            place = (*location, pair.key)
            if pair.problem is not None:
                self._refuse(place, pair.problem, pair.line)
            elif pair.key in values:
                problem = (f"is there twice, first on line {self.lines[place]}", "Remove one of the two.")
                self._refuse(place, problem, pair.line)
            else:
                self.lines[place] = pair.line
                values[pair.key] = self.value(pair.value, place)
        return values

    def _refuse(self, location: Location, problem: tuple[str, str], line: int) -> None:
        self.found.append((location, bare_fault(location, *problem, line)))
