"""What the tests of records share: sources that are read, and files that are made by hand."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from raygen.data.records.parts import RECORD_BYTES, WHOLE, parts_of, read_part
from raygen.data.records.record import BrokenRecord, Record
from raygen.data.remarks import Remarks
from raygen.spec.data.sources import ResolvedSource


def gather(
    source: ResolvedSource,
    base: Path,
    size: int = WHOLE,
    limit: int = RECORD_BYTES,
    remarks: Remarks | None = None,
) -> list[Record | BrokenRecord]:
    """All records of a source, part by part."""
    remarks = remarks or Remarks()
    return [
        record
        for part in parts_of([source], base, remarks, size)
        for record in read_part(part, source, base, remarks, limit)
    ]


def contents(records: Iterable[Record | BrokenRecord]) -> list[Any]:
    """What sound records hold; of broken ones the reason."""
    return [record.content if isinstance(record, Record) else record.reason for record in records]


def sound(records: Iterable[Record | BrokenRecord]) -> list[Record]:
    return [record for record in records if isinstance(record, Record)]


def broken(records: Iterable[Record | BrokenRecord]) -> list[BrokenRecord]:
    """The broken ones; each must say where it is and what to do."""
    found = [record for record in records if isinstance(record, BrokenRecord)]
    assert all(record.key and record.where and record.reason and record.remedy for record in found)
    return found


def picture(value: int = 0, size: tuple[int, int] = (4, 4), kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("L", size, value).save(buffer, kind)
    return buffer.getvalue()


def write_tar(path: Path, members: Iterable[tuple[str, bytes]], form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path
