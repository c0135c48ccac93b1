"""A file may have any name that its system allows."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from raygen.data.images.pixels import ImageShape
from raygen.errors import DataError
from tests.jobs import write_images
from tests.prepared import digests, documents, image_job, opened, prepared, text_job

NAMES = (b"f\xff0.txt", "ä ö.txt".encode(), b"line\nbreak.txt", b"\xed\xa0\x80.txt")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "lines").mkdir()
    for name, text in zip(NAMES, documents(len(NAMES), words=400), strict=True):
        Path(os.fsdecode(os.fsencode(tmp_path / "lines") + b"/" + name)).write_text(text)
    return tmp_path


def test_names_that_are_not_utf_8_are_read(base: Path) -> None:
    source = {"sources": [{"uri": "lines", "format": "Text"}]}
    job = text_job(
        data__train=source,
        data__validation=None,
        evaluation__metrics=[],
        data__cleaning={"text": {"minWords": 2, "duplicates": {"type": "MinHash"}}},
    )
    assert sum(shard.rows for shard in prepared(job, base).index.train[0].shards) == len(NAMES)
    expected = digests(base / "prepared")
    (base / "prepared").rename(base / "before")
    prepared(job, base)
    assert digests(base / "prepared") == expected


def test_examples_with_such_names_are_written_and_printed(base: Path) -> None:
    source = {"sources": [{"uri": "lines", "format": "Text"}]}
    filters = {"minCharacters": 10**6}
    job = text_job(
        data__train=source, data__cleaning={"text": filters}, data__validation=None, evaluation__metrics=[]
    )
    with pytest.raises(DataError, match="the data holds no text"):
        prepared(job, base)
    for name in NAMES:
        path = Path(os.fsdecode(os.fsencode(base / "lines") + b"/" + name))
        path.write_bytes(b"\xff broken")
    with pytest.raises(DataError, match="are broken") as caught:
        prepared(job, base)
    caught.value.what.encode()
    assert "f\\udcff0.txt" in caught.value.what


def test_folders_with_such_names_are_classes(tmp_path: Path) -> None:
    table = write_images(tmp_path / "images.parquet", 40)
    rows = pq.read_table(table).column("image").to_pylist()
    for number, row in enumerate(rows):
        folder = Path(os.fsdecode(os.fsencode(tmp_path / "pictures") + (b"/a\xff", b"/b")[number % 2]))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.png").write_bytes(row["bytes"])
    job = image_job(data__train={"sources": [{"uri": "pictures", "format": "ImageFolder"}]})
    data = opened(job, tmp_path)
    assert isinstance(data.domain, ImageShape)
    assert data.domain.classes == ("a\udcff", "b")
    data.close()
