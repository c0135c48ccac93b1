"""Reads documents from files that hold one each, and from JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from raygen.data.files import AnyFile, contents, find_files
from raygen.data.tokenizers import to_utf8
from raygen.errors import DataError
from raygen.spec import Source


def read_documents(sources: Sequence[Source], base: Path) -> list[str]:
    """All documents of these sources, in order; files of a folder or glob in the order of their paths.

    Args:
        sources: Where to read.
        base: Folder that relative paths start from.

    Raises:
        DataError: a source is missing, empty, unreadable, not UTF-8 or not JSON lines.
        InputError: a URI has a scheme that this build cannot read.
    """
    documents: list[str] = []
    for source in sources:
        files = find_files(source, base)
        for file, content in zip(files, contents(files), strict=True):
            documents += _read(file, content, source)
    if not documents:
        raise DataError(
            "the data holds no text",
            where=", ".join(source.uri for source in sources),
            remedy="Give files with at least a few thousand characters.",
        )
    return documents


def _read(file: AnyFile, content: bytes, source: Source) -> Iterator[str]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"is not UTF-8 (byte {content[error.start]:#04x} at offset {error.start})",
            where=str(file),
            remedy="Convert the file to UTF-8, for example with iconv, or leave it out.",
        ) from error
    if source.format == "JsonLines":
        yield from _lines(text, str(file), source.field or "text")
    elif text:
        yield text


def _lines(text: str, path: str, field: str) -> Iterator[str]:
    # Only "\n" ends a line of JSON lines; str.splitlines would also break at U+2028 inside a string.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(
                "is not a JSON object; the line may be cut off",
                where=where,
                remedy="Write one complete JSON object per line.",
            ) from error
        document = value.get(field) if isinstance(value, dict) else None
        if not isinstance(document, str):
            known = f"the keys {sorted(value)[:8]}" if isinstance(value, dict) else f"no keys: {line[:40]!r}"
            raise DataError(
                f"has no text under the key {field!r}; it has {known}",
                where=where,
                remedy="Name the key that holds the text in the source's `field`.",
            )
        try:
            to_utf8(document)
        except DataError as error:
            raise DataError(error.what, where=where, remedy=error.remedy) from error
        if document:
            yield document
