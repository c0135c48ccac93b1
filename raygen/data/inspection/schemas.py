"""What the columns of a source are, by its first file."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from raygen.data.images.formats import HEAD_BYTES
from raygen.data.records.part import Part, PartFile
from raygen.data.records.parts import read_part
from raygen.data.records.record import Record
from raygen.data.remarks import Remarks
from raygen.data.sources.archive import members
from raygen.data.sources.compressed import unpacking
from raygen.data.sources.lines import lines
from raygen.data.text.plain_text import utf8_stream
from raygen.errors import InputError
from raygen.spec import Source
from raygen.spec.data.sources import parse_source, resolved_source

Schema = Mapping[str, str]
"""Name of each column, and what it holds."""

_LONGEST = 64 << 20
"""Bytes of a first line that are read."""
_MEMBERS = 64
"""Members of a tar that are looked at."""
_VALUES = 16
"""Values of a column that are looked at."""
_KINDS = {
    str: "text",
    bool: "true or false",
    int: "whole number",
    float: "number",
    list: "list",
    dict: "object",
    type(None): "null",
}


def schema_of(file: PartFile, source: Source, base: Path) -> Schema:
    """The columns of a file; of a tar the ends of the names in its first samples. None of what has no columns.

    Args:
        file: The first of the source.
        source: Its format and, of the hub, its split.
        base: Folder that relative paths start from.

    Raises:
        DataError: The file cannot be read.
    """
    read = _READERS.get(source.format)
    return {} if read is None else read(file, source, base)


def holds_bytes(kind: str) -> bool:
    """Whether a column of a table that is of this kind holds bytes, or files with their paths."""
    return kind.startswith(("binary", "large_binary")) or (kind.startswith("struct") and "bytes: " in kind)


def heads_of(file: PartFile, source: Source, base: Path, column: str) -> Sequence[bytes]:
    """What the first values of a column of bytes begin with; none where there are none, or they cannot be read.

    Args:
        file: The first of the source.
        source: Its format.
        base: Folder that relative paths start from.
        column: One that `holds_bytes`.
    """
    # What a data set of the library `datasets` has in files of its own is Arrow.
    form = "Parquet" if source.format == "Parquet" else "Arrow"
    fields = {"uri": source.uri, "format": form, "contents": "Images", "field": column}
    # Whoever reads the source is told what is wrong with it.
    with suppress(InputError):
        records = read_part(Part(0, (file,)), resolved_source(parse_source(fields)), base, Remarks())
        contents = [one.content for one in islice(records, _VALUES) if isinstance(one, Record)]
        return [content[:HEAD_BYTES] for content in contents if isinstance(content, bytes)]
    return []


def _first_line(file: PartFile) -> str:
    with file.file.open() as opened:
        stream = utf8_stream(unpacking(opened, file.uri, Remarks()), file.uri)
        for _, line in lines(stream, _LONGEST):
            if line and not line.isspace():
                return line.decode("utf-8", "replace")
    return ""


def _json_lines(file: PartFile, source: Source, base: Path) -> Schema:
    del source, base
    try:
        row = json.loads(_first_line(file))
    except (ValueError, RecursionError):
        return {}
    return {key: _KINDS[type(value)] for key, value in row.items()} if isinstance(row, dict) else {}


def _csv(file: PartFile, source: Source, base: Path) -> Schema:
    del source, base
    # A lone CR, which ended lines on old machines, is no end of a line to `csv`.
    line = _first_line(file).partition("\r")[0]
    found: list[list[str]] = [next(csv.reader([line], delimiter=delimiter), []) for delimiter in ",\t;|"]
    columns = max(found, key=len)
    return dict.fromkeys(columns, "text")


def _parquet(file: PartFile, source: Source, base: Path) -> Schema:
    del source, base
    from raygen.data.records.tables.parquet import metadata_of

    schema = metadata_of(file).schema.to_arrow_schema()
    return {field.name: str(field.type) for field in schema}


def _arrow(file: PartFile, source: Source, base: Path) -> Schema:
    del source, base
    from raygen.data.records.tables.arrow import schema_of as arrow_schema

    return {field.name: str(field.type) for field in arrow_schema(file)}


def _hugging_face(file: PartFile, source: Source, base: Path) -> Schema:
    from raygen.data.records.tables.hugging_face import features_of

    return _arrow(file, source, base) if file.uri != source.uri else features_of(source, base)


def _tar(file: PartFile, source: Source, base: Path) -> Schema:
    del source, base
    found: dict[str, str] = {}
    with file.file.open() as opened:
        stream = unpacking(opened, file.uri, Remarks())
        for member in islice(members(stream, file.uri, Remarks()), _MEMBERS):
            end = member.name.rpartition("/")[2].partition(".")[2].lower()
            if end and not member.reason:
                found.setdefault(end, "member")
    return found


def _mds(file: PartFile, source: Source, base: Path) -> Schema:
    del source, base
    from raygen.data.records.mds import encodings_of

    return encodings_of(file)


_READERS: dict[str, Callable[[PartFile, Source, Path], Schema]] = {
    "JsonLines": _json_lines,
    "Csv": _csv,
    "Parquet": _parquet,
    "Arrow": _arrow,
    "HuggingFace": _hugging_face,
    "Tar": _tar,
    "Mds": _mds,
}
