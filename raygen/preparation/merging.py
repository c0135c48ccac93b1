"""Last stage: gathers one range of the shuffle from all parts, and writes it as shards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from raygen.data.shards.files import IMAGE, LABEL, TOKENS, packed
from raygen.data.shards.index import Shard
from raygen.preparation.context import Context
from raygen.preparation.encoding import VALIDATION
from raygen.preparation.folder import are_there
from raygen.preparation.tables import opened

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
    tables = []
    for part in range(parts):
        with opened(context.work, f"encoded/{part:06d}.parquet") as table:
            tables.append(table.read_row_group(number))
    rows = pa.concat_tables(tables)
    # Stable, so that equal places keep the order of the parts.
    rows = rows.take(pa.array(np.argsort(rows.column("order").to_numpy(), kind="stable")))
    report: dict[str, Any] = {}
    preparation = context.job.spec.preparation
    size = MEGABYTE * (preparation.shard_megabytes if preparation is not None else 8)
    for component in np.unique(rows.column("component").to_numpy()).tolist():
        chosen = rows.filter(pa.compute.equal(rows.column("component"), component))
        folder = "validation" if component == VALIDATION else f"train/{component:03d}"
        shards = []
        for place, table in enumerate(_cut(chosen, size)):
            units = int(pa.compute.sum(table.column("units")).as_py())
            key = f"{folder}/{number:05d}-{place:05d}.parquet"
            shard, content = packed(key, _columns(table, width, labelled), units)
            context.place.write(shard.name, content)
            shards.append(asdict(shard))
        report[str(component)] = shards
    return context.finish(name, report)


def _cut(rows: pa.Table, size: int) -> Iterator[pa.Table]:
    """Rows in pieces of about `size` bytes of content."""
    if not len(rows):
        return
    sizes = pa.compute.binary_length(rows.column("content")).to_numpy()
    number = np.cumsum(sizes) // size
    edges = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(rows)]
    for first, end in pairwise(edges):
        yield rows.slice(first, end - first)


def _columns(rows: pa.Table, width: int, labelled: bool) -> pa.Table:
    content = rows.column("content")
    if not width:
        return pa.table({TOKENS: content.cast(pa.binary())})
    kind = pa.binary(width) if width > 0 else pa.binary()
    columns = {IMAGE: content.cast(pa.binary()).cast(kind)}
    if labelled:
        columns[LABEL] = rows.column("label").cast(pa.int32())
    return pa.table(columns)
