"""Shards that are fetched one by one, in this process or in another."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raygen.data.images.pixels import ImageShape
from raygen.data.shards.images import ImageDecoder, Pictures
from raygen.data.shards.order import WindowOrder
from raygen.data.shards.pieces import Fetch, ThreadedPieces
from raygen.data.shards.store import ShardStore, open_place
from raygen.data.shards.text import TextDecoder
from raygen.errors import DataError
from tests.jobs import write_images
from tests.prepared import documents, image_job, opened, text_job, write_lines


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_lines(folder / "lines" / "0.jsonl", documents(500, words=200) * 12)
    write_images(folder / "images.parquet", size=32)
    return folder


@pytest.mark.parametrize("encoding", ["Raw", "PNG"])
def test_images_are_the_same_when_another_process_fetches_them(base: Path, encoding: str) -> None:
    place = {"uri": encoding, "shardMegabytes": 1, "shardsPerWindow": 2, "encoding": encoding}
    data = opened(image_job(preparation=place), base)
    shape = data.domain
    assert isinstance(shape, ImageShape)
    fetch = Fetch(ShardStore(open_place(encoding, base)), ImageDecoder(shape, encoding))
    again = pickle.loads(pickle.dumps(fetch))  # noqa: S301
    for shard in data.shards():
        images, labels = again(shard)
        assert images.shape == (shard.rows, shape.channels, shape.height, shape.width)
        assert all(map(np.array_equal, fetch(shard), (images, labels)))
        assert fetch.decoder.size(shard) == images.nbytes + labels.nbytes
    whole = np.concatenate([batch.arrays["images"] for batch in data.validation_batches(7)])
    assert np.array_equal(whole, again(data.shards()[-1])[0])
    data.close()


def test_pictures_are_decoded_as_they_are_taken_and_any_number_of_times(base: Path) -> None:
    place = {"uri": "PNG", "shardMegabytes": 1, "shardsPerWindow": 2, "encoding": "PNG"}
    data = opened(image_job(preparation=place), base)
    shape = data.domain
    assert isinstance(shape, ImageShape)
    fetch = Fetch(ShardStore(open_place("PNG", base)), ImageDecoder(shape, "PNG"))
    listed = [shard for shard in data.shards() if shard.rows > 2]
    data.close()
    whole = np.concatenate([fetch(shard)[0] for shard in listed])
    pictures = Pictures([fetch.held(shard)[:2] for shard in listed], whole.shape[1:])
    draws = np.random.default_rng(3)
    for count in (0, 1, 7, 64, 64, 500):
        chosen = draws.integers(0, len(whole), count)
        for _ in range(3):
            taken = pictures[chosen]
            assert taken.dtype == np.uint8
            assert np.array_equal(taken, whole[chosen])
            # Who took them may change them.
            taken[:] = 0


def text_shards(base: Path) -> tuple[Any, Fetch]:
    data = opened(text_job(), base)
    data.close()
    return data.shards(), Fetch(ShardStore(open_place("prepared", base)), TextDecoder("<u2"))


def test_a_window_is_its_shards_in_the_order_in_which_they_stand_in_it(base: Path) -> None:
    shards, fetch = text_shards(base)
    assert len(shards) > 2
    order = WindowOrder(1, [shard.rows for shard in shards], 2)
    pieces = ThreadedPieces(order, shards, fetch)
    for number in range(order.windows_per_epoch):
        window = order.window(0, number)
        assert order.shards(0, number) == window.shards
        held = list(pieces.of(window))
        assert len(held) == len(window.shards)
        for piece, shard in zip(held, window.shards, strict=True):
            assert all(map(np.array_equal, piece, fetch(shards[shard])))
            assert fetch.decoder.size(shards[shard]) == sum(array.nbytes for array in piece)
    pieces.close()


@pytest.fixture
def changed(base: Path) -> Iterator[Path]:
    path = base / "prepared" / text_shards(base)[0][0].name
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"?")
    yield path
    path.write_bytes(content)


def test_a_shard_that_was_changed_is_refused_by_any_process(base: Path, changed: Path) -> None:
    shards, fetch = text_shards(base)
    with pytest.raises(DataError, match="was changed since it was indexed") as caught:
        pickle.loads(pickle.dumps(fetch))(shards[0])  # noqa: S301
    assert caught.value.where == str(changed)
