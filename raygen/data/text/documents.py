"""Reads the documents of sources into memory, whatever their format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from raygen.data.memory import check_files, check_memory
from raygen.data.records.parts import WHOLE, Part, parts_of, read_part
from raygen.data.records.record import BrokenRecord
from raygen.data.remarks import Remarks
from raygen.errors import DataError
from raygen.spec.data.sources import ResolvedSource

TEXT_COPIES = 3
"""How many times the size of its files a text needs at least: itself, and as much as two times for its tokens, of which each
has four bytes, and which are there twice while they are joined."""
LINES_COPIES = 2
"""How many times the size of the largest file JSON lines need, since most of a line is its text. What is kept of the others
cannot be known."""
_CHECKED_CHARACTERS = 64 << 20
"""Characters after which what has been read is compared with the memory again."""


def read_documents(
    sources: Sequence[ResolvedSource], base: Path, remarks: Remarks | None = None
) -> list[str]:
    """All documents of these sources, in order; files of a folder or glob in the order of their paths.

    Args:
        sources: Where to read.
        base: Folder that relative paths start from.
        remarks: Takes what is skipped or left out.

    Raises:
        DataError: a source is missing, empty, unreadable, not UTF-8, not of its format, or larger than memory.
        InputError: a URI has a scheme that this build cannot read.
    """
    remarks = remarks or Remarks()
    documents: list[str] = []
    characters, checked = 0, _CHECKED_CHARACTERS
    for source in sources:
        for part in parts_of([source], base, remarks, WHOLE):
            _check_size(part, source)
            for record in read_part(part, source, base, remarks, WHOLE):
                if isinstance(record, BrokenRecord):
                    raise record.error()
                documents.append(str(record.content))
                characters += len(record.content)
                if characters >= checked:
                    # As many bytes again become tokens.
                    check_memory("the rest of the text needs", characters, source.uri, "Give less text")
                    checked = 2 * characters
    if not documents:
        skipped = "".join(f"; {remark}" for remark in remarks.all())
        raise DataError(
            f"the data holds no text{skipped}",
            where=", ".join(source.uri for source in sources),
            remedy="Give files with at least a few thousand characters.",
        )
    return documents


def _check_size(part: Part, source: ResolvedSource) -> None:
    """Refuses files that cannot fit into memory, as far as their sizes tell."""
    if source.format == "Text":
        check_files(part.files, TEXT_COPIES, source.uri)
    elif source.format == "JsonLines":
        check_files([max(part.files, key=lambda file: file.size)], LINES_COPIES, source.uri)
