"""The data set is the same to the byte whoever does the tasks, in whatever order, and however often they are killed."""

from __future__ import annotations

import gzip
import itertools
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raygen.data.remarks import Remarks
from raygen.data.shards.dataset import PreparedData
from raygen.data.shards.index import read_index
from raygen.data.text.tokenizers import Tokenizer, train_tokenizer
from raygen.errors import DataError
from raygen.preparation import encoding, pipeline
from raygen.preparation import plan as planning
from raygen.preparation.encoding import cut
from raygen.preparation.merging import merge
from raygen.storage import LocalStorage
from tests.prepared import (
    Interrupted,
    Killed,
    Shuffled,
    digests,
    documents,
    kill,
    opened,
    prepared,
    text_job,
    write_lines,
)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several parts and ranges of little text."""
    monkeypatch.setattr(planning, "TEXT_PART", 20_000)
    monkeypatch.setattr(planning, "RANGE", 60_000)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    for number in range(4):
        write_lines(tmp_path / "lines" / f"{number}.jsonl", documents(250, seed=number))
    return tmp_path


def test_every_document_is_in_one_split_once(base: Path) -> None:
    data = opened(text_job(data__packing="Single", model__transformer__contextLength=512), base)
    tokenizer = data.domain
    assert isinstance(tokenizer, Tokenizer)
    assert tokenizer.end_of_text is not None

    def texts(samples: Any) -> list[str]:
        rows = zip(samples.arrays["inputs"], samples.weights, strict=True)
        return [tokenizer.decode(row[1 : int(weight)]) for row, weight in rows]

    train = texts(data.train_batch(range(data.samples_per_epoch)))
    held = [text for samples in data.validation_batches(16) for text in texts(samples)]
    everything = [text for number in range(4) for text in documents(250, seed=number)]
    assert sorted(train + held) == sorted(everything)
    assert 60 < len(held) < 140


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_tasks_changes_no_byte(base: Path, seed: int) -> None:
    job = text_job()
    calm = prepared(job, base)
    expected = digests(base / "prepared")
    assert calm.new
    assert len(calm.index.train[0].shards) > 1
    other = text_job(preparation={"uri": "other", "shardMegabytes": 1, "shardsPerWindow": 2})
    assert prepared(other, base, Shuffled(seed)).index == calm.index
    assert digests(base / "other") == expected


@pytest.mark.parametrize("mixed", [False, True])
def test_how_much_is_in_memory_at_a_time_changes_no_byte(
    base: Path, monkeypatch: pytest.MonkeyPatch, mixed: bool
) -> None:
    """A part that is put in order piece by piece, and ranges that are gathered by slices, as of files that are compressed well."""
    for number in range(2):
        lines = "".join(json.dumps({"text": text}) + "\n" for text in documents(4000, seed=number))
        (base / f"{number}.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    train: dict[str, Any] = {
        "sources": [{"uri": f"{number}.jsonl.gz", "format": "JsonLines"} for number in range(2)]
    }
    if mixed:
        train["mixture"] = {"weights": [1, 2]}
    calm = prepared(text_job(data__train=train), base)
    assert len(calm.index.train[0].shards) > 2
    monkeypatch.setattr(encoding, "_HELD", 200_000)
    monkeypatch.setattr(pipeline, "RANGE", 100_000)
    slices: list[int] = []

    def noted(context: Any, item: Any) -> dict[str, Any]:
        slices.append(encoding.read_encoding(context).slices)
        return merge(context, item)

    monkeypatch.setattr(pipeline, "merge", noted)
    other = text_job(
        data__train=train, preparation={"uri": "other", "shardMegabytes": 1, "shardsPerWindow": 2}
    )
    assert prepared(other, base).index == calm.index
    assert digests(base / "other") == digests(base / "prepared")
    assert min(slices) > 1


def test_parts_that_were_cut_into_other_slices_are_encoded_again(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = prepared(text_job(), base)
    other = text_job(preparation={"uri": "other", "shardMegabytes": 1, "shardsPerWindow": 2})
    parts = len(planning.plan(other, base, Remarks()).parts)
    with pytest.raises(Killed):
        prepared(other, base, Interrupted(kill, parts + 3))
    monkeypatch.setattr(pipeline, "RANGE", 20_000)
    assert prepared(other, base).index == calm.index
    assert digests(base / "other") == digests(base / "prepared")


@pytest.mark.parametrize("seed", range(4))
def test_kills_at_any_write_change_no_byte(base: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared(text_job(), base)
    expected = digests(base / "prepared")
    other = text_job(preparation={"uri": "other", "shardMegabytes": 1, "shardsPerWindow": 2})
    draw = random.Random(seed)
    write, stream = LocalStorage.write, LocalStorage.stream
    left = 0

    def fatal(real: Any) -> Any:
        def either(self: LocalStorage, key: str, content: Any) -> None:
            nonlocal left
            left -= 1
            now = left == 0
            # Before the write or after it: a process is as often killed between a file and the mark that it is done.
            if now and draw.random() < 0.5:
                raise Killed
            real(self, key, content)
            if now:
                raise Killed

        return either

    monkeypatch.setattr(LocalStorage, "write", fatal(write))
    monkeypatch.setattr(LocalStorage, "stream", fatal(stream))
    kills = 0
    for _ in itertools.count():
        left = draw.randint(1, 30)
        try:
            prepared(other, base)
        except Killed:
            kills += 1
        else:
            break
    assert kills >= 1
    assert digests(base / "other") == expected


def test_finished_tasks_are_not_done_again(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = text_job()
    written: list[str] = []
    write = LocalStorage.write

    def noted(self: LocalStorage, key: str, content: Any) -> None:
        if key == "index.json" and written.count("index.json") == 0:
            written.append(key)
            raise Killed
        written.append(key)
        write(self, key, content)

    monkeypatch.setattr(LocalStorage, "write", noted)
    with pytest.raises(Killed):
        prepared(job, base)
    before = len(written)
    prepared(job, base)
    assert [key for key in written[before:] if key.endswith(".parquet")] == []


def test_a_whole_data_set_is_found_and_another_one_is_left_alone(base: Path) -> None:
    job = text_job()
    assert prepared(job, base).new
    assert not prepared(job, base).new
    before = digests(base / "prepared")
    with pytest.raises(DataError, match="was prepared from other sources, or in another way") as caught:
        prepared(text_job(data__tokenizer={"type": "Character"}), base)
    assert "another folder" in caught.value.remedy
    write_lines(base / "lines" / "4.jsonl", documents(3))
    with pytest.raises(DataError, match="other sources"):
        prepared(job, base)
    assert digests(base / "prepared") == before


def test_what_a_kill_at_the_very_end_left_is_removed(base: Path) -> None:
    job = text_job()
    prepared(job, base)
    left = base / "prepared" / "work" / "r" / "clean"
    left.mkdir(parents=True)
    (left / "000000.json").write_text("{}")
    assert not prepared(job, base).new
    assert not (base / "prepared" / "work").exists()


def test_a_vocabulary_is_learned_from_what_is_trained_on_alone(base: Path) -> None:
    """Neither from what is held out, nor from what is left out as a duplicate."""
    write_lines(base / "lines/4.jsonl", documents(250, seed=0)[:100] * 3)
    job = text_job(
        data__tokenizer={"type": "BPE", "vocabularySize": 300},
        data__packing="Single",
        data__cleaning={"text": {"duplicates": {"type": "Exact"}}},
        model__transformer__contextLength=512,
    )
    data = opened(job, base)
    tokenizer = data.domain
    assert isinstance(tokenizer, Tokenizer)
    samples = data.train_batch(range(data.samples_per_epoch))
    assert samples.weights is not None
    rows = zip(samples.arrays["inputs"], samples.weights, strict=True)
    texts = [tokenizer.decode(row[1 : int(weight)]) for row, weight in rows]
    assert 700 < len(texts) < 950
    assert job.spec.data.tokenizer is not None
    assert train_tokenizer(job.spec.data.tokenizer, texts).to_json() == tokenizer.to_json()


def test_training_refuses_data_of_another_job(base: Path) -> None:
    prepared(text_job(), base)
    with pytest.raises(DataError, match="prepared in another way than this job asks for"):
        PreparedData(text_job(data__validation={"fraction": 0.2}), base)
    # How it is read and where its sources are changes nothing.
    moved = {"sources": [{"uri": "elsewhere", "format": "JsonLines"}]}
    PreparedData(text_job(data__train=moved, data__packing="Single"), base).close()


def test_data_that_is_not_prepared_says_what_to_do(base: Path) -> None:
    with pytest.raises(DataError, match="there is no prepared data") as caught:
        PreparedData(text_job(), base)
    assert "raygen prepare" in caught.value.remedy


def test_one_book_is_cut_so_that_some_pages_are_kept_for_validation(tmp_path: Path) -> None:
    (tmp_path / "lines").mkdir()
    book = "".join(documents(6000))
    (tmp_path / "lines" / "book.txt").write_text(book)
    source = {"sources": [{"uri": "lines", "format": "Text"}]}
    data = opened(text_job(data__train=source, data__tokenizer={"type": "Character"}), tmp_path)
    index = read_index(LocalStorage(tmp_path / "prepared"))
    assert index is not None
    train, held = (
        sum(shard.units for shard in shards) for shards in (index.train[0].shards, index.validation)
    )
    # No character is lost, and none is added, as between documents.
    assert train + held == len(book)
    assert 0.02 < held / len(book) < 0.25
    data.close()


def test_pieces_join_to_the_text() -> None:
    text = "".join(documents(300))
    for length in (50, 1000, 10**6):
        pieces = cut(text, length)
        assert "".join(pieces) == text
        assert max(map(len, pieces)) <= length * 3 // 2
    assert all(piece.endswith("\n") for piece in cut(text, 1000)[:-1])
    assert cut("a" * 100, 10) == ["a" * 10] * 9 + ["a" * 10]


def test_a_mixture_has_a_component_for_each_source(base: Path) -> None:
    sources = [{"uri": f"lines/{number}.jsonl", "format": "JsonLines"} for number in range(2)]
    train = {"sources": sources, "mixture": {"weights": [3, 1]}}
    job = text_job(data__train=train, data__validation=None, evaluation__metrics=[], data__packing="Single")
    data = opened(job, base)
    numbers = data.order(range(2000))
    first = sum(1 for number in numbers if number < 250)
    assert abs(first - 1500) < 100
    # The small source comes again and again, each of its documents once per pass.
    second = numbers[numbers >= 250][:250]
    assert len(np.unique(second)) == 250
    data.close()
