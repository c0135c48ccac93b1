"""The data card says what is in the shards, and what became of all else; whoever makes it makes the same."""

from __future__ import annotations

import base64
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from raygen.data.order_hash import record_order
from raygen.errors import DataError
from raygen.preparation import plan as planning
from raygen.preparation.card.samples import smaller
from raygen.spec import ResolvedJob
from tests.jobs import write_images
from tests.prepared import Shuffled, documents, image_job, opened, prepared, text_job, write_lines


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several parts and ranges of little text."""
    monkeypatch.setattr(planning, "TEXT_PART", 10_000)
    monkeypatch.setattr(planning, "RANGE", 30_000)


def card_of(job: ResolvedJob, base: Path, executor: Any = None) -> dict[str, Any]:
    prepared(job, base, executor)
    card: dict[str, Any] = json.loads((base / "prepared" / "card.json").read_text())
    return card


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    """Two files of texts, the second with a broken line and one without text."""
    for number in range(2):
        write_lines(tmp_path / "lines" / f"{number}.jsonl", documents(150, seed=number))
    with (tmp_path / "lines" / "1.jsonl").open("a") as file:
        file.write('{"text": "cut o\n{"title": "no text"}\n')
    return tmp_path


def test_counts_are_those_of_the_shards(lines: Path) -> None:
    job = text_job(data__cleaning={"maxBrokenShare": 0.1})
    card = card_of(job, lines)
    index = prepared(job, lines).index
    train, validation = card["splits"]
    assert (train["split"], validation["split"]) == ("train", "validation")
    for split, shards in ((train, index.train[0].shards), (validation, index.validation)):
        assert split["rows"] == sum(shard.rows for shard in shards)
        assert split["units"] == sum(shard.units for shard in shards)
        assert split["bytes"] == sum(shard.bytes for shard in shards)
        assert sum(count for _, count in split["lengths"]) == split["rows"]
    texts = [text for number in range(2) for text in documents(150, seed=number)]
    sizes = [len(text.encode()) + 1 for text in texts]
    assert train["size"] + validation["size"] == sum(map(len, texts))
    assert min(train["shortest"], validation["shortest"]) == min(sizes)
    assert max(train["longest"], validation["longest"]) == max(sizes)
    assert card["records"] == 300
    assert card["sources"] == [
        {"split": "train", "uri": "lines", "records": 300, "size": sum(map(len, texts))}
    ]
    assert card["bytes_per_token"] == train["size"] / train["units"]
    assert card["vocabulary"] == index.schema["vocabulary"]
    assert card["fingerprint"] == index.fingerprint


def test_what_was_left_out_is_there_with_its_reason(lines: Path) -> None:
    filters = {"minCharacters": 40, "duplicates": {"type": "Exact"}}
    write_lines(lines / "lines" / "2.jsonl", documents(20, seed=0))
    card = card_of(text_job(data__cleaning={"text": filters, "maxBrokenShare": 0.1}), lines)
    found = card["cleaning"]["filters"]
    assert found["readable"]["dropped"] == 1
    assert found["readable"]["examples"][0]["where"].startswith("lines/1.jsonl, byte ")
    short = [text for number in (0, 1, 0) for text in documents(150, seed=number) if len(text.strip()) < 40]
    assert 0 < found["minCharacters"]["dropped"] <= len(short)
    assert found["duplicates"]["dropped"] > 10
    assert card["records"] == sum(split["rows"] for split in card["splits"])
    (remark,) = card["remarks"]
    assert (remark["action"], remark["count"]) == ("Skipped", 1)
    assert remark["examples"][0].startswith("lines/1.jsonl")
    page = (lines / "prepared" / "card.html").read_text()
    assert found["readable"]["examples"][0]["where"] in page
    assert remark["reason"].replace("'", "&#39;") in page
    assert "duplicates left out" in page


def test_a_certificate_says_whether_splits_are_apart(lines: Path) -> None:
    cleaning = {"text": {"duplicates": {"type": "MinHash"}}, "maxBrokenShare": 0.1}
    card = card_of(text_job(data__cleaning=cleaning), lines)
    assert card["certificate"]["holds"]
    assert card["certificate"]["equal"] == 0
    assert card["certificate"]["validation"] == card["splits"][1]["rows"]
    assert "has a near duplicate in training" in (lines / "prepared" / "card.html").read_text()


@pytest.mark.parametrize("seed", range(2))
def test_the_order_of_tasks_does_not_show(lines: Path, seed: int) -> None:
    cleaning = {"text": {"minCharacters": 40, "duplicates": {"type": "MinHash"}}, "maxBrokenShare": 0.1}
    folder = lines / "prepared"
    calm = card_of(text_job(data__cleaning=cleaning), lines)
    page = (folder / "card.html").read_bytes()
    folder.rename(lines / "calm")
    assert card_of(text_job(data__cleaning=cleaning), lines, Shuffled(seed)) == calm
    assert (folder / "card.html").read_bytes() == page


def test_the_same_data_in_another_folder_has_the_same_card(
    lines: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    job = text_job(data__cleaning={"text": {"duplicates": {"type": "Exact"}}, "maxBrokenShare": 0.1})
    card = card_of(job, lines)
    other = tmp_path_factory.mktemp("other")
    shutil.copytree(lines / "lines", other / "lines")
    assert card_of(job, other) == card
    assert (other / "prepared" / "card.html").read_bytes() == (lines / "prepared" / "card.html").read_bytes()


def test_the_order_is_the_one_that_training_takes(lines: Path) -> None:
    job = text_job()
    card = card_of(job, lines)
    data = opened(job, lines)
    order = record_order(job, data)
    assert card["order"] == {"sha256": order.sha256, "positions": order.positions, "of": dict(order.of)}
    assert card["order"]["positions"] == data.samples_per_epoch
    data.close()


def test_samples_are_texts_of_their_split(lines: Path) -> None:
    card = card_of(text_job(), lines)
    texts = [text for number in range(2) for text in documents(150, seed=number)]
    assert {sample["split"] for sample in card["samples"]} == {"train", "validation"}
    for sample in card["samples"]:
        assert any(text.startswith(sample["text"].removesuffix(" …")) for text in texts)
    assert all("endoftext" not in sample["text"] for sample in card["samples"])


def test_texts_cannot_do_anything_on_the_page(tmp_path: Path) -> None:
    evil = "<script>document.title='PWNED'</script><img src=x onerror=alert(1)>"
    write_lines(tmp_path / "lines" / "0.jsonl", [evil] * 200)
    card = card_of(text_job(), tmp_path)
    assert card["samples"][0]["text"] == evil
    page = (tmp_path / "prepared" / "card.html").read_text()
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("encoding", ["Raw", "PNG"])
def test_images_are_counted_by_class_and_by_value(tmp_path: Path, encoding: str) -> None:
    write_images(tmp_path / "images.parquet")
    table = pq.read_table(tmp_path / "images.parquet")
    job = image_job(preparation={"uri": "prepared", "encoding": encoding})
    card = card_of(job, tmp_path)
    train, validation = card["splits"]
    assert train["rows"] + validation["rows"] == len(table)
    counts = {name: train["classes"][name] + validation["classes"][name] for name in train["classes"]}
    assert sum(counts.values()) == len(table)
    data = opened(job, tmp_path)
    pixels = data.train_batch(range(data.samples_per_epoch)).arrays["images"]
    data.close()
    assert train["levels"] == [np.bincount(pixels.ravel(), minlength=256).tolist()]
    assert train["mean"] == pytest.approx([pixels.mean()])
    assert train["deviation"] == pytest.approx([pixels.std()])
    assert card["shape"] == list(pixels.shape[1:])
    shown = [sample for sample in card["samples"] if sample["split"] == "train"]
    kept = {image.tobytes() for image in pixels}
    for sample in shown:
        with Image.open(io.BytesIO(base64.b64decode(sample["png"]))) as picture:
            assert np.asarray(picture).tobytes() in kept
        assert sample["label"] in train["classes"]


def test_large_pictures_are_shown_smaller() -> None:
    pixels = np.arange(3 * 200 * 100, dtype=np.uint8).reshape(3, 200, 100)
    assert smaller(pixels).shape == (3, 66, 33)
    assert smaller(np.full((1, 1000, 3), 7, np.uint8)).tolist() == [[[7]] * 90]
    assert smaller(pixels[:, :96, :96]) is not None
    assert np.array_equal(smaller(pixels[:, :96, :96]), pixels[:, :96, :96])


def test_data_too_small_to_train_on_is_said_before_it_is_called_prepared(tmp_path: Path) -> None:
    write_lines(tmp_path / "lines" / "0.jsonl", documents(3))
    validation = {"sources": [{"uri": "lines", "format": "JsonLines"}]}
    job = text_job(data__validation=validation, model__transformer__contextLength=1024)
    with pytest.raises(DataError, match="the training split has fewer than 2048 tokens"):
        prepared(job, tmp_path)
    assert not (tmp_path / "prepared" / "index.json").exists()
