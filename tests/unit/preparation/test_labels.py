"""Labels of any type are classes, broken records, or left out where the model needs none; never a traceback."""

from __future__ import annotations

import datetime
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from raygen.data.images.pixels import ImageData, ImageShape
from raygen.data.shards.dataset import PreparedData
from raygen.errors import DataError
from raygen.spec import ResolvedJob, parse, resolve
from tests.jobs import image_job_document
from tests.prepared import image_job, opened, prepared

COUNT = 60


def write(base: Path, labels: Sequence[Any]) -> None:
    draw = np.random.default_rng(0)
    images = []
    for _ in labels:
        out = io.BytesIO()
        Image.fromarray(draw.integers(0, 256, (16, 16)).astype(np.uint8)).save(out, "PNG")
        images.append({"bytes": out.getvalue(), "path": None})
    pq.write_table(pa.table({"image": images, "label": labels}), base / "images.parquet")


def gan(**changes: Any) -> ResolvedJob:
    """A job whose model may be told the classes."""
    preparation = {"uri": "prepared", "shardMegabytes": 1}
    conditional = {"model__gan__conditional": True}
    return resolve(parse(image_job_document("GAN", preparation=preparation, **conditional | changes)))


def classes(data: PreparedData) -> tuple[str, ...]:
    assert isinstance(data.domain, ImageShape)
    return data.domain.classes


def test_truth_values_are_the_classes_0_and_1(tmp_path: Path) -> None:
    write(tmp_path, [number % 2 == 0 for number in range(COUNT)])
    data = opened(gan(), tmp_path)
    assert classes(data) == ("0", "1") == ImageData(gan(), tmp_path).domain.classes
    labels = data.train_batch(range(data.samples_per_epoch)).arrays["labels"]
    assert set(labels.tolist()) == {0, 1}
    data.close()


@pytest.mark.parametrize("label", [b"cat", datetime.date(2026, 1, 1), 0.5])
def test_a_label_of_another_type_is_a_broken_record(tmp_path: Path, label: Any) -> None:
    write(tmp_path, [label] * COUNT)
    with pytest.raises(DataError, match=f"the label is of the type {type(label).__name__}") as caught:
        prepared(gan(), tmp_path)
    assert "images.parquet, row " in caught.value.where
    assert f"{COUNT} of {COUNT} records are broken" in caught.value.what


@pytest.mark.parametrize("label", [b"cat", datetime.date(2026, 1, 1)])
def test_a_model_that_needs_no_classes_goes_on_without_them(tmp_path: Path, label: Any) -> None:
    write(tmp_path, [label] * COUNT)
    data = opened(image_job(), tmp_path)
    assert classes(data) == ()
    assert len(data.train_batch(range(4)).arrays["images"]) == 4
    data.close()
    (remark,) = prepared(image_job(), tmp_path).index.counts["remarks"]
    assert f"{COUNT} labels skipped: the model needs none" in remark


def test_records_without_a_label_are_counted(tmp_path: Path) -> None:
    write(tmp_path, [None if number < 7 else number % 2 for number in range(COUNT)])
    with pytest.raises(DataError, match=f"7 of {COUNT} images have no label"):
        prepared(gan(), tmp_path)
    data = opened(image_job(), tmp_path)
    assert classes(data) == ()
    data.close()
    (remark,) = prepared(image_job(), tmp_path).index.counts["remarks"]
    assert (
        f"{COUNT - 7} labels skipped: the model needs none, and 7 of {COUNT} images have no label" in remark
    )


def test_numbers_and_texts_do_not_go_together(tmp_path: Path) -> None:
    base = tmp_path / "pictures"
    for name in "ab":
        (base / name).mkdir(parents=True)
    draw = np.random.default_rng(0)
    for number in range(COUNT):
        Image.fromarray(draw.integers(0, 256, (16, 16)).astype(np.uint8)).save(
            base / "ab"[number % 2] / f"{number}.png"
        )
    write(tmp_path, [number % 2 for number in range(COUNT)])
    sources = [
        {"uri": "images.parquet", "format": "Parquet"},
        {"uri": "pictures", "format": "ImageFolder"},
    ]
    with pytest.raises(DataError, match="some labels are texts, such as 'a', and others numbers, such as 0"):
        prepared(gan(data__train={"sources": sources}), tmp_path)
