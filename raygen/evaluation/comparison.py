"""Runs beside each other: their metrics, what they cost, and which differences are real; needs no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raygen.evaluation.intervals import Difference, Interval, difference
from raygen.spec.families.metrics import GENERATED, OF_IMAGES, OF_TEXTS

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """A metric of several runs.

    Attributes:
        name: The metric's.
        unit: Its unit.
        lower_is_better: Which way is a gain.
        values: Of each run; None where it was not measured.
        intervals: Likewise.
        differences: To the first run, of each run after it; None where one of both was not measured.
        not_comparable: Why values do not compare, as a sentence; empty where they do.
    """

    name: str
    unit: str
    lower_is_better: bool
    values: tuple[float | None, ...]
    intervals: tuple[Interval | None, ...]
    differences: tuple[Difference | None, ...]
    not_comparable: str = ""

    @property
    def best(self) -> int | None:
        """Number of the run with the best value; None where not all values are there, two have it, or they do not compare."""
        known = [value for value in self.values if value is not None]
        if len(known) < len(self.values) or self.not_comparable:
            return None
        best = min(known) if self.lower_is_better else max(known)
        return self.values.index(best) if known.count(best) == 1 else None


def rows_of(documents: Sequence[Document]) -> list[Row]:
    """The metrics of evaluations, each of which is a document as `raygen evaluate` keeps it.

    Metrics go together that have the same name and the same settings in all documents that have them.
    """
    names = list(dict.fromkeys(name for one in documents for name in one["lower_is_better"]))
    return [_row(name, documents) for name in names]


def _row(name: str, documents: Sequence[Document]) -> Row:
    those = [one for one in documents if name in one["lower_is_better"]]
    values = tuple(one["values"].get(name) for one in documents)
    intervals = tuple(_interval(one["intervals"].get(name)) for one in documents)
    reason = _apart(name, those)
    first, of_first = values[0], intervals[0]
    differences = tuple(
        None if value is None or first is None or reason else difference(first, value, of_first, interval)
        for value, interval in zip(values[1:], intervals[1:], strict=True)
    )
    kind = those[0]
    return Row(
        name, kind["units"][name], kind["lower_is_better"][name], values, intervals, differences, reason
    )


def _interval(found: Mapping[str, Any] | None) -> Interval | None:
    if found is None:
        return None
    return Interval(found["standard_error"], found["low"], found["high"], tuple(found["without"]))


def _apart(name: str, documents: Sequence[Document]) -> str:
    """Why a metric of these documents does not compare."""
    settings = [next(one for one in document["metrics"] if one["name"] == name) for document in documents]
    if any(one != settings[0] for one in settings):
        return "measured with other settings"
    if settings[0]["type"] in OF_IMAGES:
        for key, word in (("extractor", "extractors"), ("reference", "real images")):
            if any(document.get(key) != documents[0].get(key) for document in documents):
                return f"measured with other {word}"
    if settings[0]["type"] in GENERATED:
        counts = {document["request"]["count"] for document in documents}
        if len(counts) > 1:
            return "measured from other numbers of samples"
    if settings[0]["type"] in OF_TEXTS and len({one["request"].get("max_tokens") for one in documents}) > 1:
        return "measured from texts of other lengths"
    if settings[0]["type"] in OF_IMAGES:
        return ""
    return "measured on other data" if len({document["data"] for document in documents}) > 1 else ""
