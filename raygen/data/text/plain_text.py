"""Turns the content of a file into text, or says what it is instead."""

from __future__ import annotations

import codecs
import re
import zlib
from collections import Counter

from raygen.data.sources.compressed import Stream
from raygen.data.sources.raw import Raw
from raygen.errors import DamagedError

_WIDE = {
    # The mark of 32 bits begins with that of 16.
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Encoding by the byte-order mark at the beginning of a text."""
_IMAGE = "Leave it out, for example by a pattern such as *.txt in the uri."
_TABLE = "Write the column of the text as JSON lines, and give the format JsonLines."
_DEFLATED = ("compressed by zlib", "Unpack it, for example with zlib-flate -uncompress.")
_BINARY = {
    b"PK\x03\x04": ("a ZIP archive", "Unpack it, for example with unzip, and leave the archive out."),
    b"7z\xbc\xaf\x27\x1c": (
        "a 7-Zip archive",
        "Unpack it, for example with 7z x, and leave the archive out.",
    ),
    b"Rar!\x1a\x07": ("a RAR archive", "Unpack it, for example with unrar x, and leave the archive out."),
    b"\x1f\x9d": ("compressed by compress", "Unpack it with uncompress."),
    b"LZIP\x01": ("compressed by lzip", "Unpack it with lzip -d."),
    b"\x89LZO\0\r\n\x1a\n": ("compressed by lzop", "Unpack it with lzop -d."),
    b"\xff\x06\0\0sNaPpY": ("compressed by snappy", "Unpack it, for example with snzip -d."),
    b"x\x01": _DEFLATED,
    b"x\x9c": _DEFLATED,
    b"x\xda": _DEFLATED,
    b"%PDF-": ("a PDF document", "Extract its text, for example with pdftotext, or leave it out."),
    b"\xd0\xcf\x11\xe0": ("an Office document", "Save it as plain text in UTF-8, or leave it out."),
    b"\x89PNG": ("a PNG image", _IMAGE),
    b"\xff\xd8\xff": ("a JPEG image", _IMAGE),
    b"SQLite format 3\0": (
        "an SQLite database",
        "Write its text as JSON lines, and give the format JsonLines.",
    ),
}
"""What a file is and what to do, by the bytes that it begins with, and no text does."""
_PERHAPS = {
    b"PAR1": ("a Parquet file", _TABLE),
    b"ARROW1": ("an Arrow file", _TABLE),
    b"x^": _DEFLATED,
}
"""The same for what a text might begin with, too."""
_ZLIB = {b"x\x01", b"x\x9c", b"x\xda", b"x^"}
"""Of these, two bytes are too few to go by."""
_TAR_AT = 257
_TAR_MAGICS = (b"ustar\0", b"ustar ")
_HEAD = 4096
"""Bytes or characters at the beginning by which text is told from other things."""
_CONTROL = bytes({*range(32), 127} - set(b"\t\n\r\f\b\x1a\x1b"))
"""Control characters that texts have no use for: those of lines and pages have one, those of terminals, and the end of a
file under DOS."""
_CONTROL_SHARE, _CONTROL_LEAST = 1 / 10, 4
"""Share and number of control characters from which on something is not text; names may be parted by zeros."""
_WIDE_CONTROL, _WIDE_DIFFERENCE, _WIDE_COMMON = 1 / 50, 0.3, 0.9
"""Of a text in UTF-16 at least: share of control characters in its bytes, `_difference`, and share of common characters."""
_COMMON = re.compile(
    "[\t\n\r\x20-\x7e\xa0-\u06ff\u0900-\u0e7f\u2010-\u2027\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff00-\uffee]"
)


def text_of(content: bytes, path: str) -> str:
    """The text in UTF-8, or as its byte-order mark says.

    Args:
        content: Of a whole file, unpacked.
        path: What to call it.

    Raises:
        DamagedError: It is not text; says what it is, where that can be known.
    """
    if content[_TAR_AT : _TAR_AT + 6] in _TAR_MAGICS:
        raise DamagedError(
            "is a tar archive, and not text", where=path, remedy="Unpack it with tar -xf, and leave it out."
        )
    _check_kind(content, _BINARY, path)
    encoding = _encoding(content)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        _check_kind(content, _PERHAPS, path)
        raise _not_text(content, path, error) from error
    _check_characters(text, content, encoding, path)
    return text


def utf8_stream(stream: Stream, path: str) -> Stream:
    """The text of a stream in UTF-8, without a byte-order mark, whatever that says; what is read as UTF-8 is not checked.

    Args:
        stream: Content of a whole file, unpacked.
        path: What to call it.

    Raises:
        DamagedError: It does not begin as text; says what it is, where that can be known.
    """
    head = stream.head()
    if head[_TAR_AT : _TAR_AT + 6] in _TAR_MAGICS:
        raise DamagedError(
            "is a tar archive, and not text", where=path, remedy="Unpack it with tar -xf, and leave it out."
        )
    _check_kind(head, _BINARY, path)
    encoding = _encoding(head)
    try:
        # The head may end within a character.
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError as error:
        _check_kind(head, _PERHAPS, path)
        if encoding != "utf-8-sig" or _controls(head[:_HEAD]):
            raise _not_text(head, path, error) from error
        # Lines in another encoding are told one by one.
        text = ""
    _check_characters(text, head, encoding, path)
    if encoding != "utf-8-sig":
        return Stream(_Recoded(stream, encoding, path))
    if head.startswith(codecs.BOM_UTF8):
        stream.read(len(codecs.BOM_UTF8))
    return stream


class _Recoded(Raw):
    """A text in UTF-16 or UTF-32 as UTF-8."""

    def __init__(self, stream: Stream, encoding: str, path: str) -> None:
        self._stream, self._path = stream, path
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._left = b""
        self._at = 0

    def fill(self, view: memoryview) -> int:
        """Reads what is there, at most as much as fits."""
        while not self._left:
            piece = self._stream.read(len(view))
            kept = len(self._decoder.getstate()[0])
            try:
                self._left = self._decoder.decode(piece, final=not piece).encode("utf-8", "surrogatepass")
            except UnicodeDecodeError as error:
                error.start += self._at - kept
                raise _not_text(b"", self._path, error) from error
            self._at += len(piece)
            if not piece:
                break
        piece, self._left = self._left[: len(view)], self._left[len(view) :]
        view[: len(piece)] = piece
        return len(piece)


def is_wide(head: bytes) -> bool:
    """Whether a text that begins so says that it is UTF-16 or UTF-32."""
    return _encoding(head) != "utf-8-sig"


def _encoding(content: bytes) -> str:
    return next((name for mark, name in _WIDE.items() if content.startswith(mark)), "utf-8-sig")


def _check_characters(text: str, content: bytes, encoding: str, path: str) -> None:
    """Refuses what decodes, and has control characters as no text has."""
    found = _controls(text[:_HEAD].encode("utf-8", "replace"))
    binary = found >= _CONTROL_SHARE * len(text[:_HEAD]) or (
        encoding == "utf-8-sig" and _wide(content[:_HEAD])
    )
    if found >= _CONTROL_LEAST and binary:
        _check_kind(content, _PERHAPS, path)
        raise _binary(content, path)


def _check_kind(content: bytes, kinds: dict[bytes, tuple[str, str]], path: str) -> None:
    for magic, (kind, remedy) in kinds.items():
        if content.startswith(magic) and (magic not in _ZLIB or _inflates(content)):
            raise DamagedError(f"is {kind}, and not text", where=path, remedy=remedy)


def _inflates(content: bytes) -> bool:
    try:
        zlib.decompressobj().decompress(content[:_HEAD])
    except zlib.error:
        return False
    return True


def _not_text(content: bytes, path: str, error: UnicodeDecodeError) -> DamagedError:
    if error.encoding.startswith(("utf-16", "utf-32")):
        return DamagedError(
            f"begins as {error.encoding[:6].upper()}, and is damaged or cut off at offset {error.start}",
            where=path,
            remedy="Restore the file, or leave it out.",
        )
    # No encoding of one or several bytes has these, so that another one is no remedy.
    if _controls(content[:_HEAD]):
        return _binary(content, path)
    return DamagedError(
        f"is not UTF-8 (byte {content[error.start]:#04x} at offset {error.start})",
        where=path,
        remedy="Convert the file to UTF-8, for example with iconv -f LATIN1 -t UTF-8, or leave it out.",
    )


def _binary(content: bytes, path: str) -> DamagedError:
    wide = _wide(content[:_HEAD])
    if wide is not None:
        return DamagedError(
            "seems to be UTF-16 without a byte-order mark",
            where=path,
            remedy=f"Convert it, for example with iconv -f {wide} -t UTF-8, or leave it out.",
        )
    return DamagedError(
        "holds control characters, as compressed and other binary files do, and is not text",
        where=path,
        remedy="Unpack or export it as text in UTF-8 with the program that wrote it, or leave it out.",
    )


def _controls(head: bytes) -> int:
    return len(head) - len(head.translate(None, _CONTROL))


def _difference(head: bytes) -> float:
    """How much the bytes at even places differ from those at odd ones in their upper three bits, from 0 to 1.

    The halves of characters of two bytes differ; the bytes of other things are alike.
    """
    even, odd = (Counter(byte >> 5 for byte in head[start::2]) for start in (0, 1))
    return 2 * (even - odd).total() / max(len(head), 1)


def _wide(head: bytes) -> str | None:
    """The encoding of two bytes in which nearly all is a common character; of chance, half would be."""
    head = head[: len(head) // 2 * 2]
    if _controls(head) < _WIDE_CONTROL * len(head) or _difference(head) < _WIDE_DIFFERENCE:
        return None
    for name in ("UTF-16LE", "UTF-16BE"):
        # The head may end within a pair of surrogates.
        text = head.decode(name, "replace")
        if text and len(_COMMON.findall(text)) >= _WIDE_COMMON * len(text):
            return name
    return None
