"""Last stage: gathers one range of the shuffle from all parts, and writes it as shards."""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from raygen.data.shards.files import IMAGE, LABEL, TOKENS, packed
from raygen.data.shards.index import Shard
from raygen.preparation.context import Context
from raygen.preparation.encoding import VALIDATION, read_encoding
from raygen.preparation.folder import are_there
from raygen.preparation.tables import opened, sorted_rows

MEGABYTE = 1_000_000


def merge(context: Context, item: tuple[int, int, int, bool]) -> dict[str, Any]:
    """Writes the shards of one range.

    Args:
        context: The preparation.
        item: Number of the range, parts, bytes of a picture (0 for text), and whether there are classes.

    Returns:
        The shards of each component, by its number as text.
    """
    number, parts, width, labelled = item
    name = f"merged/{number:06d}"
    done = context.done(name)
    if done is not None and are_there(context, (Shard(**one) for some in done.values() for one in some)):
        return done
    encoding, preparation = read_encoding(context), context.job.spec.preparation
    size = MEGABYTE * (preparation.shard_megabytes if preparation is not None else 8)
    found: dict[int, _Shards] = {}
    for place in range(encoding.slices):
        rows = _slice(context, number * encoding.slices + place, parts)
        for component in np.unique(rows.column("component").to_numpy()).tolist():
            if component not in found:
                folder = "validation" if component == VALIDATION else f"train/{component:03d}"
                found[component] = _Shards(context, f"{folder}/{number:05d}", size, width, labelled)
            found[component].add(rows.filter(pa.compute.equal(rows.column("component"), component)))
    report = {str(component): found[component].finished() for component in sorted(found)}
    return context.finish(name, report)


def _slice(context: Context, group: int, parts: int) -> pa.Table:
    """The rows that all parts have in a slice of a range, in order."""
    tables = []
    for part in range(parts):
        with opened(context.work, f"encoded/{part:06d}.parquet") as table:
            tables.append(table.read_row_group(group))
    # Equal places keep the order of the parts.
    return sorted_rows(pa.concat_tables(tables))


class _Shards:
    """Cuts the rows of a component into shards of about `size` bytes of content, and writes each as soon as it is whole.

    Args:
        context: The preparation.
        key: What the names of the shards begin with.
        size: Bytes of a shard.
        width: Bytes of a picture; 0 for text.
        labelled: Whether there are classes.
    """

    def __init__(self, context: Context, key: str, size: int, width: int, labelled: bool) -> None:
        self._context, self._key, self._size = context, key, size
        self._width, self._labelled = width, labelled
        self._waiting: list[pa.Table] = []
        self._number = self._taken = 0
        self._written: list[dict[str, Any]] = []

    def add(self, rows: pa.Table) -> None:
        """Takes the next rows; at least one."""
        sizes = pa.compute.binary_length(rows.column("content")).to_numpy()
        ends = self._taken + np.cumsum(sizes)
        numbers = ends // self._size
        edges = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(rows)]
        for first, end in pairwise(edges):
            if numbers[first] != self._number:
                self._write()
            self._number = int(numbers[first])
            self._waiting.append(rows.slice(first, end - first))
        self._taken = int(ends[-1])

    def finished(self) -> list[dict[str, Any]]:
        """All shards, once the last is written."""
        self._write()
        return self._written

    def _write(self) -> None:
        if not self._waiting:
            return
        rows = pa.concat_tables(self._waiting).combine_chunks()
        self._waiting = []
        units = int(pa.compute.sum(rows.column("units")).as_py())
        name = f"{self._key}-{len(self._written):05d}.parquet"
        shard, content = packed(name, _columns(rows, self._width, self._labelled), units)
        self._context.place.write(shard.name, content)
        self._written.append(asdict(shard))


def _columns(rows: pa.Table, width: int, labelled: bool) -> pa.Table:
    content = rows.column("content")
    if not width:
        return pa.table({TOKENS: content.cast(pa.binary())})
    kind = pa.binary(width) if width > 0 else pa.binary()
    columns = {IMAGE: content.cast(pa.binary()).cast(kind)}
    if labelled:
        columns[LABEL] = rows.column("label").cast(pa.int32())
    return pa.table(columns)
