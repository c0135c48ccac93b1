"""What was skipped or converted while data was read, so that nothing is left out or changed without a word."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

EXAMPLES = 5
"""Parts that a remark names; the rest is counted."""


@dataclass(frozen=True)
class Remark:
    """Parts of the data that were skipped or converted for one reason.

    Attributes:
        action: Skipped parts are not trained on; of Converted ones something was changed.
        unit: What is counted: file, line, row, image, ...
        count: How many.
        reason: Why, to follow a colon.
        examples: The first of them: paths, or paths with a line or row.
    """

    action: Literal["Skipped", "Converted"]
    unit: str
    count: int
    reason: str
    examples: tuple[str, ...]

    def __str__(self) -> str:
        more = f" and {self.count - len(self.examples):,} more" if self.count > len(self.examples) else ""
        units = self.unit if self.count == 1 else f"{self.unit}s"
        named = f" ({', '.join(self.examples)}{more})" if self.examples else ""
        return f"{self.count:,} {units} {self.action.lower()}: {self.reason}{named}"


def printable(name: str) -> str:
    """A name with escapes for what no terminal and no JSON takes, as a file's name may hold."""
    if name.isascii() and name.isprintable():
        return name
    plain = name.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in plain)


class Remarks:
    """Gathers remarks by reason."""

    def __init__(self) -> None:
        self._counts: dict[tuple[Literal["Skipped", "Converted"], str, str], int] = {}
        self._examples: dict[tuple[Literal["Skipped", "Converted"], str, str], list[str]] = {}

    def skipped(self, unit: str, reason: str, example: str = "", count: int = 1) -> None:
        """Counts parts that are not trained on; without an example where none has a name of its own."""
        self._add(("Skipped", unit, reason), example, count)

    def converted(self, unit: str, reason: str, example: str, count: int = 1) -> None:
        """Counts parts of which something was changed."""
        self._add(("Converted", unit, reason), example, count)

    def all(self) -> tuple[Remark, ...]:
        """The remarks in the order in which their first parts were read."""
        return tuple(
            Remark(action, unit, count, reason, tuple(self._examples[action, unit, reason]))
            for (action, unit, reason), count in self._counts.items()
        )

    def _add(self, key: tuple[Literal["Skipped", "Converted"], str, str], example: str, count: int) -> None:
        self._counts[key] = self._counts.get(key, 0) + count
        examples = self._examples.setdefault(key, [])
        if example and len(examples) < EXAMPLES:
            examples.append(printable(example))


def merged(remarks: Iterable[Remark]) -> tuple[Remark, ...]:
    """Remarks of several parts as those of the whole: counts of one reason added up, and the first examples."""
    whole: dict[tuple[str, str, str], Remark] = {}
    for remark in remarks:
        key = (remark.action, remark.unit, remark.reason)
        known = whole.get(key)
        whole[key] = remark if known is None else _together(known, remark)
    return tuple(whole.values())


def _together(first: Remark, second: Remark) -> Remark:
    examples = (*first.examples, *second.examples)[:EXAMPLES]
    return replace(first, count=first.count + second.count, examples=examples)
