from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from raygen import machine
from raygen.data.remarks import Remarks
from raygen.errors import DataError
from raygen.machine import Memory
from raygen.spec.data.sources import PlainSource
from tests.unit.data.records.reading import broken, contents, gather, picture, sound
from tests.unit.data.text.test_documents import refused, write

FOLDER = PlainSource(uri="in", format="ImageFolder")


def test_a_file_that_is_no_text_is_broken_and_the_others_are_read(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "in/a.txt": "a",
            "in/b.txt": "ü".encode("latin-1"),
            "in/c.gz": gzip.compress(b"c" * 50)[:-5],
            "in/d.txt": b"x" * 101,
            "in/e.gz": gzip.compress(b"e" * 1000),
            "in/f.txt": "",
            "in/g.txt": "g",
        },
    )
    remarks = Remarks()
    found = gather(PlainSource(uri="in"), tmp_path, limit=100, remarks=remarks)

    assert [reason.partition(":")[0] for reason in contents(found)] == [
        "a",
        "is not UTF-8 (byte 0xfc at offset 0)",
        "is compressed by gzip, and damaged or cut off",
        "is longer than 100 bytes",
        "unpacked it is larger than 100 bytes",
        "g",
    ]
    assert [fault.where for fault in broken(found)] == [
        f"{tmp_path}/in/{name}" for name in ("b.txt", "c.gz", "d.txt", "e.gz")
    ]
    assert broken(found)[0].content == b"\xfc"
    assert [remark.reason for remark in remarks.all()] == ["it is empty"]


def test_of_images_the_bytes_are_given_whatever_they_are(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"in/cat/a.png": picture(), "in/dog/b.jpg": b"", "in/dog/c.jpeg": b"no image", "in/dog/d": picture()},
    )
    remarks = Remarks()

    assert [
        (record.key, record.content, record.label)
        for record in sound(gather(FOLDER, tmp_path, remarks=remarks))
    ] == [
        ("cat/a.png", picture(), "cat"),
        ("dog/b.jpg", b"", "dog"),
        ("dog/c.jpeg", b"no image", "dog"),
        ("dog/d", picture(), "dog"),
    ]
    assert remarks.all() == ()


def test_a_class_follows_from_all_files_of_the_source_and_not_from_those_of_a_part(tmp_path: Path) -> None:
    write(tmp_path, {f"in/{name}.png": picture() for name in ("cat/a", "cat/b", "c")})

    assert [record.label for record in sound(gather(FOLDER, tmp_path, size=1))] == [None] * 3


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"in/a.txt": "a", "in/b.pdf": "b"})

    error = refused(lambda: gather(FOLDER, tmp_path), "there are no images; 1 file skipped")

    assert isinstance(error, DataError)


@pytest.mark.parametrize("source", [PlainSource(uri="in"), FOLDER])
def test_a_source_that_is_gone_is_told(tmp_path: Path, source: PlainSource) -> None:
    refused(lambda: gather(source, tmp_path), "no such file or folder")


def test_memory_that_is_short_ends_the_work_and_says_nothing_of_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"in/a.gz": gzip.compress(b"a" * 100_000), "in/b.txt": "b"})
    source = PlainSource(uri="in")
    assert contents(gather(source, tmp_path, limit=99_999)) == [
        "unpacked it is larger than 99,999 bytes",
        "b",
    ]
    monkeypatch.setattr(machine, "memory", lambda: Memory(free=100_000))

    error = refused(
        lambda: gather(source, tmp_path), "does not fit into memory, of which 100,000 bytes are free"
    )

    assert error.where == f"{tmp_path}/in/a.gz"
    assert contents(gather(source, tmp_path, limit=10_000)) == [
        "unpacked it is larger than 10,000 bytes",
        "b",
    ]
