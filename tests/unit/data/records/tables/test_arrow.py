from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather as feather
import pytest

from raygen.data.images.files import read_images
from raygen.data.remarks import Remarks
from raygen.data.text.documents import read_documents
from raygen.errors import DataError
from raygen.spec.data.sources import ArrowSource
from tests.unit.data.records.reading import broken, contents, gather, picture, sound
from tests.unit.data.records.tables.payload import registered
from tests.unit.data.text.test_documents import refused, write

TEXTS = [f"text {number}" for number in range(100)]
TABLE = pa.table({"id": list(range(100)), "text": TEXTS})
SOURCE = ArrowSource(uri="a", contents="Text")


def write_file(path: Path, table: Any, rows: int = 10, **options: Any) -> None:
    with pa.ipc.new_file(path, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=rows)


def write_stream(path: Path, table: Any, rows: int = 10) -> None:
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)


@pytest.mark.parametrize(
    "made",
    [
        write_file,
        lambda path, table: write_file(path, table, compression="zstd"),
        write_stream,
        lambda path, table: feather.write_feather(table, path),
        lambda path, table: feather.write_feather(table, path, compression="uncompressed"),
    ],
)
def test_files_streams_and_feather_are_read(tmp_path: Path, made: Any) -> None:
    made(tmp_path / "a", TABLE)
    found = sound(gather(SOURCE, tmp_path))

    assert [record.content for record in found] == TEXTS
    batch, _, row = found[-1].key.removeprefix("a#").partition(".")
    assert found[-1].where == f"{tmp_path}/a, batch {batch}, row {row}"


TYPES = [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.dictionary(pa.int8(), pa.string())]


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_texts_of_every_type_are_read_and_one_that_is_no_text_spoils_itself_alone(
    tmp_path: Path, kind: Any
) -> None:
    raw = pa.array([b"a", b"\xff", None, b"", b"z"])
    if pa.types.is_dictionary(kind):
        column = pa.DictionaryArray.from_arrays(
            pa.array([0, 1, None, 2, 3]),
            pa.array([b"a", b"\xff", b"", b"z"]).cast(pa.string(), safe=False).view(pa.string()),
        )
    else:
        column = (
            raw.cast(kind, safe=False)
            if pa.types.is_string_view(kind)
            else raw.cast(pa.large_binary() if "large" in str(kind) else pa.binary()).view(kind)
        )
    write_stream(tmp_path / "a", pa.table({"text": column}))
    remarks = Remarks()
    found = gather(SOURCE, tmp_path, remarks=remarks)

    assert contents(found) == ["a", "is not UTF-8 (byte 0xff at offset 0)", "z"]
    assert [remark.reason for remark in remarks.all()] == ["its text is null", "its text is empty"]


@pytest.mark.parametrize("made", [write_file, write_stream])
def test_of_a_file_that_is_cut_off_the_beginning_is_read(tmp_path: Path, made: Any) -> None:
    made(tmp_path / "a", TABLE)
    whole = (tmp_path / "a").read_bytes()
    for cut in (0, 5, 100, len(whole) // 2, len(whole) - 3):
        write(tmp_path, {"in/a.arrow": whole[:cut], "in/b.arrow": whole})
        source = ArrowSource(uri="in", contents="Text")
        found = gather(source, tmp_path)
        read = [record.content for record in sound(found)]

        assert read == TEXTS[: len(read) - 100] + TEXTS
        assert len(read) > 120 or cut < len(whole) // 2
        for fault in broken(found):
            assert fault.where == f"{tmp_path}/in/a.arrow"
            assert "the Arrow file cannot be read" in fault.reason
        assert broken(found) or cut > len(whole) // 2


def test_extension_types_are_never_made_sense_of(tmp_path: Path) -> None:
    with registered() as (extension, calls):
        storage = pa.array(TEXTS)
        table = pa.table({"text": pa.ExtensionArray.from_storage(extension, storage)})
        write_file(tmp_path / "a", table)
        write_stream(tmp_path / "b", table)
        calls.clear()

        for uri in ("a", "b"):
            assert contents(gather(ArrowSource(uri=uri, contents="Text"), tmp_path)) == TEXTS
        assert calls == []
        assert isinstance(pa.ipc.open_file(tmp_path / "a").schema.field("text").type, type(extension))
        assert calls, "pyarrow alone would run it"


def test_feather_of_the_first_version_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"a": b"FEA1" + bytes(100) + b"FEA1"})

    assert "Feather of the first version" in contents(gather(SOURCE, tmp_path))[0]


def test_columns_are_compared_before_a_row_is_read(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(6):
        texts: Any = [1, 2] if number > 3 else ["a", "b"]
        write_stream(tmp_path / f"in/{number}.arrow", pa.table({"text": texts}))
    write_stream(tmp_path / "in/null.arrow", pa.table({"text": pa.nulls(2)}))

    error = refused(
        lambda: gather(ArrowSource(uri="in", contents="Text"), tmp_path),
        "the column 'text' holds whole numbers, and in .*/in/0.arrow it holds text",
    )

    assert error.where == f"{tmp_path}/in/4.arrow, {tmp_path}/in/5.arrow"
    assert isinstance(error, DataError)


def test_training_reads_images_and_texts(tmp_path: Path) -> None:
    table = pa.table(
        {"image": [picture(n) for n in range(9)], "label": list("abc") * 3, "text": list("abcdefghi")}
    )
    write_file(tmp_path / "a", table, rows=4)

    found = read_images([ArrowSource(uri="a")], tmp_path, None)

    assert found.pixels[:, 0, 0, 0].tolist() == list(range(9))
    assert list(found.labels or ()) == list("abc") * 3
    assert read_documents([SOURCE], tmp_path) == list("abcdefghi")
