"""First stage: reads a part of the sources, cleans its records, and notes what the next stages have to know of each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from raygen.data.images.decoding import decode
from raygen.data.images.files import fitted
from raygen.data.records.parts import read_part
from raygen.data.records.record import BrokenRecord, Record
from raygen.data.remarks import Remarks
from raygen.preparation.context import Context
from raygen.preparation.plan import PlannedPart, sources_of
from raygen.preparation.tables import write_groups
from raygen.spec import Images

CLEAN = pa.schema(
    [
        ("key", pa.large_string()),
        ("order", pa.uint64()),
        ("label", pa.large_string()),
        ("content", pa.large_binary()),
    ]
)
"""Of each record: what it is known by, its place in the shuffle, its label as JSON, and UTF-8 text or pixels."""
_GROUP = 32 << 20
"""Bytes of a group of rows, so that the next stage need not have all of a part in memory."""


def order_of(key: str) -> int:
    """The place of a record in the shuffle: 64 bits of BLAKE2b of its key."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little")


def clean(context: Context, item: tuple[int, PlannedPart]) -> dict[str, Any]:
    """Cleans one part, by its number.

    Returns:
        records, characters, the characters and labels that occur, the size of images, and what was skipped.
    """
    number, planned = item
    name = f"clean/{number:06d}"
    done = context.done(name)
    if done is not None:
        return done
    stage = _Stage(context, planned)
    write_groups(context.work, f"{name}.parquet", CLEAN, stage.groups())
    return context.finish(name, stage.report())


class _Stage:
    def __init__(self, context: Context, planned: PlannedPart) -> None:
        self._context = context
        self._planned = planned
        self._remarks = Remarks()
        self._images = context.job.spec.data.images or Images()
        self._is_text = context.job.spec.data.kind == "text"
        self._records = self._size = 0
        self._characters: set[str] = set()
        self._labels: set[str] = set()
        self._shape: list[int] | None = None

    def report(self) -> dict[str, Any]:
        return {
            "split": self._planned.split,
            "source": self._planned.source,
            "records": self._records,
            "size": self._size,
            "characters": "".join(sorted(self._characters)),
            "labels": sorted(self._labels),
            "shape": self._shape,
            "remarks": [str(remark) for remark in self._remarks.all()],
        }

    def groups(self) -> Iterator[pa.Table]:
        rows: list[tuple[str, int, str, bytes]] = []
        size = 0
        for record in self._read():
            content = self._content(record)
            label = json.dumps(record.label)
            key = f"{self._planned.split}/{self._planned.source}/{record.key}"
            rows.append((key, order_of(key), label, content))
            self._labels.add(label)
            self._records += 1
            self._size += len(content)
            size += len(content)
            if size >= _GROUP:
                yield _table(rows)
                rows, size = [], 0
        yield _table(rows)

    def _read(self) -> Iterator[Record]:
        planned = self._planned
        source = next(
            s
            for split, number, s in sources_of(self._context.job)
            if (split, number) == (planned.split, planned.source)
        )
        for record in read_part(planned.part, source, Path(self._context.base), self._remarks):
            if isinstance(record, BrokenRecord):
                self._remarks.skipped("record", record.reason, record.where)
            else:
                yield record

    def _content(self, record: Record) -> bytes:
        if isinstance(record.content, str):
            self._characters.update(record.content)
            return record.content.encode()
        pixels = fitted(decode(record.content, record.where, self._images, self._remarks), self._images)
        self._shape = self._shape or list(pixels.shape)
        return np.ascontiguousarray(pixels).tobytes()


def _table(rows: list[tuple[str, int, str, bytes]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(CLEAN)
    return pa.table(
        [pa.array(column, kind.type) for column, kind in zip(columns, CLEAN, strict=True)], schema=CLEAN
    )
