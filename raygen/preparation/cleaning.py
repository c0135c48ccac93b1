"""First stage: reads a part of the sources, cleans its records, and notes what the next stages have to know of each."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from raygen.data.cleaning.cleaner import Cleaner
from raygen.data.cleaning.entities import entities
from raygen.data.cleaning.masking import excerpt, mask, unescaped
from raygen.data.cleaning.places import shortening
from raygen.data.cleaning.report import BROKEN, CleaningReport, Example, check_share
from raygen.data.cleaning.signatures import Signatures
from raygen.data.images.decoding import decode
from raygen.data.images.files import fitted, shape_in_words
from raygen.data.records.parts import read_part
from raygen.data.records.record import KEPT_BYTES, BrokenRecord, Record
from raygen.data.remarks import Remarks
from raygen.errors import DataError
from raygen.preparation.context import Context
from raygen.preparation.duplicates import likeness_of
from raygen.preparation.folder import aside
from raygen.preparation.plan import PlannedPart, check_unchanged
from raygen.preparation.sources import source_of
from raygen.preparation.tables import write_groups
from raygen.spec import Images
from raygen.spec.data.cleaning import Masking

CLEAN = pa.schema(
    [
        ("key", pa.large_string()),
        ("where", pa.large_string()),
        ("order", pa.uint64()),
        ("held", pa.uint64()),
        ("label", pa.large_string()),
        ("content", pa.large_binary()),
    ]
)
"""Of each record: what it is known by, where it is, its place in the shuffle, the number that decides whether it is kept for
validation, its label as JSON, and UTF-8 text or pixels. Where duplicates are looked for, its signatures follow."""
BROKEN_SHARE = 0.01
"""Share of records that may be broken, where the job says nothing of cleaning."""
_CUT = 1 << 12
"""Characters before the place where a broken record was cut off, among which may be a part of what is to be masked."""
_JSON = ("JsonLines", "Tar")
"""Formats whose broken records are JSON, or mostly so: what a backslash begins there is an escape."""
_SHOWN_BYTES, _LEAST_LETTERS = 1 << 13, 10
"""Bytes of a broken record that an excerpt is made from; and what more than a tenth of is no UTF-8 is no text."""
_LARGER = 10
"""How many times as many records as in the largest part so far there may be in each of the others, where nobody knows."""
_GROUP = 32 << 20
"""Bytes of a group of rows, so that the next stage need not have all of a part in memory."""


def order_of(key: str) -> int:
    """The place of a record in the shuffle: 64 bits of BLAKE2b of its key."""
    # Names of files are not always UTF-8; then they count by their bytes.
    return int.from_bytes(
        hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "little"
    )


def clean(context: Context, item: tuple[int, PlannedPart]) -> dict[str, Any]:
    """Cleans one part, by its number.

    Returns:
        records that are kept, their size in bytes, the characters that occur, how often each label does, the size of images, what was skipped, and
        what was cleaned.

    Raises:
        DataError: the part cannot be read, or was changed since it was planned.
    """
    number, planned = item
    name = f"clean/{number:06d}"
    done = context.done(name)
    if done is not None:
        return done
    stage = _Stage(context, number, planned)
    try:
        write_groups(context.work, f"{name}.parquet", stage.groups())
    except DataError:
        # That a file is another one now says more than what is wrong with it.
        check_unchanged(context.job, Path(context.base), planned)
        raise
    # After it was read, so that what changes in the meantime is found out too.
    check_unchanged(context.job, Path(context.base), planned)
    stage.set_aside()
    return context.finish(name, stage.report())


class BrokenWatch:
    """Ends the work when too many records are broken, whatever the parts hold that are still to be cleaned.

    Args:
        limit: Largest share of records that may be broken.
        records: How many each part holds at most, where that is known.
    """

    def __init__(self, limit: float, records: Sequence[int | None]) -> None:
        self._limit = limit
        self._parts = len(records)
        known = [count for count in records if count is not None]
        self._total = sum(known) if len(known) == len(records) else None
        self._seen = self._largest = 0
        self._report = CleaningReport()

    def heard(self, report: Mapping[str, Any]) -> None:
        """Takes what was said of one part.

        Raises:
            DataError: too many are broken.
        """
        part = CleaningReport.from_json(report["cleaning"])
        self._report = self._report.merged(part)
        self._seen += 1
        self._largest = max(self._largest, part.records)
        total = self._total
        if total is None:
            total = self._report.records + (self._parts - self._seen) * self._largest * _LARGER
        if self._report.broken > self._limit * max(total, self._report.records):
            check_share(self._report, self._limit)


@dataclass
class _Rows:
    """Records that wait to be written."""

    rows: list[tuple[str, str, int, int, str, bytes]] = field(default_factory=list)
    signatures: list[Signatures] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    size: int = 0


class _Stage:
    def __init__(self, context: Context, number: int, planned: PlannedPart) -> None:
        data = context.job.spec.data
        self._context = context
        self._number = number
        self._format = source_of(context.job, planned.split, planned.source).format
        self._planned = planned
        self._remarks = Remarks()
        self._images = data.images or Images()
        cleaning = data.cleaning
        self._cleaner = (
            Cleaner(cleaning, data.kind, Path(context.base), self._shown) if cleaning is not None else None
        )
        self._report = self._cleaner.report if self._cleaner is not None else CleaningReport()
        self._duplicates = likeness_of(context.job)
        self._aside: list[bytes] = []
        self._short = shortening(context.base)
        self._size = 0
        self._characters: set[str] = set()
        self._labels: Counter[str] = Counter()
        self._needs_labels = context.job.spec.model.block.takes_classes
        self._shape: list[int] | None = None
        self._first = ""

    def report(self) -> dict[str, Any]:
        """What the stage found, once all groups have been taken."""
        return {
            "split": self._planned.split,
            "source": self._planned.source,
            "records": self._report.kept,
            "size": self._size,
            "characters": "".join(sorted(self._characters)),
            "labels": dict(sorted(self._labels.items())),
            "shape": self._shape,
            "remarks": [asdict(remark) for remark in self._remarks.all()],
            "cleaning": self._report.to_json(),
        }

    def groups(self) -> Iterator[pa.Table]:
        """The records that are kept, some at a time."""
        waiting = _Rows()
        for record in self._kept():
            self._add(record, waiting)
            if waiting.size >= _GROUP:
                yield self._table(waiting)
                waiting = _Rows()
        yield self._table(waiting)

    def set_aside(self) -> None:
        """Writes the broken records of the part, if there are some, one JSON object a line."""
        if self._aside:
            self._context.place.write(aside(self._number), b"".join(self._aside))

    def _kept(self) -> Iterator[Record]:
        planned, job = self._planned, self._context.job
        source = source_of(job, planned.split, planned.source)
        for record in read_part(planned.part, source, Path(self._context.base), self._remarks):
            if self._cleaner is not None:
                answer = self._cleaner.clean(record)
                if isinstance(answer, Record):
                    yield answer
                elif answer.broken:
                    self._put_aside(record, answer.reason)
                continue
            self._report.records += 1
            if isinstance(record, Record):
                yield record
            else:
                self._broken(record, record.reason)

    def _add(self, record: Record, waiting: _Rows) -> None:
        try:
            label = json.dumps(self._label(record))
        except DataError as error:
            self._broken(record, error.what)
            return
        if isinstance(record.content, str):
            self._characters.update(record.content)
            content = record.content.encode("utf-8", "surrogatepass")
            if self._duplicates is not None:
                waiting.texts.append(record.content)
        else:
            try:
                picture = decode(record.content, record.where, self._images, self._remarks)
            except DataError as error:
                self._broken(record, error.what)
                return
            if self._duplicates is not None:
                waiting.signatures.append(self._duplicates.of_image(picture))
            pixels = fitted(picture, self._images)
            self._check_shape(list(pixels.shape), record.where)
            content = np.ascontiguousarray(pixels).tobytes()
        key = f"{self._planned.split}/{self._planned.source}/{record.key}"
        order, held = order_of(key), order_of(f"validation:{key}")
        waiting.rows.append((_utf8(key), _utf8(record.where), order, held, label, content))
        waiting.size += len(content)
        self._labels[label] += 1
        self._size += len(content)

    def _check_shape(self, shape: list[int], where: str) -> None:
        """Compares an image, once it is fitted, with the first of the part.

        Raises:
            DataError: it has another size or mode.
        """
        if self._shape is None:
            self._shape, self._first = shape, where
        elif shape != self._shape:
            raise DataError(
                f"the image is {shape_in_words(shape)}, and {self._first} is {shape_in_words(self._shape)}",
                where=where,
                remedy="Give spec.data.images.size and mode, so that all become the same.",
            )

    def _label(self, record: Record) -> int | str | None:
        """The label of an image, truth values as numbers; a text has none.

        Raises:
            DataError: it cannot be used, and the model may need it.
        """
        if isinstance(record.content, str):
            return None
        # A table may hold values of any type.
        label: Any = record.label
        if label is None or isinstance(label, int | str):
            return int(label) if isinstance(label, bool) else label
        reason = f"the label is of the type {type(label).__name__}, and neither a whole number nor a text"
        if self._needs_labels:
            raise DataError(reason, where=record.where)
        self._remarks.skipped("label", f"the model needs none, and {reason}", record.where)
        return None

    def _broken(self, record: Record | BrokenRecord, reason: str) -> None:
        shown = self._shown(record) if self._report.of(BROKEN).wants(record.key) else ""
        example = Example(record.key, record.where, reason, shown)
        self._report.lose(example, record.records, is_estimate=record.is_estimate)
        self._put_aside(record, reason)

    def _put_aside(self, record: Record | BrokenRecord, reason: str) -> None:
        content = self._masked(_raw(record)[:KEPT_BYTES], self._masking)
        kept = {
            "key": record.key,
            "where": self._short(record.where),
            "reason": reason,
            "content": base64.b64encode(content).decode(),
        }
        self._aside.append(json.dumps(kept).encode() + b"\n")

    @property
    def _masking(self) -> Masking | None:
        """What the job asks to be masked."""
        cleaning = self._context.job.spec.data.cleaning
        return cleaning.text.masking if cleaning is not None and cleaning.text is not None else None

    def _shown(self, record: Record | BrokenRecord) -> str:
        """What people may see of a broken record in a report: of a text the beginning, all masked that is known by its form."""
        content, asked = _raw(record), self._masking
        masking = (
            Masking(
                entities=asked.entities,
                entity_threshold=asked.entity_threshold,
                entity_model=asked.entity_model,
            )
            if asked
            else Masking()
        )
        text = excerpt(self._masked(content[:_SHOWN_BYTES], masking).decode("utf-8", "replace"))
        if text.count("\ufffd") * _LEAST_LETTERS > len(text):
            text = ""
        if self._context.job.spec.data.kind == "text":
            return text
        least = " or more" if isinstance(record, BrokenRecord) and len(content) == KEPT_BYTES else ""
        return f"{len(content):,} bytes{least}" + (f": {text}" if text else "")

    def _masked(self, content: bytes, masking: Masking | None) -> bytes:
        """What is kept of a broken record, with this masked."""
        if masking is None:
            return content
        if b"\0" in content:
            # Compressed, or in units of several bytes: what is in it has no form to be known by.
            return b""
        raw = content.decode("utf-8", "replace")
        text, _ = _without_secrets(raw, masking)
        # Elsewhere a backslash may be a secret's own, so what the text shows as it stands is masked first.
        escaped = raw if self._format in _JSON else text
        plain = unescaped(escaped)
        if plain != escaped:
            masked, is_found = _without_secrets(plain, masking)
            text = masked if is_found else text
        # Nor has what was cut through.
        return text[: -_CUT if len(content) == KEPT_BYTES else None].encode()

    def _table(self, waiting: _Rows) -> pa.Table:
        columns = list(zip(*waiting.rows, strict=True)) or [()] * len(CLEAN)
        arrays = {kind.name: pa.array(column, kind.type) for column, kind in zip(columns, CLEAN, strict=True)}
        if self._duplicates is not None:
            arrays |= self._duplicates.columns(waiting.texts, waiting.signatures)
        return pa.table(arrays)


def _raw(record: Record | BrokenRecord) -> bytes:
    return record.content if isinstance(record.content, bytes) else record.content.encode("utf-8", "replace")


def _without_secrets(text: str, masking: Masking) -> tuple[str, bool]:
    """The text as it is masked, and whether there was anything to mask."""
    text, counts = mask(text, masking.patterns)
    if not masking.entities:
        return text, bool(counts)
    text, others = entities(masking)(text)
    return text, bool(counts or others)


def _utf8(name: str) -> str:
    """A name as Arrow takes it: with escapes for bytes that are no UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()
