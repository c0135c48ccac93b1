"""Reads some or all records of a source, and says what they are."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

from raygen.data.cleaning.images import opened
from raygen.data.inspection.guess import LOOKED_AT, format_of, guess_fields
from raygen.data.inspection.schemas import Schema, heads_of, schema_of
from raygen.data.records.listing import part_files
from raygen.data.records.part import Part, PartFile
from raygen.data.records.parts import parts_of, read_part
from raygen.data.records.record import BrokenRecord, Record
from raygen.data.remarks import Remark, Remarks
from raygen.data.sources.files import find_files
from raygen.errors import DataError
from raygen.spec import Source
from raygen.spec.data.cleaning import ImageCleaning
from raygen.spec.data.sources import ResolvedSource, resolved_source

SMALL_BYTES = 256 << 20
"""Data of this size is read as a whole, so that its records can be counted."""
_PART_BYTES = 8 << 20
_SPREAD = 16
"""Parts, evenly spread, of which larger data gives its samples."""
_CLASSES = 50
"""Classes that are listed."""
_FAULTS = 10
"""Broken records that are listed."""


@dataclass
class Survey:
    """What a source holds.

    Attributes:
        source: As a job would name it, guesses included.
        files: Number of files; 0 of a data set on the hub.
        bytes: Their size.
        columns: What its first file has; of a tar the ends of names.
        records: How many records there are; None if nobody has counted.
        read: How many were read and can be used.
        lengths: Shortest, median and longest that was read: characters of texts, bytes of image files.
        classes: The commonest labels that were read, and how many had each.
        samples: Some records, from all over the data.
        broken: The first of those that cannot be used.
        broken_count: How many cannot be used of what was read, such as images that cannot be decoded.
        is_estimate: Whether some of these were not counted, since they are the rest of a damaged file.
        remarks: What was skipped.
    """

    source: Source
    files: int
    bytes: int
    columns: Schema
    records: int | None = None
    read: int = 0
    lengths: tuple[int, float, int] | None = None
    classes: list[tuple[str, int]] = field(default_factory=list)
    samples: list[Record] = field(default_factory=list)
    broken: list[BrokenRecord] = field(default_factory=list)
    broken_count: int = 0
    is_estimate: bool = False
    remarks: Sequence[Remark] = ()


def survey(source: Source, base: Path, count: int, *, everything: bool = False) -> Survey:
    """Looks at a source.

    Args:
        source: Where, and in which format; what else it leaves open is guessed by its columns.
        base: Folder that relative paths start from.
        count: Records to give as samples.
        everything: Whether to read all records, however large the data is.

    Raises:
        DataError: There is nothing, or it cannot be read.
    """
    files = _files(source, base)
    first = _first(files, source)
    columns = schema_of(first, source, base)
    source = guess_fields(source, columns, partial(heads_of, first, source, base))
    resolved, remarks = resolved_source(source), Remarks()
    parts = parts_of([resolved], base, remarks, _PART_BYTES)
    size = sum(file.size for file in files)
    found = Survey(source, 0 if source.is_on_hub else len(files), size, columns)
    counts = [part.records for part in parts if part.records is not None]
    everything = everything or (size <= SMALL_BYTES and not source.is_on_hub)
    _read(found, parts, resolved, base, remarks, count, everything=everything)
    if everything:
        found.records = found.read
    elif len(counts) == len(parts):
        found.records = sum(counts)
    found.remarks = remarks.all()
    return found


def _files(source: Source, base: Path) -> list[PartFile]:
    """The files of a source; of what the library `datasets` reads by itself one that stands for all."""
    if source.is_on_hub:
        return [PartFile(source.uri, source.split or "train", 0)]
    return part_files(find_files(source, base, Remarks()), source, base)


def _first(files: Sequence[PartFile], source: Source) -> PartFile:
    """The first file that holds something and looks like one of the source's format."""
    if source.is_on_hub:
        return files[0]
    if source.format == "HuggingFace":
        saved = [file for file in files if file.uri.endswith(".arrow")]
        return saved[0] if saved else PartFile(source.uri, source.split or "train", 0)
    looked = files[:LOOKED_AT]
    return next((file for file in looked if file.size and format_of(file.file) == source.format), files[0])


def _read(
    found: Survey,
    parts: Sequence[Part],
    source: ResolvedSource,
    base: Path,
    remarks: Remarks,
    count: int,
    *,
    everything: bool,
) -> None:
    draw, lengths, classes = random.Random(0), list[int](), Counter[str]()
    chosen = parts if everything else _spread(parts)
    for record in _records(chosen, source, base, remarks, None if everything else -(-count // len(chosen))):
        if isinstance(record, BrokenRecord):
            found.broken_count += record.records
            found.is_estimate = found.is_estimate or record.is_estimate
            if len(found.broken) < _FAULTS:
                found.broken.append(record)
            continue
        found.read += 1
        lengths.append(len(record.content))
        if record.label is not None:
            classes[str(record.label)] += 1
        # Each record is among the samples with the same chance.
        if len(found.samples) < count:
            found.samples.append(record)
        elif (place := draw.randrange(found.read)) < count:
            found.samples[place] = record
    if lengths:
        found.lengths = (min(lengths), median(lengths), max(lengths))
    found.classes = classes.most_common(_CLASSES)


def _spread(parts: Sequence[Part]) -> list[Part]:
    some = min(len(parts), _SPREAD)
    return [parts[number * len(parts) // some] for number in range(some)]


def _records(
    parts: Sequence[Part], source: ResolvedSource, base: Path, remarks: Remarks, each: int | None
) -> Iterator[Record | BrokenRecord]:
    for part in parts:
        for number, record in enumerate(read_part(part, source, base, remarks)):
            if each is not None and number >= each:
                break
            yield record if isinstance(record, BrokenRecord) else _usable(record)


def _usable(record: Record) -> Record | BrokenRecord:
    """The record, unless it is an image that preparing and training could not decode."""
    if isinstance(record.content, str):
        return record
    try:
        opened(record.content, record.where, ImageCleaning())
    except DataError as error:
        return BrokenRecord.of(record.key, error, record.content, record.where)
    return record
