"""Changes the code points of texts: wrong decoding, control characters, ends of lines, normalisation forms."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import partial
from typing import Literal

from raygen.errors import MissingExtraError
from raygen.spec.data.cleaning import TextCleaning

_NO_CHARACTERS = "\ufdd0-\ufdef\ufeff\ufffe\uffff\ud800-\udfff" + "".join(
    f"{chr(plane * 0x10000 + 0xFFFE)}{chr(plane * 0x10000 + 0xFFFF)}" for plane in range(1, 17)
)
_CONTROL = re.compile(f"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f{_NO_CHARACTERS}]")
"""Those of C0 and C1 but tab and ends of lines; byte-order marks; what is no character."""
_LINE_END = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_CONTROL_BYTES = bytes({*range(32), 127} - {9, 10})
_ROUNDS = 8
"""After so many repairs a text is taken as it is."""

Change = Callable[[str], str]


def changes(spec: TextCleaning) -> dict[str, Change]:
    """What to do with each text, by the field that asks for it, in this order. Each gives its own result back unchanged.

    Raises:
        MissingExtraError: ftfy is asked for and not installed.
    """
    found: dict[str, Change] = {}
    if spec.fix_encoding:
        found["fixEncoding"] = _repair()
    if spec.control_characters == "Remove":
        found["controlCharacters"] = without_controls
    if spec.unicode != "Keep":
        found["unicode"] = partial(_normalised, spec.unicode)
    return found


def _normalised(form: Literal["NFC", "NFKC"], text: str) -> str:
    return text if text.isascii() else unicodedata.normalize(form, text)


def without_controls(text: str) -> str:
    """The text without control characters but tab and line feed, and with line feeds for all ends of lines."""
    # Nearly all texts have none, which is told sooner than by a search.
    if text.isascii():
        content = text.encode()
        if len(content.translate(None, _CONTROL_BYTES)) == len(content):
            return text
    elif text.replace("\n", "").isprintable():
        return text
    return _LINE_END.sub("\n", _CONTROL.sub("", text))


def _repair() -> Change:
    try:
        from ftfy import fix_encoding
    except ImportError as error:
        raise MissingExtraError("ftfy", "cleaning") from error

    def repaired(text: str) -> str:
        for _ in range(_ROUNDS):
            before, text = text, fix_encoding(text)
            if text == before:
                break
        return text

    return repaired
