"""Sources that would make another data set than a person expects are refused, or named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from raygen.data.shards.dataset import PreparedData
from raygen.errors import DataError
from raygen.spec import ResolvedJob, parse, resolve
from raygen.training.data_preparation import prepare_missing
from raygen.training.engine.control import Control
from raygen.training.observers.events import Notice
from tests.jobs import image_job_document, write_images
from tests.prepared import documents, image_job, opened, prepared, text_job, write_lines


def save(path: Path, width: int, height: int, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (height, width, 3) if mode == "RGB" else (height, width)
    pixels = np.random.default_rng(len(path.name)).integers(0, 256, shape)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


@pytest.mark.parametrize("other", [(6, 12, "RGB"), (36, 6, "L")], ids=["turned", "grey"])
def test_images_with_as_many_bytes_and_another_shape_are_refused(
    tmp_path: Path, other: tuple[int, int, str]
) -> None:
    for number in range(8):
        save(tmp_path / f"pictures/a/{number}.png", 12, 6)
    save(tmp_path / "pictures/b/0.png", *other)
    job = image_job(
        data__train={"sources": [{"uri": "pictures", "format": "ImageFolder"}]},
        data__validation={"fraction": 0.5},
    )
    with pytest.raises(DataError, match=r"the image is .* and .* is 12x6 RGB") as caught:
        prepared(job, tmp_path)
    assert "b/0.png" in caught.value.where
    assert "size and mode" in caught.value.remedy


def test_a_class_that_only_validation_has_is_refused(tmp_path: Path) -> None:
    table = pq.read_table(write_images(tmp_path / "images.parquet"))
    held = table.set_column(1, "label", pa.array([7] * len(table)))
    pq.write_table(held, tmp_path / "held.parquet")
    document = image_job_document(
        "GAN",
        model__gan__conditional=True,
        data__validation={"sources": [{"uri": "held.parquet", "format": "Parquet"}]},
        preparation={"uri": "prepared"},
    )
    with pytest.raises(DataError, match="the label '7' is not one of the training split's 3 classes"):
        prepared(resolve(parse(document)), tmp_path)


@pytest.mark.parametrize("place", ["lines", "lines/prepared", "other/../lines/deep/er"])
def test_a_place_within_a_source_is_refused(tmp_path: Path, place: str) -> None:
    write_lines(tmp_path / "lines/0.jsonl", documents(20))
    with pytest.raises(DataError, match="lies in the source lines"):
        prepared(text_job(preparation={"uri": place}), tmp_path)


def test_a_hidden_place_within_a_source_is_none_of_it(tmp_path: Path) -> None:
    write_lines(tmp_path / "lines/0.jsonl", documents(200))
    job = text_job(preparation={"uri": "lines/.prepared"})
    assert prepared(job, tmp_path).new
    assert not prepared(job, tmp_path).new


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pa.table([pa.array(["one"]), pa.array(["two"])], names=["text", "text"])
    (tmp_path / "lines").mkdir()
    pq.write_table(table, tmp_path / "lines/0.parquet")
    job = text_job(data__train={"sources": [{"uri": "lines", "format": "Parquet", "contents": "Text"}]})
    with pytest.raises(DataError, match="there are 2 columns named 'text'"):
        prepared(job, tmp_path)


def test_a_source_of_weight_0_may_be_empty(tmp_path: Path) -> None:
    write_lines(tmp_path / "lines/0.jsonl", documents(200))
    write_lines(tmp_path / "few/0.jsonl", ["a"])
    train: dict[str, Any] = {
        "sources": [{"uri": uri, "format": "JsonLines"} for uri in ("lines", "few")],
        "mixture": {"weights": [1, 0]},
    }
    data = opened(text_job(data__train=train), tmp_path)
    assert len(data.train_batch(range(8))) == 8
    data.close()
    train["mixture"]["weights"] = [1, 1]
    with pytest.raises(DataError, match="source 2 of the training split has fewer than"):
        opened(text_job(data__train=train, preparation={"uri": "other"}), tmp_path)


def said(job: ResolvedJob, base: Path) -> list[str]:
    """What is told before training."""
    events: list[Any] = []

    class Sink:
        def take(self, event: Any) -> None:
            events.append(event)

    prepare_missing(job, base, 1, Sink(), Control())
    return [event.message for event in events if isinstance(event, Notice)]


def test_training_on_data_of_other_sources_is_said(tmp_path: Path) -> None:
    write_lines(tmp_path / "lines/0.jsonl", documents(200))
    prepared(text_job(), tmp_path)
    assert said(text_job(), tmp_path) == []
    write_lines(tmp_path / "lines/1.jsonl", documents(20, seed=1))
    (notice,) = said(text_job(), tmp_path)
    assert "was not prepared from the job's sources as they are now" in notice
    # Nobody has to keep sources of what is prepared.
    for path in (tmp_path / "lines").iterdir():
        path.unlink()
    assert said(text_job(), tmp_path) == []


def test_data_that_is_refused_is_not_said_to_be_trained_on(tmp_path: Path) -> None:
    write_lines(tmp_path / "lines/0.jsonl", documents(200))
    prepared(text_job(), tmp_path)
    write_lines(tmp_path / "lines/1.jsonl", documents(20, seed=1))
    other = text_job(data__validation={"fraction": 0.2})
    assert said(other, tmp_path) == []
    with pytest.raises(DataError, match="prepared in another way than this job asks for"):
        PreparedData(other, tmp_path)


def test_lines_that_end_with_a_carriage_return_alone_are_named(tmp_path: Path) -> None:
    (tmp_path / "lines").mkdir()
    (tmp_path / "lines/0.csv").write_bytes(b"id,text\r1,one\r2,two\r")
    job = text_job(data__train={"sources": [{"uri": "lines", "format": "Csv"}]})
    with pytest.raises(DataError, match="its lines end with a carriage return alone"):
        prepared(job, tmp_path)
