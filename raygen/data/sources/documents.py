"""Reads documents from files that hold one each, and from JSON lines; compressed or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from raygen.data.memory import check_files
from raygen.data.remarks import Remarks
from raygen.data.sources.compressed import unpacked
from raygen.data.sources.files import contents, find_files
from raygen.data.text.json_lines import JsonLines
from raygen.data.text.plain_text import text_of
from raygen.errors import DataError
from raygen.spec.data.sources import ResolvedSource

TEXT_COPIES = 3
"""How many times the size of its files a text needs at least: itself, and as much as two times for its tokens, of which each
has four bytes, and which are there twice while they are joined."""
LINES_COPIES = 2
"""How many times the size of the largest file JSON lines need: its content and its text. What is kept of the others cannot
be known."""


def read_documents(
    sources: Sequence[ResolvedSource], base: Path, remarks: Remarks | None = None
) -> list[str]:
    """All documents of these sources, in order; files of a folder or glob in the order of their paths.

    Args:
        sources: Where to read.
        base: Folder that relative paths start from.
        remarks: Takes what is skipped or left out.

    Raises:
        DataError: a source is missing, empty, unreadable, not UTF-8, not JSON lines, or larger than memory.
        InputError: a URI has a scheme that this build cannot read.
    """
    remarks = remarks or Remarks()
    documents: list[str] = []
    for source in sources:
        files = find_files(source, base, remarks)
        if source.format == "JsonLines":
            check_files([max(files, key=lambda file: file.size)], LINES_COPIES, source.uri)
        else:
            check_files(files, TEXT_COPIES, source.uri)
        lines = JsonLines(source.field, remarks) if source.format == "JsonLines" else None
        for file, content in zip(files, contents(files), strict=True):
            documents += _read(str(file), content, lines, remarks)
        if lines is not None:
            lines.close()
    if not documents:
        skipped = "".join(f"; {remark}" for remark in remarks.all())
        raise DataError(
            f"the data holds no text{skipped}",
            where=", ".join(source.uri for source in sources),
            remedy="Give files with at least a few thousand characters.",
        )
    return documents


def _read(path: str, content: bytes, lines: JsonLines | None, remarks: Remarks) -> Iterator[str]:
    text = text_of(unpacked(content, path, remarks), path)
    if not text:
        remarks.skipped("file", "it is empty", path)
    elif lines is not None:
        yield from lines.texts(text, path)
    else:
        yield text
