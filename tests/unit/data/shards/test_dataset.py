"""Streams give the same samples to any number of readers, from any position on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raygen.data.images.pixels import ImageData
from raygen.data.order import lanes_of
from raygen.data.protocol import Samples
from raygen.data.shards.dataset import PreparedData
from raygen.data.shards.order import Window
from raygen.data.shards.pieces import Piece, ThreadedPieces
from raygen.data.text.tokenizers import Tokenizer
from raygen.errors import DataError
from raygen.spec.contents import IGNORED
from tests.jobs import write_images
from tests.prepared import documents, image_job, opened, text_job, write_lines

READERS = (1, 2, 3, 4, 64)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("text")
    write_lines(base / "lines" / "a.jsonl", documents(900, seed=1, words=400))
    write_lines(base / "lines" / "b.jsonl", documents(100, seed=2))
    opened(small_text(), base).close()
    return base


def small_text(**changes: Any) -> Any:
    return text_job(**changes | {"training__globalBatchSize": 64})


@pytest.fixture
def data(text: Path) -> Iterator[PreparedData]:
    stream = opened(small_text(), text)
    yield stream
    stream.close()


def equal(one: Samples, other: Samples) -> bool:
    same = all(np.array_equal(one.arrays[name], other.arrays[name]) for name in one.arrays)
    weights = (one.weights is None) == (other.weights is None)
    return same and weights and (one.weights is None or np.array_equal(one.weights, other.weights))


@pytest.mark.parametrize("readers", READERS)
@pytest.mark.parametrize("packing", ["Stream", "Documents", "Single"])
def test_any_number_of_readers_gives_the_same_batches(text: Path, readers: int, packing: str) -> None:
    job = small_text(data__packing=packing)
    size, steps = 64, 5
    whole = opened(job, text)
    expected = [whole.train_batch(range(step * size, (step + 1) * size)) for step in range(steps)]
    for rank in range(readers):
        lanes = lanes_of(rank, readers, size)
        reader = PreparedData(job, text)
        for step in range(steps):
            own = reader.train_batch(range(step * size + lanes.start, step * size + lanes.stop))
            for name, array in own.arrays.items():
                assert np.array_equal(array, expected[step].arrays[name][lanes.start : lanes.stop])
        reader.close()
    whole.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=15)
@given(position=st.integers(0, 5_000), length=st.integers(1, 200), again=st.integers(0, 300))
def test_a_reader_may_begin_anywhere_twice_in_a_row(
    text: Path, position: int, length: int, again: int
) -> None:
    calm = PreparedData(small_text(), text)
    expected = calm.train_batch(range(position, position + length + again + 50))
    calm.close()
    for start in (position, position + length, position + length + again):
        reader = PreparedData(small_text(), text)
        got = reader.train_batch(range(start, position + length + again + 50))
        reader.close()
        first = start - position
        assert equal(got, Samples({name: array[first:] for name, array in expected.arrays.items()}))


@pytest.mark.parametrize("position", [0, 4_000])
@pytest.mark.parametrize("expected", [0, 4_000])
def test_what_training_begins_with_is_read_before_it_is_asked_for(
    text: Path, data: PreparedData, position: int, expected: int
) -> None:
    read: Queue[tuple[int, int]] = Queue()

    class Told(ThreadedPieces):
        def of(self, window: Window) -> Iterator[Piece]:
            read.put((window.epoch, window.number))
            return super().of(window)

    ahead = PreparedData(small_text(), text, open_pieces=Told, first=expected)
    begun = [read.get(timeout=30)]
    batch = range(position, position + 64)
    assert equal(ahead.train_batch(batch), data.train_batch(batch))
    ahead.close()
    begun += read.queue
    # Another one than was expected is read none the less, and what is right is read once.
    assert begun[0] not in begun[1:]


def test_each_source_of_a_mixture_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    for number in range(2):
        write_lines(tmp_path / f"{number}.jsonl", documents(200, seed=number))
    sources = [{"uri": f"{number}.jsonl", "format": "JsonLines"} for number in range(2)]
    train = {"sources": sources, "mixture": {"weights": [1, 3]}}
    job = text_job(data__train=train, data__validation=None, evaluation__metrics=[])
    plain = opened(job, tmp_path)
    read: Queue[int] = Queue()

    class Told(ThreadedPieces):
        def of(self, window: Window) -> Iterator[Piece]:
            read.put(id(self))
            return super().of(window)

    ahead = PreparedData(job, tmp_path, open_pieces=Told, first=700)
    assert len({read.get(timeout=30) for _ in sources}) == 2
    assert equal(ahead.train_batch(range(700, 900)), plain.train_batch(range(700, 900)))
    ahead.close()
    plain.close()


def test_an_epoch_of_windows_reads_each_token_at_most_once(data: PreparedData) -> None:
    samples = data.train_batch(range(data.samples_per_epoch))
    inputs, targets = samples.arrays["inputs"], samples.arrays["targets"]
    assert inputs.shape == (data.samples_per_epoch, 16)
    assert np.array_equal(inputs[:, 1:], targets[:, :-1])
    assert len({row.tobytes() for row in inputs}) > 0.99 * len(inputs)
    assert sorted(data.order(range(data.samples_per_epoch)).tolist()) == list(range(data.samples_per_epoch))


def test_validation_is_read_whole_and_in_order(text: Path, data: PreparedData) -> None:
    tokenizer = data.domain
    assert isinstance(tokenizer, Tokenizer)
    for size in (1, 7, 64):
        batches = list(data.validation_batches(size))
        assert all(len(batch) == size for batch in batches[:-1])
        targets = np.concatenate([batch.arrays["targets"] for batch in batches])
        assert np.count_nonzero(targets == IGNORED, axis=1)[:-1].max(initial=0) == 0
        counted = int(np.concatenate([batch.arrays["bytes"] for batch in batches]).sum())
        kept = targets[targets != IGNORED]
        assert counted == tokenizer.token_bytes[kept].sum()
        if size == 1:
            first = kept
        assert np.array_equal(kept, first)


def test_documents_are_numbered_within_a_sample(text: Path) -> None:
    stream = opened(small_text(data__packing="Documents", model__transformer__contextLength=256), text)
    tokenizer = stream.domain
    assert isinstance(tokenizer, Tokenizer)
    samples = stream.train_batch(range(200))
    stream.close()
    inputs, numbers = samples.arrays["inputs"], samples.arrays["documents"]
    assert (numbers[:, 0] == 0).all()
    assert numbers.max() > 0
    steps = np.diff(numbers, axis=1)
    assert np.array_equal(steps == 1, inputs[:, 1:] == tokenizer.end_of_text)
    assert set(np.unique(steps)) <= {0, 1}


def test_single_documents_are_weighted_by_their_tokens(text: Path) -> None:
    stream = opened(small_text(data__packing="Single", model__transformer__contextLength=64), text)
    samples = stream.train_batch(range(50))
    assert stream.weighted
    assert samples.weights is not None
    assert np.array_equal(samples.weights, np.count_nonzero(samples.arrays["targets"] != IGNORED, axis=1))
    assert samples.weights.max() == 64
    assert samples.weights.min() > 0
    stream.close()


def test_a_change_of_weights_changes_nothing_before_it(tmp_path: Path) -> None:
    for number in range(2):
        write_lines(tmp_path / f"{number}.jsonl", documents(200, seed=number))
    sources = [{"uri": f"{number}.jsonl", "format": "JsonLines"} for number in range(2)]

    def stream(*changes: dict[str, Any]) -> PreparedData:
        train = {"sources": sources, "mixture": {"weights": [1, 1]}, "weightChanges": list(changes)}
        return opened(text_job(data__train=train, data__validation=None, evaluation__metrics=[]), tmp_path)

    plain, changed = stream(), stream({"fromSample": 300, "weights": [1, 9]})
    assert equal(plain.train_batch(range(300)), changed.train_batch(range(300)))
    assert not equal(changed.train_batch(range(300, 400)), plain.train_batch(range(300, 400)))
    # Positions in pieces are those of the whole, over the change too.
    whole = changed.train_batch(range(250, 350))
    pieces = [changed.train_batch(range(start, start + 10)) for start in range(250, 350, 10)]
    joined = np.concatenate([piece.arrays["inputs"] for piece in pieces])
    assert np.array_equal(joined, whole.arrays["inputs"])
    plain.close()
    changed.close()


@pytest.mark.parametrize("encoding", ["Raw", "PNG"])
def test_images_are_those_that_are_read_into_memory(tmp_path: Path, encoding: str) -> None:
    write_images(tmp_path / "images.parquet")
    job = image_job(preparation={"uri": f"prepared-{encoding}", "encoding": encoding})
    stream = opened(job, tmp_path)
    memory = ImageData(job, tmp_path)

    def pictures(samples: list[Samples]) -> list[bytes]:
        return sorted(image.tobytes() for batch in samples for image in batch.arrays["images"])

    assert stream.domain == memory.domain
    train = [stream.train_batch(range(stream.samples_per_epoch))]
    held = list(stream.validation_batches(5))
    everything = [memory.train_batch(range(memory.samples_per_epoch)), *memory.validation_batches(5)]
    assert pictures(train + held) == pictures(everything)
    stream.close()


def test_mirrored_images_are_others_each_epoch(tmp_path: Path) -> None:
    write_images(tmp_path / "images.parquet")
    plain = opened(image_job(), tmp_path)
    mirrored = PreparedData(image_job(data__images={"horizontalFlip": True}), tmp_path)
    count = plain.samples_per_epoch
    flips = []
    for epoch in range(2):
        positions = range(epoch * count, (epoch + 1) * count)
        before, after = (
            plain.train_batch(positions).arrays["images"],
            mirrored.train_batch(positions).arrays["images"],
        )
        same = [np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
        turned = [np.array_equal(a[..., ::-1], b) for a, b in zip(before, after, strict=True)]
        assert all(one or other for one, other in zip(same, turned, strict=True))
        flips.append(dict(zip(plain.order(positions).tolist(), same, strict=True)))
    assert 0 < sum(flips[0].values()) < count
    assert flips[0] != flips[1]
    plain.close()
    mirrored.close()


def test_a_shard_that_was_changed_is_refused(tmp_path: Path) -> None:
    write_lines(tmp_path / "lines" / "a.jsonl", documents(50))
    data = opened(text_job(), tmp_path)
    (shard,) = (tmp_path / "prepared" / "train").rglob("*.parquet")
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DataError, match="was changed since it was indexed") as caught:
        data.train_batch(range(4))
    assert caught.value.where.endswith("00000-00000.parquet")
    shard.unlink()
    with pytest.raises(DataError, match="in the index, and not there"):
        data.train_batch(range(4))
    data.close()
