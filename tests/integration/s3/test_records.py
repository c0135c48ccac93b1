"""Records of every format from a real S3 server: the same as from this machine, and told of when they disappear."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raygen.data.inspection.guess import guess_format
from raygen.data.inspection.survey import survey
from raygen.data.records.parts import parts_of, read_part
from raygen.data.remarks import Remarks
from raygen.errors import DataError
from raygen.spec import Source
from raygen.spec.data.sources import resolved_source
from raygen.storage import open_storage
from tests.integration.s3.conftest import fresh
from tests.integration.s3.server import Server
from tests.unit.data.images.test_pixels import write_idx
from tests.unit.data.records.reading import contents, gather, picture, sound, write_tar
from tests.unit.data.records.test_mds import images, index
from tests.unit.data.text.test_documents import PACKERS, write

TEXTS = [f"text {number} " * 20 for number in range(300)]
TEXT = {"contents": "Text"}
SOURCES: list[dict[str, Any]] = [
    {"uri": "texts"},
    {"uri": "texts/*.txt"},
    {"uri": "a.jsonl", "format": "JsonLines"},
    {"uri": "b.jsonl.zst", "format": "JsonLines"},
    {"uri": "a.csv", "format": "Csv"},
    {"uri": "a.parquet", "format": "Parquet", **TEXT},
    {"uri": "a.arrow", "format": "Arrow", **TEXT},
    {"uri": "stream.arrow", "format": "Arrow", **TEXT},
    {"uri": "saved", "format": "HuggingFace", **TEXT},
    {"uri": "pictures", "format": "ImageFolder"},
    {"uri": "tars", "format": "Tar"},
    {"uri": "mds", "format": "Mds"},
    {"uri": "idx.gz", "format": "Idx"},
]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("sources")
    lines = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS)
    members = [(f"{n}.png", picture(n)) for n in range(20)]
    write(
        base,
        {
            **{f"texts/{number:03}.txt": text for number, text in enumerate(TEXTS[:40])},
            **{f"pictures/{'ab'[n % 2]}/{n}.png": picture(n) for n in range(30)},
            "a.jsonl": lines,
            "b.jsonl.zst": PACKERS["zst"](lines.encode()),
            "a.csv": "id,text\n" + "".join(f'{n},"{text}\n"\n' for n, text in enumerate(TEXTS)),
            "mds/index.json": index(("0.mds", "0.mds.zstd", 3), ("1.mds", None, 4)),
            "mds/0.mds.zstd": PACKERS["zst"](images(0, 3)),
            "mds/1.mds": images(3, 4),
            "saved/state.json": json.dumps({"_data_files": [{"filename": "data.arrow"}]}),
        },
    )
    (base / "tars").mkdir()
    write(base, {"tars/1.tar.gz": gzip.compress(write_tar(base / "tars/0.tar", members).read_bytes())})
    write_idx(base / "idx", np.arange(48, dtype=np.uint8).reshape(3, 4, 4))
    write(base, {"idx.gz": gzip.compress((base / "idx").read_bytes())})
    table = pa.table({"text": TEXTS, "other": TEXTS})
    pq.write_table(table, base / "a.parquet", row_group_size=50)
    with pa.ipc.new_file(base / "a.arrow", table.schema) as file:
        file.write_table(table, max_chunksize=50)
    for name in ("stream.arrow", "saved/data.arrow"):
        with pa.ipc.new_stream(base / name, table.schema) as stream:
            stream.write_table(table, max_chunksize=50)
    return base


@pytest.fixture
def remote(server: Server, aws: dict[str, str], local: Path) -> str:
    """The URI of a copy of those sources."""
    uri = fresh()
    storage = open_storage(uri)
    for path in local.rglob("*"):
        if path.is_file():
            storage.write(path.relative_to(local).as_posix(), path.read_bytes())
    return uri


def test_every_format_is_the_same_from_s3(local: Path, remote: str) -> None:
    for fields in SOURCES:
        here = resolved_source(Source.model_validate(fields))
        there = here.model_copy(update={"uri": f"{remote}/{here.uri}"})
        for size in (3000, 1 << 40):
            found = sound(gather(there, Path("nowhere"), size))
            expected = sound(gather(here, local, size))
            assert found
            assert [(one.key, one.content, one.label) for one in found] == [
                (one.key, one.content, one.label) for one in expected
            ], fields
            assert {one.where.replace(remote, str(local)) for one in found} == {one.where for one in expected}


def test_what_disappears_is_told_with_its_uri(local: Path, remote: str) -> None:
    for fields in SOURCES:
        source = resolved_source(Source.model_validate({**fields, "uri": f"{remote}/{fields['uri']}"}))
        part = parts_of([source], Path(), Remarks(), 3000)[-1]
        storage = open_storage(remote)
        for file in part.files:
            storage.delete(file.uri.removeprefix(f"{remote}/"))
        with pytest.raises(DataError) as caught:
            list(read_part(part, source, Path(), Remarks()))
        assert caught.value.where in {file.uri for file in part.files}
        assert caught.value.remedy
        for file in part.files:
            key = file.uri.removeprefix(f"{remote}/")
            storage.write(key, (local / key).read_bytes())


def test_a_bucket_that_is_not_there_is_told(server: Server, aws: dict[str, str]) -> None:
    source = resolved_source(Source(uri="s3://there-is-none/a", format="JsonLines"))

    with pytest.raises(DataError, match="bucket"):
        parts_of([source], Path(), Remarks())


def test_it_can_be_looked_at(remote: str) -> None:
    for fields in SOURCES:
        uri = f"{remote}/{fields['uri']}"
        assert guess_format(uri, Path()) == fields.get("format", "Text")
    found = survey(Source.model_validate({"uri": f"{remote}/a.csv", "format": "Csv"}), Path(), 3)
    assert (found.records, found.columns) == (300, {"id": "text", "text": "text"})
    assert all(text.strip() in map(str.strip, TEXTS) for text in contents(found.samples))


def test_images_are_known_by_their_contents_too(server: Server, aws: dict[str, str], tmp_path: Path) -> None:
    files = {
        "a/1.png": picture(1),
        "a/2": picture(2),
        "b/3.unknown": picture(3),
        "b/4.json": "{}",
        "b/5.txt": "",
        "b/6.svg": "<svg/>",
        "b/7.cls": "7",
    }
    write(tmp_path, {f"in/{name}": content for name, content in files.items()})
    uri = fresh()
    for name in files:
        open_storage(uri).write(f"in/{name}", (tmp_path / "in" / name).read_bytes())
    here, there = Remarks(), Remarks()
    source = resolved_source(Source(uri="in", format="ImageFolder"))
    expected = sound(gather(source, tmp_path, remarks=here))
    found = sound(gather(source.model_copy(update={"uri": f"{uri}/in"}), Path("nowhere"), remarks=there))

    assert [record.key for record in found] == ["a/1.png", "a/2", "b/3.unknown"]
    assert [(one.key, one.content, one.label) for one in found] == [
        (one.key, one.content, one.label) for one in expected
    ]
    assert [str(one).replace(uri, str(tmp_path)) for one in there.all()] == [str(one) for one in here.all()]
