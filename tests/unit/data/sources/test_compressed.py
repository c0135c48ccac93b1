from __future__ import annotations

import gzip
import lzma
import struct
from pathlib import Path

import pytest

from raygen.spec import Source
from tests.unit.data.text.test_documents import PACKERS, read, refused, remarks_of, write

TEXT = "Größe\n" * 50
NOTES = struct.pack("<II", 0x184D2A53, 5) + b"hello"


def old_lzma(content: bytes) -> bytes:
    return lzma.compress(content, format=lzma.FORMAT_ALONE)


@pytest.mark.parametrize(
    "content",
    [
        old_lzma(TEXT.encode()),
        gzip.compress(gzip.compress(TEXT.encode())),
        PACKERS["xz"](PACKERS["zst"](PACKERS["bz2"](TEXT.encode()))),
        *(NOTES + PACKERS[ending](TEXT.encode()) for ending in ("zst", "lz4")),
        NOTES + NOTES + PACKERS["zst"](TEXT.encode()) + NOTES,
    ],
    ids=["lzma", "twice", "three", "zst", "lz4", "notes"],
)
def test_text_is_unpacked_however_it_was_packed(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, {"a.txt": content})

    assert read(tmp_path, "a.txt") == [TEXT]


def test_old_lzma_that_is_cut_off_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"a.txt": old_lzma(bytes(range(256)) * 20)[:100]})

    refused(lambda: read(tmp_path, "a.txt"), "is compressed by lzma, and damaged or cut off")


def test_what_is_packed_again_and_again_is_not_unpacked_for_ever(tmp_path: Path) -> None:
    content = TEXT.encode()
    for _ in range(5):
        content = gzip.compress(content)
    write(tmp_path, {"a.txt": content})

    assert "Unpack" in refused(lambda: read(tmp_path, "a.txt"), "compressed more than 4 times").remedy


@pytest.mark.parametrize("size", [0, 5, 300_000])
def test_what_follows_the_end_of_gzip_is_left_out_and_told(tmp_path: Path, size: int) -> None:
    text = "".join(map(str, range(size)))
    content = gzip.compress(text.encode()) + gzip.compress(b"end")
    write(tmp_path, {"a.gz": content + b"\0" * 100, "b.gz": content + b"\0\0signature"})

    assert read(tmp_path, "a.gz", "b.gz") == [text + "end"] * 2
    assert remarks_of(tmp_path, Source(uri="a.gz"), Source(uri="b.gz")) == [
        "1 file converted: what follows the end of its gzip data is left out (b.gz)"
    ]


def test_gzip_that_is_damaged_is_no_gzip_with_something_behind(tmp_path: Path) -> None:
    content = bytearray(gzip.compress(TEXT.encode()))
    content[-6] ^= 1
    write(tmp_path, {"a.gz": bytes(content)})

    refused(lambda: read(tmp_path, "a.gz"), "is compressed by gzip, and damaged or cut off: CRC")
