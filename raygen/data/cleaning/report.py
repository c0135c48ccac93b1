"""What cleaning did, counted by filter and with examples; reports of parts add up to the same whatever the order."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from raygen.data.remarks import EXAMPLES, printable
from raygen.errors import DataError

BROKEN = "readable"
"""The filter that stands for records which cannot be used."""


@dataclass(frozen=True)
class Example:
    """A record that a filter touched.

    Attributes:
        key: As of a `Record`.
        where: As of a `Record`.
        reason: Why it was left out; empty if it was changed.
        excerpt: What lets people judge, without personal data and secrets: its beginning, the place that was masked, or of an image its size.
    """

    key: str
    where: str
    reason: str = ""
    excerpt: str = ""


@dataclass
class FilterReport:
    """What one filter did.

    Attributes:
        seen: Records that came to it.
        changed: Records that it changed.
        dropped: Records that it left out.
        examples: The first of those it touched, by their keys.
    """

    seen: int = 0
    changed: int = 0
    dropped: int = 0
    examples: list[Example] = field(default_factory=list)

    def wants(self, key: str) -> bool:
        """Whether a record with this key would be among the examples."""
        return len(self.examples) < EXAMPLES or _by_key(key) <= _by_key(self.examples[-1].key)

    def show(self, examples: Iterable[Example]) -> None:
        """Adds examples, and keeps the first of all."""
        found = {example.key: example for example in (*self.examples, *examples)}
        self.examples = [found[key] for key in sorted(found, key=_by_key)[:EXAMPLES]]


@dataclass
class CleaningReport:
    """What cleaning did with some records.

    Attributes:
        records: Records that were looked at, broken ones included.
        changed: Records that were kept with other content.
        dropped: Records that were left out, without broken ones.
        broken: Records that cannot be used.
        filters: What each filter did, in the order in which they are asked.
        is_estimate: Whether some of the broken ones were not counted, since they are the rest of a damaged file; `records`
            has them too.
    """

    records: int = 0
    changed: int = 0
    dropped: int = 0
    broken: int = 0
    filters: dict[str, FilterReport] = field(default_factory=dict)
    is_estimate: bool = False

    @property
    def kept(self) -> int:
        """Records that are left."""
        return self.records - self.dropped - self.broken

    @property
    def left_out(self) -> str:
        """How many records are not left, and by which filters, as the end of a sentence; "" if all are."""
        if self.kept == self.records:
            return ""
        parts = [f"{name} {one.dropped:,}" for name, one in self.filters.items() if one.dropped]
        return (
            f"; of {self.records:,} records {self.records - self.kept:,} were left out ({', '.join(parts)})"
        )

    def of(self, name: str) -> FilterReport:
        """What this filter did; nothing so far, if it is new."""
        return self.filters.setdefault(name, FilterReport())

    def drop(self, name: str, example: Example) -> None:
        """Counts a record that was kept so far and is left out after all, by a filter that sees all records, such as one for duplicates."""
        self.dropped += 1
        of_filter = self.of(name)
        of_filter.dropped += 1
        of_filter.show([example])

    def lose(self, example: Example, records: int = 1, *, is_estimate: bool = False) -> None:
        """Counts a record that cannot be used, which was counted as one that was looked at.

        Args:
            example: The record, and why.
            records: How many it stands for, as of a `BrokenRecord`: the others were never looked at, and are counted here.
            is_estimate: Whether nobody counted these, as of a `BrokenRecord`.
        """
        self.is_estimate = self.is_estimate or is_estimate
        of_filter = self.of(BROKEN)
        self.records += records - 1
        self.broken += records
        of_filter.dropped += records
        # It sees records only where something is cleaned.
        if of_filter.seen:
            of_filter.seen += records - 1
        if of_filter.wants(example.key):
            of_filter.show([example])

    def merged(self, other: CleaningReport) -> CleaningReport:
        """What both did together. Which one comes first decides nothing but the order of filters that one of them does not have."""
        whole = CleaningReport(
            self.records + other.records,
            self.changed + other.changed,
            self.dropped + other.dropped,
            self.broken + other.broken,
            is_estimate=self.is_estimate or other.is_estimate,
        )
        for name in dict.fromkeys([*self.filters, *other.filters]):
            of_filter = whole.of(name)
            for part in (self.filters.get(name), other.filters.get(name)):
                if part is not None:
                    of_filter.seen += part.seen
                    of_filter.changed += part.changed
                    of_filter.dropped += part.dropped
                    of_filter.show(part.examples)
        return whole

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    @staticmethod
    def from_json(document: dict[str, Any]) -> CleaningReport:
        """The report that `to_json` wrote."""
        filters = {
            name: FilterReport(**part | {"examples": [Example(**example) for example in part["examples"]]})
            for name, part in document["filters"].items()
        }
        return CleaningReport(**document | {"filters": filters})


def check_share(report: CleaningReport, limit: float) -> None:
    """Refuses data of which too much is broken.

    Args:
        report: Of all records so far.
        limit: `data.cleaning.maxBrokenShare`.

    Raises:
        DataError: More than this share is broken; names some.
    """
    if report.broken <= limit * report.records:
        return
    examples = report.of(BROKEN).examples
    named = "; ".join(f"{printable(example.where)}: {example.reason}" for example in examples)
    about = "about " if report.is_estimate else ""
    more = f"; and {about}{report.broken - len(examples):,} more" if report.broken > len(examples) else ""
    raise DataError(
        f"{about}{report.broken:,} of {report.records:,} records are broken, and at most {limit:.2%} may be: {named}{more}",
        where=examples[0].where if examples else "",
        remedy="Repair them or leave them out, or raise data.cleaning.maxBrokenShare.",
    )


def _by_key(key: str) -> list[tuple[int, int, str]]:
    """Keys in the order in which people count: numbers by their size."""
    parts = re.split(r"([0-9]+)", key)
    # Equal numbers may be written in two ways; keys that differ are never equal here.
    return [*((int(p), len(p), "") if at % 2 else (0, 0, p) for at, p in enumerate(parts))]
