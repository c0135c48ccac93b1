from __future__ import annotations

import io
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from raygen.data.images.files import read_images
from raygen.data.remarks import Remarks
from raygen.data.text.documents import read_documents
from raygen.data.text.windows import TextData
from raygen.errors import DataError
from raygen.machine import Memory
from raygen.spec import Images, Source, parse, resolve
from raygen.spec.data.sources import JsonLinesSource, ParquetSource, PlainSource
from raygen.storage import LocalStorage
from tests.jobs import job_document
from tests.unit.data.images.test_pixels import png, table, write_idx
from tests.unit.data.text.test_documents import refused, write

MIB = 1 << 20


def limit(monkeypatch: pytest.MonkeyPatch, free: float) -> None:
    monkeypatch.setattr("raygen.machine.memory", lambda: Memory(int(free), 4 * MIB))


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize(
    ("source", "copies"), [({}, 3), ({"format": "JsonLines"}, 2), ({"format": "Idx"}, 2)], ids=str
)
def test_files_that_cannot_fit_into_memory_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: dict[str, Any], copies: int, stored: bool
) -> None:
    write(tmp_path, {"in/a": b"{}".ljust(MIB)})
    monkeypatch.setattr("raygen.data.sources.files.open_storage", lambda uri: LocalStorage(tmp_path))
    spec = {"JsonLines": JsonLinesSource}.get(source.get("format", ""), PlainSource)(
        uri="s3://bucket/in/*" if stored else "in", **source
    )
    read: Any = read_images if spec.format == "Idx" else read_documents
    rest = (None,) if spec.format == "Idx" else ()
    limit(monkeypatch, copies * MIB - 1)

    error = refused(
        lambda: read([spec], tmp_path, *rest),
        "needs at least 0.0 GiB of memory to be read; 0.0 GiB are free of",
    )

    assert error.where == spec.uri
    assert error.remedy == "Give fewer or smaller files, or use a machine or container with more memory."
    limit(monkeypatch, copies * MIB)
    if spec.format == "Text":
        assert read([spec], tmp_path) == ["{}".ljust(MIB)]
    else:
        refused(lambda: read([spec], tmp_path, *rest), "no text under the key|is not an idx file")


def test_many_files_of_text_are_there_at_once_and_of_lines_the_largest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {f"in/{number}": b'{"text": "a"}'.ljust(1000) for number in range(10)})
    limit(monkeypatch, 20_000)

    refused(lambda: read_documents([Source(uri="in")], tmp_path), "10 files of 0.0 GiB need at least")
    assert read_documents([JsonLinesSource(uri="in")], tmp_path) == ["a"] * 10


@pytest.mark.parametrize(("kind", "needed"), [("Character", 8 * 900), ("Byte", 5 * 900), ("BPE", 0)])
def test_tokens_that_cannot_fit_into_memory_are_refused_before_they_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, needed: int
) -> None:
    write(tmp_path, {"verse.txt": "abcdefghi" * 100})
    tokenizer = {"type": kind} | ({"vocabularySize": 257} if kind == "BPE" else {})
    document = job_document(
        data__train={"sources": [{"uri": "verse.txt"}]},
        data__validation=None,
        evaluation__metrics=[],
        evaluation__samples=None,
        data__tokenizer=tokenizer,
        model__transformer__contextLength=8,
    )
    job = resolve(parse(document))
    limit(monkeypatch, max(needed, 2700))
    assert TextData(job, tmp_path).samples_per_epoch > 0
    if kind != "BPE":
        limit(monkeypatch, needed - 1)
        error = refused(lambda: TextData(job, tmp_path), "the tokens of 900 characters need at least")
        assert "type BPE" in error.remedy


def test_images_in_parquet_are_read_in_passing(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    noise = []
    for _ in range(100):
        buffer = io.BytesIO()
        Image.fromarray(random.integers(0, 256, (128, 128), np.uint8)).save(buffer, format="PNG")
        noise.append(buffer.getvalue())
    pq.write_table(pa.table({"image": noise}), tmp_path / "images.parquet")
    size = sum(map(len, noise))
    del noise
    read_images([ParquetSource(uri="images.parquet")], tmp_path, Images(size=8))
    tracemalloc.start()
    try:
        found = read_images([ParquetSource(uri="images.parquet")], tmp_path, Images(size=8))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert found.pixels.shape == (100, 1, 8, 8)
    assert peak < size * 0.75


@pytest.mark.parametrize("statistics", [True, False])
def test_rows_of_several_files_and_groups_keep_their_order_whatever_is_null(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statistics: bool
) -> None:
    (tmp_path / "in").mkdir()
    for name, first in (("a", 0), ("b", 100)):
        images = [
            {"bytes": None if n % 3 else png(first + n), "path": "x"[n % 3 :] or None} for n in range(99)
        ]
        rows = pa.table({"image": images, "label": list(range(first, first + 99))})
        pq.write_table(rows, tmp_path / f"in/{name}.parquet", row_group_size=40, write_statistics=statistics)
    remarks = Remarks()
    # Enough for the images that there are, twice, and not for all rows.
    limit(monkeypatch, 2 * 66 * 256 if statistics else 2 * 198 * 256)

    found = read_images([ParquetSource(uri="in")], tmp_path, None, remarks)

    expected = [*range(0, 99, 3), *range(100, 199, 3)]
    assert found.pixels[:, 0, 0, 0].tolist() == expected
    assert found.labels == expected
    assert [remark.count for remark in remarks.all()] == [132]


def test_a_column_that_is_missing_from_the_last_file_is_told_before_images_are_decoded(
    tmp_path: Path,
) -> None:
    (tmp_path / "in").mkdir()
    table(tmp_path, [0, 1], images=[b"no image"] * 2, name="in/a.parquet")
    pq.write_table(pa.table({"picture": [png()]}), tmp_path / "in/b.parquet")

    with pytest.raises(DataError, match="there is no column 'image'"):
        read_images([ParquetSource(uri="in")], tmp_path, None)


def test_idx_files_of_the_size_that_is_free_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_idx(tmp_path / "images", np.zeros((3, 2, 2), dtype=np.uint8))
    limit(monkeypatch, 2 * 28)

    assert read_images([Source(uri="images", format="Idx")], tmp_path, None).pixels.shape == (3, 1, 2, 2)
