from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.data.images.files import read_images
from raygen.data.images.pixels import ImageData
from raygen.data.records.parts import WHOLE, parts_of
from raygen.data.remarks import Remarks
from raygen.data.text.documents import read_documents
from raygen.errors import DataError
from raygen.spec.data.sources import ParquetSource
from tests.budget import examples
from tests.unit.data.images.test_pixels import data_of, message, png, table
from tests.unit.data.records.reading import broken, contents, gather, sound
from tests.unit.data.records.tables.payload import registered


def images_of(base: Path, **changes: Any) -> ImageData:
    return data_of(base, data__validation=None, evaluation__metrics=[], **changes)


def test_parquet_files_that_cannot_be_used_are_explained(tmp_path: Path) -> None:
    def refused(expected: str, **source: str) -> None:
        sources = {"sources": [{"uri": "images.parquet", "format": "Parquet", **source}]}
        with pytest.raises(DataError, match=expected) as caught:
            images_of(tmp_path, data__train=sources)
        message(caught)

    table(tmp_path, [0, 1])
    refused("no column 'images'; there are image, label\nDid you mean 'image'", field="images")
    refused("no column 'kind'; there are image, label\nName", labelField="kind")
    table(tmp_path, [0, 1], images=["text", "text"])
    refused("no image bytes")
    table(tmp_path, [0])
    refused("has 1 image\n")
    table(tmp_path, [0, 1], images=[b"text", b"text"])
    refused("cannot be decoded: it is not a PNG, JPEG, WebP, BMP, GIF or TIFF file")
    (tmp_path / "images.parquet").write_bytes(b"PAR1 no")
    refused("cannot be read")


BINARY = [pa.binary(), pa.large_binary(), pa.binary_view()]
IMAGE_COLUMNS = [
    *(pa.array([png(n) for n in range(4)], kind) for kind in BINARY),
    pa.array([png(n) for n in range(4)]).dictionary_encode(),
    *(
        pa.array(
            [{"bytes": png(n), "path": "a.png"} for n in range(4)],
            pa.struct([("bytes", kind), ("path", pa.string_view())]),
        )
        for kind in BINARY
    ),
]


@pytest.mark.parametrize("images", IMAGE_COLUMNS, ids=lambda column: str(column.type))
def test_images_are_read_from_every_type_of_bytes(tmp_path: Path, images: Any) -> None:
    table(tmp_path, [0, 1, 2, 3], images=images)
    found = read_images([ParquetSource(uri="images.parquet")], tmp_path, None)
    assert found.pixels[:, 0, 0, 0].tolist() == [0, 1, 2, 3]


NAMES = pa.array(["cat", "dog", "cat", "eel"])
NUMBERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        *(
            (NAMES.cast(kind), ("cat", "dog", "eel"))
            for kind in (pa.string(), pa.large_string(), pa.string_view())
        ),
        (NAMES.dictionary_encode(), ("cat", "dog", "eel")),
        (NAMES.cast(pa.large_string()).dictionary_encode(), ("cat", "dog", "eel")),
        *((pa.array([0, 1, 0, 2], kind), ("0", "1", "2")) for kind in NUMBERS),
        (pa.array([0, 1, 0, 2]).dictionary_encode(), ("0", "1", "2")),
        (pa.array([False, True, False, True]), ("0", "1")),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_labels_are_read_from_every_type_of_text_and_whole_number(
    tmp_path: Path, labels: Any, classes: tuple[str, ...]
) -> None:
    table(tmp_path, labels)
    data = images_of(tmp_path)
    assert data.domain.classes == classes
    assert data.remarks == ()
    assert sorted(data.train_batch(range(4)).arrays["labels"].tolist()) == (
        [0, 0, 1, 1] if len(classes) == 2 else [0, 0, 1, 2]
    )


def test_rows_without_an_image_are_left_out_with_their_labels(tmp_path: Path) -> None:
    images = [
        {"bytes": png(), "path": None},
        None,
        {"bytes": None, "path": None},
        {"bytes": png(9), "path": None},
    ]
    table(tmp_path, [0, 1, 2, 1], images=images)
    data = images_of(tmp_path)
    assert (data.samples_per_epoch, data.domain.classes) == (2, ("0", "1"))
    assert [str(remark) for remark in data.remarks] == [
        f"2 rows skipped: the image is null ({tmp_path}/images.parquet, row 1, {tmp_path}/images.parquet, row 2)"
    ]
    table(tmp_path, [0, 1], images=[{"bytes": None, "path": "a.png"}] * 2)
    with pytest.raises(DataError, match=r"no image bytes, but a path") as caught:
        images_of(tmp_path)
    message(caught)


def test_what_lies_beside_parquet_files_is_left_out_and_named(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    for name in ("set/a.parquet", "set/part-0"):
        table(tmp_path, [0, 1], name=name)
    for name in ("README.md", "_SUCCESS", "_metadata", ".part-0.crc"):
        (tmp_path / "set" / name).write_text("no data")
    sources = {"sources": [{"uri": "set", "format": "Parquet"}]}
    data = images_of(tmp_path, data__train=sources)
    assert data.samples_per_epoch == 4
    assert {(r.count, r.examples) for r in data.remarks} == {
        (3, tuple(f"{tmp_path}/set/{name}" for name in (".part-0.crc", "_SUCCESS", "_metadata"))),
        (1, (f"{tmp_path}/set/README.md",)),
    }


@examples(60)
@given(st.data())
def test_damaged_bytes_are_the_same_images_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    base = tmp_path_factory.mktemp("damaged")
    table(base, [0, 1, 2])
    content = bytearray((base / "images.parquet").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (base / "images.parquet").write_bytes(content)
    try:
        found = images_of(base)
    except DataError:
        return
    assert found.samples_per_epoch == 3


def write_texts(path: Path, texts: list[str], **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"id": list(range(len(texts))), "text": texts}), path, **options)
    return path


TEXTS = [f"text {number}" for number in range(100)]


def test_texts_are_read_by_row_groups_with_their_rows(tmp_path: Path) -> None:
    write_texts(tmp_path / "a.parquet", TEXTS, row_group_size=10)
    source = ParquetSource(uri="a.parquet", contents="Text")

    for size in (100, WHOLE):
        found = sound(gather(source, tmp_path, size))
        assert [record.content for record in found] == TEXTS
        assert (found[42].key, found[42].where) == ("a.parquet#42", f"{tmp_path}/a.parquet, row 42")
    assert read_documents([source], tmp_path) == TEXTS


def test_extension_types_are_never_made_sense_of(tmp_path: Path) -> None:
    with registered() as (extension, calls):
        table = pa.table({"text": pa.ExtensionArray.from_storage(extension, pa.array(TEXTS)), "label": TEXTS})
        pq.write_table(table, tmp_path / "a.parquet")
        calls.clear()

        assert contents(gather(ParquetSource(uri="a.parquet", contents="Text"), tmp_path)) == TEXTS
        assert calls == []
        pq.read_schema(tmp_path / "a.parquet")
        assert calls, "pyarrow alone would run it"


def test_columns_are_compared_before_a_row_is_read(tmp_path: Path) -> None:
    write_texts(tmp_path / "in/a.parquet", TEXTS)
    write_texts(tmp_path / "in/b.parquet", TEXTS)
    pq.write_table(pa.table({"text": [1.5]}), tmp_path / "in/c.parquet")
    pq.write_table(pa.table({"text": pa.nulls(2)}), tmp_path / "in/d.parquet")
    pq.write_table(pa.table({"text": [b"bytes"]}), tmp_path / "in/e.parquet")
    source = ParquetSource(uri="in", contents="Text")

    with pytest.raises(
        DataError, match=r"'text' holds values of the type double, and in .*/in/a\.parquet"
    ) as caught:
        parts_of([source], tmp_path, Remarks())
    assert caught.value.where == f"{tmp_path}/in/c.parquet"
    (tmp_path / "in/c.parquet").unlink()
    assert contents(gather(source, tmp_path)) == [*TEXTS, *TEXTS, "bytes"]


def test_a_column_that_only_later_files_have_is_told_with_the_first_file_that_lacks_it(
    tmp_path: Path,
) -> None:
    for number in range(30):
        table = pa.table({"body" if number < 20 else "text": ["a"]})
        (tmp_path / "in").mkdir(exist_ok=True)
        pq.write_table(table, tmp_path / f"in/{number:02}.parquet")

    with pytest.raises(DataError, match="there is no column 'text'; there are body") as caught:
        parts_of([ParquetSource(uri="in", contents="Text")], tmp_path, Remarks())
    assert caught.value.where == f"{tmp_path}/in/00.parquet"


def test_labels_of_other_types_matter_only_where_they_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    table(tmp_path, [0, 1], name="in/a.parquet")
    table(tmp_path, ["x", "y"], name="in/b.parquet")

    assert len(gather(ParquetSource(uri="in"), tmp_path)) == 4
    with pytest.raises(DataError, match=r"the column 'label' holds text, and in .* it holds whole numbers"):
        gather(ParquetSource(uri="in", label_field="label"), tmp_path)


@pytest.mark.parametrize("cut", [0, 3, 100, 0.5, -1])
def test_a_file_that_is_cut_off_is_one_broken_record(tmp_path: Path, cut: float) -> None:
    whole = write_texts(tmp_path / "in/a.parquet", TEXTS).read_bytes()
    (tmp_path / "in/a.parquet").write_bytes(whole[: int(cut * len(whole)) if cut == 0.5 else int(cut)])
    write_texts(tmp_path / "in/b.parquet", ["b"])

    fault, record = gather(ParquetSource(uri="in", contents="Text"), tmp_path)

    assert contents([record]) == ["b"]
    assert broken([fault])[0].where == f"{tmp_path}/in/a.parquet"
    assert "the Parquet file cannot be read: " in contents([fault])[0]


def test_of_a_file_that_is_damaged_within_the_rows_before_that_are_read(tmp_path: Path) -> None:
    path = write_texts(tmp_path / "a.parquet", TEXTS, row_group_size=10, compression="gzip")
    group = pq.read_metadata(path).row_group(5).column(1)
    content = bytearray(path.read_bytes())
    start = group.dictionary_page_offset or group.data_page_offset
    content[start + 20 : start + group.total_compressed_size] = bytes(group.total_compressed_size - 20)
    path.write_bytes(content)

    *read, fault = gather(ParquetSource(uri="a.parquet", contents="Text"), tmp_path)

    assert contents(read) == TEXTS[:50]
    assert broken([fault])


def test_a_text_that_is_too_long_or_none_is_broken(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", "b" * 20, "c"]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": [[1], [2]]}), tmp_path / "b.parquet")
    source = ParquetSource(uri="a.parquet", contents="Text")

    assert contents(gather(source, tmp_path, limit=19)) == ["a", "is longer than 19 bytes", "c"]
    (first, _) = gather(ParquetSource(uri="b.parquet", contents="Text"), tmp_path)
    assert broken([first])[0].reason == "has no text, but a value of the type list"


def test_files_without_rows_are_told(tmp_path: Path) -> None:
    write_texts(tmp_path / "in/a.parquet", [])
    write_texts(tmp_path / "in/b.parquet", ["b"])
    remarks = Remarks()

    assert contents(gather(ParquetSource(uri="in", contents="Text"), tmp_path, remarks=remarks)) == ["b"]
    assert [str(remark) for remark in remarks.all()] == [
        f"1 file skipped: it has no rows ({tmp_path}/in/a.parquet)"
    ]


def peak_of(path: Path, limit: int) -> tuple[list[Any], int]:
    """What the records of a file hold, and the most memory that Arrow took while they were read."""
    usual, own = pa.default_memory_pool(), pa.proxy_memory_pool(pa.default_memory_pool())
    pa.set_memory_pool(own)
    try:
        return contents(
            gather(ParquetSource(uri=path.name, contents="Text"), path.parent, limit=limit)
        ), own.max_memory()
    finally:
        pa.set_memory_pool(usual)


def test_a_small_file_with_a_huge_value_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    text = pa.table({"text": ["x" * (32 << 20)]})
    with pq.ParquetWriter(path, text.schema, compression="zstd") as writer:
        for one in (pa.table({"text": ["a"]}), text, pa.table({"text": ["z"]})):
            writer.write_table(one)
    assert path.stat().st_size < 10_000

    found, peak = peak_of(path, 1 << 20)

    assert found == ["a", "is longer than 1,048,576 bytes", "z"]
    assert peak < 4 << 20
    (fault,) = broken(gather(ParquetSource(uri="x.parquet", contents="Text"), tmp_path, limit=1 << 20))
    assert (fault.key, fault.where) == ("x.parquet#1", f"{path}, row 1")


def test_one_value_of_many_rows_is_not_in_memory_for_each(tmp_path: Path) -> None:
    value = pa.DictionaryArray.from_arrays(pa.array([0] * 16, pa.int32()), ["x" * (64 << 20)])
    pq.write_table(pa.table({"text": value}), tmp_path / "x.parquet", compression="zstd")

    found, peak = peak_of(tmp_path / "x.parquet", 1 << 20)

    assert found == ["is longer than 1,048,576 bytes"] * 16
    assert peak < 1 << 30
