"""Cleaning that leaves nothing to train on, or to validate with: said with the filters that did it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raygen.errors import DataError
from tests.jobs import write_images
from tests.prepared import documents, image_job, prepared, text_job, write_lines

HELD: dict[str, Any] = {"sources": [{"uri": "lines", "format": "JsonLines"}]}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    write_lines(tmp_path / "lines" / "a.jsonl", documents(300, seed=1, words=200))
    write_images(tmp_path / "images.parquet", count=12, size=16)
    return tmp_path


@pytest.mark.parametrize(
    ("packing", "what"),
    [("Stream", "fewer than 32 tokens, too few for one sample"), ("Single", "no documents")],
)
def test_texts_that_are_all_duplicates_of_validation(base: Path, packing: str, what: str) -> None:
    cleaning = {"text": {"duplicates": {"type": "Exact"}}}
    job = text_job(data__validation=HELD, data__cleaning=cleaning, data__packing=packing)
    with pytest.raises(
        DataError, match=rf"the training split has {what}; of 600 records 300 were left out"
    ) as caught:
        prepared(job, base)
    assert caught.value.what.endswith("(duplicates 300)")
    assert not (base / "prepared" / "index.json").exists()


def test_images_that_are_all_duplicates_of_validation(base: Path) -> None:
    source = {"uri": "images.parquet", "format": "Parquet"}
    job = image_job(
        data__validation={"sources": [source]},
        data__cleaning={"images": {"duplicates": {"type": "Pixels"}}},
    )
    with pytest.raises(
        DataError, match="the training split has no images; of 24 records 12 were left out"
    ) as caught:
        prepared(job, base)
    assert "contextLength" not in caught.value.remedy


def test_a_validation_split_that_filters_empty(base: Path) -> None:
    write_lines(base / "short" / "a.jsonl", ["one two", "three"])
    held = {"sources": [{"uri": "short", "format": "JsonLines"}]}
    job = text_job(data__validation=held, data__cleaning={"text": {"minWords": 3}})
    with pytest.raises(DataError, match="the validation split holds nothing; of 302 records 2 were left out"):
        prepared(job, base)
