from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.data.images.files import read_images
from raygen.data.images.pixels import ImageData
from raygen.errors import DataError
from raygen.spec.data.sources import ParquetSource
from tests.budget import examples
from tests.unit.data.images.test_pixels import data_of, message, png, table


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
    with pytest.raises(DataError, match=r"no image bytes, but the path 'a\.png'") as caught:
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
