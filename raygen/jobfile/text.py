"""From the bytes of a job file to its text."""

from __future__ import annotations

import codecs
import re

from raygen.errors import JobFileError

MAX_BYTES = 1 << 20

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_FOREIGN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What YAML 1.2 keeps out of its streams (chapter 5.1)."""


def decode(content: bytes | str, where: str) -> str:
    """The text of a job file.

    Raises:
        JobFileError: it is too large, or no UTF-8 text.
    """
    if len(content) > MAX_BYTES:
        raise JobFileError(
            f"is larger than {MAX_BYTES >> 20} MiB", where=where, remedy="A job file has a few kilobytes."
        )
    text = content if isinstance(content, str) else _utf8(content, where)
    foreign = _FOREIGN.search(text)
    if foreign is not None:
        line = text.count("\n", 0, foreign.start()) + 1
        raise JobFileError(
            f"has the character U+{ord(foreign[0]):04X}, which is not text",
            where=f"{where}:{line}",
            remedy='Remove it, or write it as an escape in double quotes: "\\u0007".',
        )
    return text.removeprefix("\ufeff")


def _utf8(content: bytes, where: str) -> str:
    if content.startswith(_UTF_16):
        raise JobFileError("is UTF-16", where=where, remedy="Save the file as UTF-8.")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise JobFileError(
            f"is not UTF-8: byte {content[error.start]:#04x}",
            where=f"{where}:{line}",
            remedy="Save the file as UTF-8.",
        ) from None
