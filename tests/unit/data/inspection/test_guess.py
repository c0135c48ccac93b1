from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raygen.data.inspection.guess import guess_fields, guess_format
from raygen.errors import DataError, InputError
from raygen.spec import Source
from tests.unit.data.images.test_pixels import write_idx
from tests.unit.data.records.reading import picture, write_tar
from tests.unit.data.records.test_mds import index, texts
from tests.unit.data.text.test_documents import write


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a.txt": "a", "b.md": "b"}, "Text"),
        ({"a.jsonl": "{}"}, "JsonLines"),
        ({"a.jsonl.gz": gzip.compress(b"{}")}, "JsonLines"),
        ({"part-0": '{"text": "a"}\n'}, "JsonLines"),
        ({"one.json": '{"text": "a"}\n'}, "Text"),
        ({"a.CSV": "text\na"}, "Csv"),
        ({"a.tsv.zst": b""}, "Csv"),
        ({"cat/a.jpg": picture(), "dog/b.webp": b"", "README.md": "x"}, "ImageFolder"),
        ({"a": picture()}, "ImageFolder"),
        ({"index.json": index(("0.mds", None, 1)), "0.mds": texts("a")}, "Mds"),
        ({"index.json": index(("0.mds", "0.mds.zstd", 1)), "0.mds.zstd": b""}, "Mds"),
        ({"state.json": "{}", "data-00000-of-00001.arrow": b""}, "HuggingFace"),
        ({"a.arrow": b"", "b.feather": b""}, "Arrow"),
        ({"a.tar.gz": b""}, "Tar"),
    ],
)
def test_the_format_is_that_of_most_files(
    tmp_path: Path, files: dict[str, str | bytes], expected: str
) -> None:
    write(tmp_path, {f"in/{name}": content for name, content in files.items()})

    assert guess_format("in", tmp_path) == expected


def test_files_without_an_ending_are_known_by_what_they_begin_with(tmp_path: Path) -> None:
    table = pa.table({"text": ["a"]})
    pq.write_table(table, tmp_path / "parquet")
    with pa.ipc.new_stream(tmp_path / "stream", table.schema) as writer:
        writer.write_table(table)
    write_tar(tmp_path / "tar", [("0.png", b"")])
    write_idx(tmp_path / "idx", np.zeros((1, 2, 2), dtype=np.uint8))
    expected = {"parquet": "Parquet", "stream": "Arrow", "tar": "Tar", "idx": "Idx"}

    assert {name: guess_format(name, tmp_path) for name in expected} == expected
    assert guess_format("hf://owner/name", tmp_path) == "HuggingFace"
    with pytest.raises(DataError, match="no such file"):
        guess_format("nowhere", tmp_path)


@pytest.mark.parametrize(
    ("form", "columns", "expected"),
    [
        ("Parquet", {"id": "int64", "text": "string"}, {"contents": "Text"}),
        ("Parquet", {"url": "string", "content": "large_string"}, {"contents": "Text", "field": "content"}),
        ("Parquet", {"a": "string", "b": "int64"}, {"contents": "Text", "field": "a"}),
        (
            "Arrow",
            {"img": "struct<bytes: binary, path: string>", "fine_label": "int64"},
            {"contents": "Images", "field": "img", "label_field": "fine_label"},
        ),
        ("Parquet", {"image": "binary", "label": "int8"}, {"contents": "Images"}),
        ("Mds", {"x": "jpeg", "y": "int"}, {"contents": "Images", "field": "x"}),
        ("Mds", {"text": "str", "tokens": "bytes"}, {"contents": "Text"}),
        ("Tar", {"jpg": "member", "cls": "member"}, {"contents": "Images"}),
        ("Tar", {"txt": "member", "json": "member"}, {"contents": "Text"}),
        ("HuggingFace", {"caption": "Value('string')"}, {"contents": "Text", "field": "caption"}),
        ("JsonLines", {"id": "whole number", "body": "text"}, {"field": "body"}),
        ("Csv", {"text": "text"}, {}),
        ("Text", {}, {}),
    ],
)
def test_contents_and_columns_are_guessed(
    form: str, columns: dict[str, str], expected: dict[str, str]
) -> None:
    found = guess_fields(Source.model_validate({"uri": "x", "format": form}), columns)

    assert found == Source.model_validate({"uri": "x", "format": form, **expected})


def test_what_is_given_is_kept() -> None:
    given = Source(uri="x", format="Parquet", contents="Text", field="b")

    assert guess_fields(given, {"a": "binary", "b": "string"}) == given


def test_texts_with_labels_are_refused_as_in_a_job() -> None:
    given = Source(uri="x", format="Parquet", label_field="topic")

    with pytest.raises(InputError, match="labelField belongs to sources that hold images"):
        guess_fields(given, {"text": "string", "topic": "int64"})
