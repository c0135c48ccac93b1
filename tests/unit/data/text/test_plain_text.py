from __future__ import annotations

import gzip
import io
import random
import tarfile
import zlib
from pathlib import Path

import pytest

from tests.unit.data.text.test_documents import read, refused, write

ENGLISH = "It is the east, and Juliet is the sun.\n" * 40
CHINESE = "天地玄黄,宇宙洪荒。日月盈昃,辰宿列张。\n寒来暑往,秋收冬藏。\n" * 20
RUSSIAN = "Мой дядя самых честных правил, когда не в шутку занемог.\n" * 20
NOISE = random.Random(0).randbytes(3000)


def tar(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("a.txt")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "kind", "remedy"),
    [
        (tar("Größe".encode("latin-1")), "a tar archive", "tar -xf"),
        (gzip.compress(tar(b"\xff\xfe")), "a tar archive", "tar -xf"),
        (zlib.compress(ENGLISH.encode(), 1), "compressed by zlib", "Unpack it"),
        (zlib.compress(ENGLISH.encode(), 5), "compressed by zlib", "Unpack it"),
        (zlib.compress(ENGLISH.encode(), 6), "compressed by zlib", "Unpack it"),
        (zlib.compress(ENGLISH.encode(), 9), "compressed by zlib", "Unpack it"),
        (b"LZIP\x01\x0c" + NOISE, "compressed by lzip", "lzip -d"),
        (b"\xff\x06\0\0sNaPpY" + NOISE, "compressed by snappy", "snzip -d"),
        (b"\x89LZO\0\r\n\x1a\n" + NOISE, "compressed by lzop", "lzop -d"),
        (b"%PDF-1.4\n% all in ASCII\n", "a PDF document", "pdftotext"),
        (b"PK\x03\x04 all in ASCII", "a ZIP archive", "unzip"),
        (b"PAR1" + NOISE, "a Parquet file", "JSON lines"),
        (b"PAR1" + b"\0\1\2" * 20, "a Parquet file", "JSON lines"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_file_is_is_said_before_how_its_bytes_could_be_read(
    tmp_path: Path, content: bytes, kind: str, remedy: str
) -> None:
    write(tmp_path, {"a.txt": content})

    error = refused(lambda: read(tmp_path, "a.txt"), f"is {kind}, and not text")

    assert remedy in error.remedy


@pytest.mark.parametrize(
    "content",
    [NOISE, NOISE[:40], bytes(range(128)) * 9, b"\0" * 999, b"\x7fELF\2\1\1\xff" * 9],
    ids=["noise", "little", "ASCII", "zeros", "other"],
)
def test_binary_files_of_any_kind_get_no_advice_about_encodings(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, {"a.txt": content, "b.jsonl": content})

    for name in ("a.txt", "b.jsonl"):
        error = refused(lambda name=name: read(tmp_path, name), "holds control characters")  # type: ignore[misc]
        assert "iconv" not in str(error)


@pytest.mark.parametrize("order", ["LE", "BE"])
@pytest.mark.parametrize(
    "text", [ENGLISH, CHINESE, RUSSIAN, "丅丰么乂" * 99], ids=["English", "Chinese", "Russian", "ASCII"]
)
def test_utf16_without_its_mark_is_recognised(tmp_path: Path, text: str, order: str) -> None:
    write(tmp_path, {"a.txt": text.encode(f"utf-16-{order}")})

    error = refused(lambda: read(tmp_path, "a.txt"), "seems to be UTF-16 without a byte-order mark")

    assert f"iconv -f UTF-16{order} -t" in error.remedy


@pytest.mark.parametrize(
    "text",
    [
        "x^2 + y^2 = z^2\n",
        "PAR1 is no word\n",
        "]\0\0 three characters",
        "\x1b[32mok\x1b[0m\r\n" * 99,
        "_\bn_\ba_\bm_\be\n\f" * 99,
        "a file.txt\0another one.txt\0and a third.txt\0" * 99,
        "the end of a file under DOS\x1a",
        "\0",
    ],
)
def test_control_characters_of_texts_are_text(tmp_path: Path, text: str) -> None:
    write(tmp_path, {"a.txt": text})

    assert read(tmp_path, "a.txt") == [text]


@pytest.mark.parametrize(
    ("encoding", "text"), [("latin-1", "Größe\x1a"), ("gbk", CHINESE), ("cp1251", RUSSIAN)]
)
def test_texts_of_another_encoding_are_to_be_converted(tmp_path: Path, encoding: str, text: str) -> None:
    write(tmp_path, {"a.txt": text.encode(encoding)})

    assert "iconv" in refused(lambda: read(tmp_path, "a.txt"), "is not UTF-8").remedy
