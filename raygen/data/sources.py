"""Reads documents from files that hold one each, and from JSON lines; compressed or not."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from raygen.data.compressed import unpacked
from raygen.data.files import AnyFile, contents, find_files
from raygen.data.remarks import Remarks
from raygen.data.tokenizers import to_utf8
from raygen.errors import DataError
from raygen.spec import Source
from raygen.spec.messages import nearest

_WIDE = {
    # The mark of 32 bits begins with that of 16.
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Encoding by the byte-order mark at the beginning of a text."""
_BINARY = {
    b"PK\x03\x04": ("a ZIP archive", "Unpack it, for example with unzip, and leave the archive out."),
    b"7z\xbc\xaf\x27\x1c": (
        "a 7-Zip archive",
        "Unpack it, for example with 7z x, and leave the archive out.",
    ),
    b"Rar!\x1a\x07": ("a RAR archive", "Unpack it, for example with unrar x, and leave the archive out."),
    b"\x1f\x9d": ("compressed by compress", "Unpack it with uncompress."),
    b"%PDF-": ("a PDF document", "Extract its text, for example with pdftotext, or leave it out."),
    b"\xd0\xcf\x11\xe0": ("an Office document", "Save it as plain text in UTF-8, or leave it out."),
    b"\x89PNG": ("a PNG image", "Leave it out, for example by a pattern such as *.txt in the uri."),
    b"\xff\xd8\xff": ("a JPEG image", "Leave it out, for example by a pattern such as *.txt in the uri."),
    b"PAR1": ("a Parquet file", "Write the column of the text as JSON lines, and give the format JsonLines."),
    b"ARROW1": (
        "an Arrow file",
        "Write the column of the text as JSON lines, and give the format JsonLines.",
    ),
    b"SQLite format 3\0": (
        "an SQLite database",
        "Write its text as JSON lines, and give the format JsonLines.",
    ),
}
"""What a file is and what to do, by the bytes that it begins with."""
_TAR_AT = 257
_TAR_MAGICS = (b"ustar\0", b"ustar ")
_LISTED = 8


def read_documents(sources: Sequence[Source], base: Path, remarks: Remarks | None = None) -> list[str]:
    """All documents of these sources, in order; files of a folder or glob in the order of their paths.

    Args:
        sources: Where to read.
        base: Folder that relative paths start from.
        remarks: Takes what is skipped.

    Raises:
        DataError: a source is missing, empty, unreadable, not UTF-8 or not JSON lines.
        InputError: a URI has a scheme that this build cannot read.
    """
    remarks = remarks or Remarks()
    documents: list[str] = []
    for source in sources:
        files = find_files(source, base, remarks)
        for file, content in zip(files, contents(files), strict=True):
            documents += _read(file, content, source, remarks)
    if not documents:
        skipped = "".join(f"; {remark}" for remark in remarks.all())
        raise DataError(
            f"the data holds no text{skipped}",
            where=", ".join(source.uri for source in sources),
            remedy="Give files with at least a few thousand characters.",
        )
    return documents


def _read(file: AnyFile, content: bytes, source: Source, remarks: Remarks) -> Iterator[str]:
    text = _decoded(unpacked(content, str(file)), str(file))
    if not text:
        remarks.skipped("file", "it is empty", str(file))
    elif source.format == "JsonLines":
        yield from _lines(text, str(file), source.field or "text", remarks)
    else:
        yield text


def _decoded(content: bytes, path: str) -> str:
    """Text in UTF-8, or as its byte-order mark says."""
    encoding = next((name for mark, name in _WIDE.items() if content.startswith(mark)), "utf-8-sig")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise _not_text(content, path, error) from error
    if content[_TAR_AT : _TAR_AT + 6] in _TAR_MAGICS:
        raise DataError(
            "is a tar archive, and not text", where=path, remedy="Unpack it with tar -xf, and leave it out."
        )
    head = content[:4096]
    if encoding == "utf-8-sig" and len(head) >= 8 and head.count(0) * 4 >= len(head):
        raise DataError(
            "holds a zero in every few bytes, as UTF-16 without a byte-order mark and binary files do",
            where=path,
            remedy="Convert it, for example with iconv -f UTF-16LE -t UTF-8, or leave it out.",
        )
    return text


def _not_text(content: bytes, path: str, error: UnicodeDecodeError) -> DataError:
    for magic, (kind, remedy) in _BINARY.items():
        if content.startswith(magic):
            return DataError(f"is {kind}, and not text", where=path, remedy=remedy)
    if error.encoding.startswith(("utf-16", "utf-32")):
        return DataError(
            f"begins as {error.encoding[:6].upper()}, and is damaged or cut off at offset {error.start}",
            where=path,
            remedy="Restore the file, or leave it out.",
        )
    return DataError(
        f"is not UTF-8 (byte {content[error.start]:#04x} at offset {error.start})",
        where=path,
        remedy="Convert the file to UTF-8, for example with iconv -f LATIN1 -t UTF-8, or leave it out.",
    )


def _lines(text: str, path: str, field: str, remarks: Remarks) -> Iterator[str]:
    # Only "\n" ends a line of JSON lines; str.splitlines would also break at U+2028 inside a string.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        document = _text_of(_row(line, where), field, where)
        if document:
            yield document
        else:
            remarks.skipped("line", "its text is null" if document is None else "its text is empty", where)


def _row(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        if line.strip() == "[":
            raise _one_document("begins a JSON array", ".[]", where) from error
        if line.strip() == "{":
            raise _one_document("begins a JSON object of several lines", ".", where) from error
        raise DataError(
            "is not a JSON object; the line may be cut off",
            where=where,
            remedy="Write one complete JSON object per line.",
        ) from error
    if isinstance(row, list) and row and isinstance(row[0], dict):
        raise _one_document("is a JSON array", ".[]", where)
    if not isinstance(row, dict):
        raise DataError(
            f"is not a JSON object, but {line[:40]!r}",
            where=where,
            remedy="Write one JSON object per line, with the text under the key that `field` names.",
        )
    return row


def _one_document(what: str, query: str, where: str) -> DataError:
    return DataError(
        f"{what}, and JSON lines have one object in each line",
        where=where,
        remedy=f"Convert it, for example with: jq -c '{query}' FILE.json > FILE.jsonl",
    )


def _text_of(row: dict[str, Any], field: str, where: str) -> str | None:
    """The text of a line; None for null, which tables write for a missing one, and NaN, as pandas has it."""
    if field not in row:
        keys = sorted(row)
        close = nearest(field, keys)
        meant = f"Did you mean {close!r}? " if close is not None else ""
        raise DataError(
            f"has no text under the key {field!r}; it has the keys {keys[:_LISTED]}",
            where=where,
            remedy=f"{meant}Name the key that holds the text in the source's `field`.",
        )
    document = row[field]
    if document is None or document != document:
        return None
    if not isinstance(document, str):
        raise DataError(
            f"has {_KINDS[type(document)]} under the key {field!r}, and not a text",
            where=where,
            remedy="Write it as a JSON string, or name the key that holds the text in the source's `field`.",
        )
    try:
        to_utf8(document)
    except DataError as error:
        raise DataError(error.what, where=where, remedy=error.remedy) from error
    return document


_KINDS = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
