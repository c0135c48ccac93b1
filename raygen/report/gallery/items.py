"""What pages of samples show: texts, and pictures without what else a PNG file may say."""

from __future__ import annotations

import hashlib
import struct
import zlib
from base64 import b64encode
from collections.abc import Iterator
from importlib.resources import files

import jinja2
from markupsafe import Markup

from raygen.errors import DataError
from raygen.report.page import page_template

Content = str | bytes
"""A text, or the bytes of a PNG file."""

MAX_CHARACTERS = 50_000
"""Of one text."""
MAX_PAGE_BYTES = 128 * 2**20
"""Of all that one page shows."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SEEN = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"cICP"}
"""Chunks that decide how a picture looks. Texts, times and Exif stay out: they may name the model."""


def plain_png(png: bytes, where: str) -> bytes:
    """A PNG file with nothing in it but what is seen.

    Args:
        png: The file.
        where: What messages call it.

    Raises:
        DataError: it is not a PNG file, or is damaged.
    """
    kept = [(kind, body) for kind, body in _chunks(png, where) if kind in _SEEN]
    kinds = [kind for kind, _ in kept]
    if kinds[:1] != [b"IHDR"] or len(kept[0][1]) != 13 or b"IDAT" not in kinds or kinds[-1:] != [b"IEND"]:
        raise _damaged(where)
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in kept
    )


def png_size(png: bytes) -> tuple[int, int]:
    """Width and height in pixels of a file that `plain_png` gave."""
    width, height = struct.unpack_from(">II", png, len(_SIGNATURE) + 8)
    return width, height


def address(png: bytes) -> str:
    """A picture as a data address, which needs no escaping."""
    return f"data:image/png;base64,{b64encode(png).decode()}"


def checked_text(text: str, where: str) -> str:
    """A text that can be shown whole; DataError if it is too long."""
    if len(text) > MAX_CHARACTERS:
        raise DataError(
            f"a text has {len(text):,} characters, and a page shows at most {MAX_CHARACTERS:,}",
            where=where,
            remedy="Cut it, and those that it is compared with in the same way.",
        )
    return text


def gallery_template(name: str) -> tuple[Markup, str, jinja2.Template]:
    """The style sheet of reports with what galleries add, its SHA-256 in Base64, and a template of this folder."""
    style, _, template = page_template(f"gallery/{name}")
    # The style sheets are ours and hold no end tag; together they must arrive unchanged for their hash to hold.
    whole = style + Markup(source("gallery.css"))  # noqa: S704
    return whole, policy_hash(whole), template


def source(name: str) -> str:
    """A text file of this folder."""
    return files("raygen.report.gallery").joinpath(name).read_text(encoding="utf-8")


def policy_hash(text: str) -> str:
    """SHA-256 in Base64, by which a Content-Security-Policy allows a style sheet or a script inside the page."""
    return b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _chunks(png: bytes, where: str) -> Iterator[tuple[bytes, bytes]]:
    if not png.startswith(_SIGNATURE):
        raise DataError(
            "this is not a PNG file", where=where, remedy="Give PNG files as bytes, and texts as str."
        )
    place = len(_SIGNATURE)
    while place < len(png):
        if place + 12 > len(png):
            raise _damaged(where)
        length, kind = struct.unpack_from(">I4s", png, place)
        end = place + 8 + length
        body = png[place + 8 : end]
        if png[end : end + 4] != struct.pack(">I", zlib.crc32(kind + body)):
            raise _damaged(where)
        yield kind, body
        place = end + 4
        if kind == b"IEND":
            # What follows is not part of the picture.
            return


def _damaged(where: str) -> DataError:
    return DataError("this PNG file is cut off or damaged", where=where, remedy="Write it again.")
