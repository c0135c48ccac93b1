"""What is counted of the samples while they are encoded: whole numbers alone, so that parts add up to the same in any order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

LEVELS = 256
"""Values that a pixel can have."""
_PENDING = 4 << 20
"""Bytes of pixels that are counted at once."""


@dataclass
class Statistics:
    """What is known of some samples' contents.

    Attributes:
        rows: Documents, pieces of long ones counted one by one, or images.
        units: Tokens or images.
        size: Bytes of text in UTF-8, or of pixels.
        shortest: Fewest tokens of a document; None without any.
        longest: Most tokens of a document.
        lengths: Documents by their tokens: least tokens of a class (`length_class`) -> how many.
        classes: Number of the class -> images.
        levels: Of each channel how many pixels have each value: (channels, 256). Empty for text.
    """

    rows: int = 0
    units: int = 0
    size: int = 0
    shortest: int | None = None
    longest: int = 0
    lengths: Counter[int] = field(default_factory=Counter)
    classes: Counter[int] = field(default_factory=Counter)
    levels: list[list[int]] = field(default_factory=list)

    def __add__(self, other: Statistics) -> Statistics:
        shortest = [length for length in (self.shortest, other.shortest) if length is not None]
        if self.levels and other.levels:
            levels = (np.asarray(self.levels) + np.asarray(other.levels)).tolist()
        else:
            levels = self.levels or other.levels
        return Statistics(
            self.rows + other.rows,
            self.units + other.units,
            self.size + other.size,
            min(shortest, default=None),
            max(self.longest, other.longest),
            self.lengths + other.lengths,
            self.classes + other.classes,
            levels,
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON has it: counts become pairs, by ascending number."""
        counts = {"lengths": sorted(self.lengths.items()), "classes": sorted(self.classes.items())}
        return asdict(self) | counts

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> Statistics:
        """The statistics that `to_json` wrote."""
        counts = {name: Counter(dict(document[name])) for name in ("lengths", "classes")}
        return Statistics(**{**document, **counts})


def length_class(length: int) -> int:
    """The least number of tokens of the class that a length is in: lengths that share their first three binary digits."""
    digits = max(length.bit_length() - 3, 0)
    return length >> digits << digits


class Counting:
    """Counts the samples of a task, by component.

    Args:
        shape: Channels, height and width of images; empty for text.
    """

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        self._shape = shape
        self._found: dict[int, Statistics] = {}
        self._pending: dict[int, bytearray] = {}

    def text(self, component: int, tokens: int, size: int) -> None:
        """Counts a document or a piece of one.

        Args:
            component: Which it belongs to.
            tokens: In it, with the one that ends it.
            size: Bytes of UTF-8.
        """
        found = self._of(component)
        found.rows += 1
        found.units += tokens
        found.size += size
        found.shortest = tokens if found.shortest is None else min(found.shortest, tokens)
        found.longest = max(found.longest, tokens)
        found.lengths[length_class(tokens)] += 1

    def image(self, component: int, label: int, pixels: bytes) -> None:
        """Counts an image.

        Args:
            component: Which it belongs to.
            label: Number of its class, 0 where there are none.
            pixels: Its bytes, (channels, height, width).
        """
        found = self._of(component)
        found.rows += 1
        found.units += 1
        found.size += len(pixels)
        found.classes[label] += 1
        pending = self._pending.setdefault(component, bytearray())
        pending += pixels
        if len(pending) >= _PENDING:
            self._count_levels(component)

    def by_component(self) -> dict[int, Statistics]:
        """What was counted so far."""
        for component in self._pending:
            self._count_levels(component)
        return self._found

    def to_json(self) -> dict[str, Any]:
        """The same as JSON, by the component's number as text."""
        return {str(component): found.to_json() for component, found in self.by_component().items()}

    def _of(self, component: int) -> Statistics:
        return self._found.setdefault(component, Statistics())

    def _count_levels(self, component: int) -> None:
        pending = self._pending[component]
        if not pending:
            return
        channels = self._shape[0]
        values = np.frombuffer(bytes(pending), dtype=np.uint8).reshape(
            -1, channels, self._shape[1] * self._shape[2]
        )
        pending.clear()
        levels = [
            np.bincount(values[:, channel].ravel(), minlength=LEVELS).tolist() for channel in range(channels)
        ]
        self._found[component] += Statistics(levels=levels)


def summed(reports: Iterable[Mapping[str, Any]]) -> dict[int, Statistics]:
    """The statistics of several tasks together, by component, from what `Counting.to_json` gave."""
    whole: dict[int, Statistics] = {}
    for report in reports:
        for component, document in report.items():
            number = int(component)
            whole[number] = whole.get(number, Statistics()) + Statistics.from_json(document)
    return dict(sorted(whole.items()))
