from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.data.records.part import MOST_FILES
from raygen.data.records.parts import FORMATS, Part, PartFile, parts_of, read_part
from raygen.data.remarks import Remarks
from raygen.errors import DataError
from raygen.spec import Source
from raygen.spec.data.sources import (
    ArrowSource,
    JsonLinesSource,
    ParquetSource,
    PlainSource,
    ResolvedSource,
)
from tests.budget import examples
from tests.unit.data.records.reading import contents, gather, sound
from tests.unit.data.text.test_documents import write

TEXTS = [f"text {number}" * (number % 7) or "x" for number in range(200)]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    table = pa.table({"text": TEXTS, "other": [b"x" * 500] * len(TEXTS)})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=20)
    with pa.ipc.new_file(tmp_path / "a.arrow", table.schema) as writer:
        writer.write_table(table, max_chunksize=20)
    write(tmp_path, {"a.jsonl": "".join(json.dumps({"text": text}) + "\n" for text in TEXTS)})
    write(tmp_path, {f"many/{number:03}.txt": TEXTS[number] for number in range(100)})
    return tmp_path


CUT: list[ResolvedSource] = [
    JsonLinesSource(uri="a.jsonl"),
    ParquetSource(uri="a.parquet", contents="Text"),
    ArrowSource(uri="a.arrow", contents="Text"),
]


@pytest.mark.parametrize("source", CUT, ids=lambda source: source.format)
@pytest.mark.parametrize("size", [1, 700, 2000, 10**9])
def test_how_large_files_are_cut_changes_no_record(base: Path, source: ResolvedSource, size: int) -> None:
    found = sound(gather(source, base, size))

    assert [record.content for record in found] == TEXTS
    assert [record.key for record in found] == [record.key for record in gather(source, base)]
    assert len({record.key for record in found}) == len(TEXTS)
    assert (len(parts_of([source], base, Remarks(), size)) > 1) == (size < 10**9)


def test_parts_are_the_same_again_and_json_can_hold_them(base: Path) -> None:
    for source in CUT:
        parts = parts_of([source], base, Remarks(), 700)
        assert parts == parts_of([source], base, Remarks(), 700)
        documents = json.loads(json.dumps([asdict(part) for part in parts]))
        assert parts == [
            Part(**{**document, "files": tuple(PartFile(**file) for file in document["files"])})
            for document in documents
        ]


def test_small_files_are_put_together_in_order(base: Path) -> None:
    many = PlainSource(uri="many")
    parts = parts_of([many, many], base, Remarks(), 400)

    assert {part.source for part in parts} == {0, 1}
    assert all(sum(file.size for file in part.files) <= 400 for part in parts)
    assert 2 < len(parts) < 100
    assert contents(gather(many, base, 400)) == TEXTS[:100]
    (alone,) = parts_of([many], base, Remarks())
    assert (alone.records, len(alone.files)) == (100, 100)


def test_a_part_has_a_bounded_number_of_files(tmp_path: Path) -> None:
    write(tmp_path, {f"many/{number}": "a" for number in range(MOST_FILES + 1)})

    assert [len(part.files) for part in parts_of([PlainSource(uri="many")], tmp_path, Remarks())] == [
        MOST_FILES,
        1,
    ]


def test_of_parquet_it_is_known_how_many_rows_have_content(tmp_path: Path) -> None:
    table = pa.table({"text": ["a", None, "b", "c", None, None]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    source = ParquetSource(uri="a.parquet", contents="Text")

    assert [part.records for part in parts_of([source], tmp_path, Remarks(), 1)] == [1, 2, 0]


@pytest.mark.parametrize(
    ("uri", "keys"),
    [
        ("texts", ["a/x.txt", "b/x.txt"]),
        ("texts/*/x.txt", ["a/x.txt", "b/x.txt"]),
        ("tex*/**", ["texts/a/x.txt", "texts/b/x.txt"]),
        ("texts/a/x.txt", ["x.txt"]),
    ],
)
def test_keys_say_where_in_the_source_a_record_is(tmp_path: Path, uri: str, keys: list[str]) -> None:
    write(tmp_path, {"texts/a/x.txt": "a", "texts/b/x.txt": "b"})
    relative = sound(gather(PlainSource(uri=uri), tmp_path))
    absolute = sound(gather(PlainSource(uri=f"{tmp_path}/{uri}"), Path("elsewhere")))

    assert [record.key for record in relative] == [record.key for record in absolute] == keys


@examples(100)
@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=12), max_size=30),
    st.booleans(),
    st.integers(1, 200),
)
def test_ranges_of_any_size_hold_each_line_once(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], ends: bool, size: int
) -> None:
    base = tmp_path_factory.mktemp("lines")
    lines = [json.dumps({"text": text}, ensure_ascii=False) for text in texts]
    content = "\n".join(lines) + "\n" * (ends or not lines)
    (base / "x.jsonl").write_text(content, encoding="utf-8", newline="")
    source = JsonLinesSource(uri="x.jsonl")

    found = sound(gather(source, base, size))

    assert [record.content for record in found] == [text for text in texts if text]
    for record in found:
        place = int(record.key.partition("#")[2])
        line = content.encode()[place:].partition(b"\n")[0]
        assert json.loads(line)["text"] == record.content


def test_a_file_that_disappears_is_told(base: Path) -> None:
    for source in (*CUT, PlainSource(uri="many")):
        parts = parts_of([source], base, Remarks(), 700)
        (uri,) = {file.uri for file in parts[-1].files[-1:]}
        Path(uri).unlink()
        with pytest.raises(DataError, match="No such file") as caught:
            list(read_part(parts[-1], source, base, Remarks()))
        assert caught.value.where == uri
        assert caught.value.remedy


def test_every_format_of_a_job_has_a_reader() -> None:
    formats = Source.model_fields["format"].annotation.__args__  # type: ignore[union-attr]

    assert set(FORMATS) == set(formats)
    for load in FORMATS.values():
        module = load()
        assert callable(module.pieces)
        assert callable(module.read)
