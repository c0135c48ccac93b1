from __future__ import annotations

import io
import json
import struct
import tracemalloc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from raygen.data.images.files import read_images
from raygen.data.records.parts import parts_of
from raygen.data.remarks import Remarks
from raygen.data.text.documents import read_documents
from raygen.errors import DataError
from raygen.spec.data.sources import MdsSource
from tests.budget import examples
from tests.unit.data.records.reading import broken, contents, gather, picture, sound
from tests.unit.data.text.test_documents import PACKERS, refused, write

SIZES = {"int": 8, "uint8": 1, "int32": 4, "ndarray:uint8:4,4": 16}


def shard(columns: Mapping[str, str], samples: Sequence[Mapping[str, bytes]]) -> bytes:
    """A shard as the library `streaming` 0.13 writes it."""
    names = sorted(columns)
    sizes = [SIZES.get(columns[name]) for name in names]
    config = {
        "column_encodings": [columns[name] for name in names],
        "column_names": names,
        "column_sizes": sizes,
        "compression": None,
        "format": "mds",
        "hashes": [],
        "size_limit": 1 << 26,
        "version": 2,
    }
    header = json.dumps(config, sort_keys=True).encode()
    bodies = []
    for sample in samples:
        head = b"".join(
            struct.pack("<I", len(sample[name]))
            for name, size in zip(names, sizes, strict=True)
            if size is None
        )
        bodies.append(head + b"".join(sample[name] for name in names))
    start = 4 + 4 * (len(bodies) + 1) + len(header)
    offsets = [start + sum(map(len, bodies[:number])) for number in range(len(bodies) + 1)]
    return struct.pack(f"<{len(offsets) + 1}I", len(bodies), *offsets) + header + b"".join(bodies)


def index(*shards: tuple[str, str | None, int]) -> bytes:
    """An index of shards: name, name of the compressed one, number of samples."""
    return json.dumps(
        {
            "version": 2,
            "shards": [
                {
                    "format": "mds",
                    "samples": count,
                    "raw_data": {"basename": raw, "bytes": 1, "hashes": {}},
                    "zip_data": packed and {"basename": packed, "bytes": 1, "hashes": {}},
                }
                for raw, packed, count in shards
            ],
        }
    ).encode()


def images(first: int, count: int) -> bytes:
    columns = {"image": "png", "label": "int", "note": "pkl"}
    return shard(
        columns,
        [
            {"image": picture(number), "label": struct.pack("<q", number % 3), "note": b"cos\nsystem\n"}
            for number in range(first, first + count)
        ],
    )


def texts(*of: str) -> bytes:
    return shard({"text": "str", "id": "int"}, [{"text": text.encode(), "id": bytes(8)} for text in of])


def test_shards_are_read_in_the_order_of_their_index(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "set/index.json": index(("b.mds", "b.mds.zstd", 3), ("a.mds", None, 2)),
            "set/a.mds": images(3, 2),
            "set/b.mds.zstd": PACKERS["zst"](images(0, 3)),
            "set/left-over.mds": b"no shard of this index",
            "set/notes.txt": "x",
        },
    )
    source, remarks = MdsSource(uri="set"), Remarks()
    found = sound(gather(source, tmp_path, remarks=remarks))

    assert [(record.content, record.label) for record in found] == [(picture(n), n % 3) for n in range(5)]
    assert found[4].where == f"{tmp_path}/set/a.mds, sample 1 at byte {found[4].key.partition('#')[2]}"
    assert [part.records for part in parts_of([source], tmp_path, Remarks(), 1)] == [3, 2]
    assert [str(remark) for remark in remarks.all()] == [
        f"1 file skipped: it is not a shard of MDS ({tmp_path}/set/notes.txt)"
    ]
    assert found == sound(gather(source, tmp_path, size=1))


def test_splits_have_indexes_of_their_own_and_a_shard_needs_none(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "set/train/index.json": index(("0.mds", None, 2)),
            "set/train/0.mds": texts("a", "b"),
            "set/val/index.json": index(("0.mds", None, 1)),
            "set/val/0.mds": texts("c"),
        },
    )

    def read(uri: str) -> list[Any]:
        return contents(gather(MdsSource(uri=uri, contents="Text"), tmp_path))

    assert read("set") == ["a", "b", "c"]
    assert read("set/val") == read("set/val/0.mds") == ["c"]
    assert read("set/*/*.mds") == ["a", "b", "c"]
    assert read_documents([MdsSource(uri="set", contents="Text")], tmp_path) == ["a", "b", "c"]


def pil(image: Image.Image) -> bytes:
    return struct.pack("<III", *image.size, len(image.mode)) + image.mode.encode() + image.tobytes()


GREY = np.arange(16, dtype=np.uint8).reshape(4, 4)
COLOUR = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)


@pytest.mark.parametrize(
    ("encoding", "value", "expected"),
    [
        ("bytes", picture(7), np.full((4, 4), 7)),
        ("pil", pil(Image.fromarray(GREY)), GREY),
        ("pil", pil(Image.fromarray(COLOUR)), COLOUR),
        ("ndarray", bytes([8, (2 << 2) | 0, 4, 4]) + GREY.tobytes(), GREY),
        ("ndarray", bytes([8, (3 << 2) | 1]) + struct.pack("<HHH", 4, 4, 3) + COLOUR.tobytes(), COLOUR),
        ("ndarray:uint8", bytes([(3 << 2) | 0, 4, 4, 1]) + GREY.tobytes(), GREY),
        ("ndarray:uint8:4,4", GREY.tobytes(), GREY),
    ],
)
def test_every_encoding_of_a_picture_is_the_same_picture(
    tmp_path: Path, encoding: str, value: bytes, expected: np.ndarray[Any, Any]
) -> None:
    write(tmp_path, {"a.mds": shard({"image": encoding}, [{"image": value}])})
    (found,) = sound(gather(MdsSource(uri="a.mds"), tmp_path))

    assert isinstance(found.content, bytes)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(found.content))), expected)


@pytest.mark.parametrize(
    ("encoding", "value", "label"),
    [
        ("int", struct.pack("<q", -1), -1),
        ("uint8", b"\x07", 7),
        ("int32", struct.pack("<i", 70_000), 70_000),
        ("str", "Kätzchen".encode(), "Kätzchen"),
        ("str_int", b"12", 12),
    ],
)
def test_labels(tmp_path: Path, encoding: str, value: bytes, label: object) -> None:
    write(tmp_path, {"a.mds": shard({"image": "png", "kind": encoding}, [{"image": b"p", "kind": value}])})

    (found,) = sound(gather(MdsSource(uri="a.mds", label_field="kind"), tmp_path))

    assert found.label == label


@pytest.mark.parametrize(
    ("columns", "source", "shown"),
    [
        ({"image": "pkl"}, {}, "the encoding pkl, which could run code when it is read"),
        ({"image": "png", "label": "pkl"}, {}, "'label' has the encoding pkl, which could run code"),
        ({"image": "jpeg_array"}, {}, "the encoding jpeg_array, and not one of jpeg, png"),
        ({"picture": "png"}, {"field": "pictures"}, "there are picture"),
        ({"image": "png"}, {"label_field": "kind"}, "there is no column 'kind'"),
        ({"text": "json"}, {"contents": "Text"}, "the encoding json"),
    ],
)
def test_columns_that_are_not_read_are_named(
    tmp_path: Path, columns: dict[str, str], source: dict[str, str], shown: str
) -> None:
    write(tmp_path, {"a.mds": shard(columns, [dict.fromkeys(columns, b"cos\nsystem\n")])})
    spec = MdsSource.model_validate({"uri": "a.mds", **source})

    assert isinstance(refused(lambda: gather(spec, tmp_path), shown), DataError)


def test_samples_that_cannot_be_used_are_broken_and_the_others_are_read(tmp_path: Path) -> None:
    content = shard({"image": "pil"}, [{"image": pil(Image.fromarray(GREY))}, {"image": b"short"}])
    write(
        tmp_path,
        {
            "a.mds": content,
            "b.mds": shard(
                {"text": "str"}, [{"text": b"\xff"}, {"text": b""}, {"text": b"z" * 20}, {"text": b"b"}]
            ),
        },
    )
    first, fault = gather(MdsSource(uri="a.mds"), tmp_path)
    assert "the sample cannot be read" in broken([first, fault])[0].reason
    assert ", sample 1 at byte " in fault.where
    remarks = Remarks()
    found = gather(MdsSource(uri="b.mds", contents="Text"), tmp_path, limit=20, remarks=remarks)
    assert [len(broken([one])) for one in found] == [1, 1, 0]
    assert contents(found)[1:] == ["is longer than 20 bytes", "b"]
    assert [remark.reason for remark in remarks.all()] == ["its text is empty"]


@examples(60)
@given(st.data())
def test_of_a_shard_that_is_cut_off_the_beginning_is_read_and_the_cut_is_named(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    base = tmp_path_factory.mktemp("cut")
    whole = texts(*"abcdef")
    (base / "a.mds").write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])

    *read, fault = gather(MdsSource(uri="a.mds", contents="Text"), base)

    assert contents(read) == list("abcdef")[: len(read)]
    assert "it is cut off within" in broken([fault])[0].reason
    assert len(read) == 0 or f"sample {len(read)} of 6 at byte" in contents([fault])[0]


@examples(60)
@given(st.data())
def test_damaged_bytes_are_records_broken_ones_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    base = tmp_path_factory.mktemp("damaged")
    content = bytearray(images(0, 3))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (base / "a.mds").write_bytes(content)
    try:
        gather(MdsSource(uri="a.mds"), base)
    except DataError:
        return


@pytest.mark.parametrize(
    ("files", "shown"),
    [
        ({"set/index.json": index(("a.mds", "a.mds.zstd", 1))}, "the shard a.mds or a.mds.zstd is missing"),
        ({"set/index.json": b"{}"}, "is not an index of MDS shards"),
        ({"set/a.txt": b"", "set/b.txt": b""}, "there are no shards of MDS"),
    ],
)
def test_a_set_that_is_not_whole_is_refused(tmp_path: Path, files: dict[str, bytes], shown: str) -> None:
    write(tmp_path, dict(files))

    refused(lambda: gather(MdsSource(uri="set"), tmp_path), shown)


def test_other_ways_of_compressing_are_named(tmp_path: Path) -> None:
    write(tmp_path, {"a.mds.br": b"x", "b.mds.snappy": b"x", "c.mds": shard({"image": "png"}, [])})
    remarks = Remarks()

    assert contents(gather(MdsSource(uri="*"), tmp_path, remarks=remarks)) == [
        "is compressed by brotli, which is not read",
        "is compressed by snappy, which is not read",
    ]
    assert [remark.reason for remark in remarks.all()] == ["it holds no samples"]


def test_training_reads_images_of_shards(tmp_path: Path) -> None:
    write(tmp_path, {"set/index.json": index(("0.mds", None, 9)), "set/0.mds": images(0, 9)})

    found = read_images([MdsSource(uri="set")], tmp_path, None)

    assert found.pixels[:, 0, 0, 0].tolist() == list(range(9))
    assert list(found.labels or ()) == [0, 1, 2] * 3


@pytest.mark.parametrize(
    ("columns", "sample", "shown"),
    [
        ({"image": "ndarray"}, {"image": b""}, "its array is cut off"),
        ({"image": "ndarray"}, {"image": b"\x08"}, "its array is cut off"),
        ({"image": "ndarray"}, {"image": bytes([8, (2 << 2) | 0, 0, 4])}, "it has 4x0 pixels"),
        (
            {"image": "png", "label": "int64"},
            {"image": b"p", "label": b""},
            "its label has 0 bytes, and not 8",
        ),
        ({"image": "pil"}, {"image": struct.pack("<III", 2**32 - 1, 2**32 - 1, 1) + b"L"}, "4294967295x"),
        (
            {"image": "pil"},
            {"image": struct.pack("<III", 60_000, 60_000, 1) + b"L"},
            "it has 60000x60000 pixels",
        ),
        ({"image": "pil"}, {"image": struct.pack("<III", 8_000, 8_000, 1) + b"L12"}, "which need 64,000,000"),
        ({"image": "pil"}, {"image": struct.pack("<III", 1, 1, 6) + b"secret"}, "its mode is not read"),
    ],
)
def test_a_sample_that_is_damaged_is_broken_before_it_takes_memory(
    tmp_path: Path, columns: dict[str, str], sample: dict[str, bytes], shown: str
) -> None:
    write(tmp_path, {"a.mds": shard(columns, [sample])})
    tracemalloc.start()
    try:
        (fault,) = broken(gather(MdsSource(uri="a.mds"), tmp_path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert shown in fault.reason
    assert fault.where.startswith(f"{tmp_path}/a.mds, sample 0 at byte ")
    assert peak < 8 << 20


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "I;16", "RGB", "YCbCr", "RGBA", "CMYK"])
def test_pictures_of_every_mode_of_pillow_are_read(tmp_path: Path, mode: str) -> None:
    write(tmp_path, {"a.mds": shard({"image": "pil"}, [{"image": pil(Image.new(mode, (13, 5)))}])})

    (found,) = sound(gather(MdsSource(uri="a.mds"), tmp_path))

    assert isinstance(found.content, bytes)
    assert Image.open(io.BytesIO(found.content)).size == (13, 5)


@pytest.mark.parametrize("size", ["7", -1, 1.5, True, [8]])
def test_a_header_with_a_size_that_is_none_is_a_damaged_file(tmp_path: Path, size: object) -> None:
    content = shard({"text": "str"}, [{"text": b"a"}])
    header = content[content.index(b"{") : content.rindex(b"}") + 1]
    changed = json.dumps(json.loads(header) | {"column_sizes": [size]}).encode()
    start = 12 + len(changed)
    end = start + len(content) - content.rindex(b"}") - 1
    write(
        tmp_path, {"a.mds": struct.pack("<3I", 1, start, end) + changed + content[content.rindex(b"}") + 1 :]}
    )

    (fault,) = broken(gather(MdsSource(uri="a.mds", contents="Text"), tmp_path))

    assert fault.reason == "is not a shard of MDS, or is damaged: its header describes no columns"
    assert fault.where == f"{tmp_path}/a.mds"
