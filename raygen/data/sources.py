"""Reads documents from files that hold one each, and from JSON lines; compressed or not."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from pathlib import Path

from raygen.data.compressed import unpacked
from raygen.data.files import contents, find_files
from raygen.data.json_lines import JsonLines
from raygen.data.memory import check_files
from raygen.data.remarks import Remarks
from raygen.errors import DataError
from raygen.spec import Source

TEXT_COPIES = 3
"""How many times the size of its files a text needs at least: itself, and as much as two times for its tokens, of which each
has four bytes, and which are there twice while they are joined."""
LINES_COPIES = 2
"""How many times the size of the largest file JSON lines need: its content and its text. What is kept of the others cannot
be known."""
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


def read_documents(sources: Sequence[Source], base: Path, remarks: Remarks | None = None) -> list[str]:
    """All documents of these sources, in order; files of a folder or glob in the order of their paths.

    Args:
        sources: Where to read.
        base: Folder that relative paths start from.
        remarks: Takes what is skipped.

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
        lines = JsonLines(source.field or "text", remarks) if source.format == "JsonLines" else None
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
    text = _decoded(unpacked(content, path), path)
    if not text:
        remarks.skipped("file", "it is empty", path)
    elif lines is not None:
        yield from lines.texts(text, path)
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
