"""Which files of a source are tables, wherever they are."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raygen.data.records.parts import parts_of
from raygen.data.remarks import Remarks
from raygen.data.sources import files
from raygen.spec.data.sources import ArrowSource, ParquetSource
from raygen.storage import Entry


class Bucket:
    """A bucket that holds what a folder does."""

    def __init__(self, folder: Path) -> None:
        self.uri = "s3://bucket"
        self._folder = folder

    def exists(self, key: str) -> bool:
        return (self._folder / key).is_file()

    def list(self, prefix: str) -> Iterator[Entry]:
        for path in sorted((self._folder / prefix).iterdir()):
            yield Entry(f"{prefix}{path.name}", path.stat().st_size)

    def open(self, key: str) -> io.BytesIO:
        return io.BytesIO((self._folder / key).read_bytes())


@pytest.mark.parametrize("form", [ParquetSource, ArrowSource])
def test_a_bucket_and_a_folder_give_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Any
) -> None:
    monkeypatch.setattr(files, "open_storage", lambda _: Bucket(tmp_path))
    (tmp_path / "in").mkdir()
    table = pa.table({"text": ["a", "b"]})
    for name in ("a.parquet", "b", "c.arrow", "d"):
        if name in ("a.parquet", "b"):
            pq.write_table(table, tmp_path / "in" / name)
        else:
            with pa.ipc.new_file(tmp_path / "in" / name, table.schema) as writer:
                writer.write_table(table)
    (tmp_path / "in/README.md").write_text("What the files hold.")
    (tmp_path / "in/e.crc").write_bytes(b"")

    found = []
    for uri in ("in", "s3://bucket/in"):
        remarks = Remarks()
        parts = parts_of([form(uri=uri, contents="Text")], tmp_path, remarks)
        keys = [file.key for part in parts for file in part.files]
        found.append((keys, [(remark.reason, remark.count) for remark in remarks.all()]))

    expected = ["a.parquet", "b"] if form is ParquetSource else ["c.arrow", "d"]
    noun = "Parquet" if form is ParquetSource else "Arrow"
    assert found == [(expected, [(f"it is not {noun}", 4)])] * 2
