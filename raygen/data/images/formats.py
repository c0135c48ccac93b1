"""Which files are images that are read, by their names or first bytes."""

from __future__ import annotations

import struct

READABLE = "PNG, JPEG, WebP, BMP, GIF or TIFF"
SUFFIXES = frozenset(
    {
        *(".apng", ".bmp", ".dib", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff"),
        ".webp",
    }
)
"""Ends of names that say that a file is such an image, in lower case."""
OTHER_SUFFIXES = frozenset(
    {
        *(
            ".ai",
            ".avif",
            ".eps",
            ".exr",
            ".hdr",
            ".heic",
            ".heif",
            ".ico",
            ".j2k",
            ".jp2",
            ".jxl",
            ".pbm",
            ".pdf",
        ),
        *(".pgm", ".ppm", ".psd", ".svg", ".tga", ".xcf"),
        # What cameras write beside or instead of JPEG; TIFF around values that are no picture yet.
        *(".3fr", ".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".pef", ".raf", ".raw", ".rw2", ".srw"),
    }
)
"""Ends of names of images that are not read."""
HEAD_BYTES = 32
"""Bytes at the beginning of a file by which `is_image` knows it."""

BIG_ENDIAN_BIG_TIFF = b"MM\0+"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", BIG_ENDIAN_BIG_TIFF)
"""Both byte orders of TIFF, and of BigTIFF."""
_BMP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})


def is_image(head: bytes) -> bool:
    """Whether a file that begins with these bytes is of a format that is read."""
    if head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", *_TIFF)):
        return True
    if head.startswith(b"BM"):
        return len(head) >= 18 and struct.unpack("<I", head[14:18])[0] in _BMP_HEADERS
    return head.startswith(b"RIFF") and head[8:12] == b"WEBP"
