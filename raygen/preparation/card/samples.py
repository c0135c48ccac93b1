"""Some samples of a prepared data set, for its card."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from raygen.data.images.files import Pixels
from raygen.data.images.pixels import ImageShape
from raygen.data.shards.files import IMAGE, LABEL, TOKENS, documents_of
from raygen.data.shards.images import decoded, encoded
from raygen.data.shards.index import Index, Shard
from raygen.data.shards.store import ShardStore
from raygen.data.text.tokenizers import Tokenizer
from raygen.preparation.card.contents import Sample
from raygen.spec.contents import Domain

TEXTS, IMAGES = 6, 96
"""Samples that are shown of the training split; of the validation split a third."""
CHARACTERS = 480
"""Of each document."""
SIDE = 96
"""Pixels of a picture's longer side at most."""
_MOST_BYTES = 4
"""Of a character in UTF-8, and so tokens of one."""


def samples_of(store: ShardStore, index: Index, domain: Domain) -> Iterator[Sample]:
    """The first samples of each component and of the validation split.

    They stand in the order of the shuffle, so the first ones are a random choice, and the same one each time.

    Args:
        store: Where the shards are.
        index: What there is.
        domain: The tokenizer, or the size and classes of images.
    """
    wanted = TEXTS if index.kind == "text" else IMAGES
    for component in index.train:
        yield from _first(store, index, domain, "train", component.shards, -(-wanted // len(index.train)))
    yield from _first(store, index, domain, "validation", index.validation, wanted // 3)


def _first(
    store: ShardStore, index: Index, domain: Domain, split: str, shards: Sequence[Shard], count: int
) -> Iterator[Sample]:
    for shard in shards:
        if count <= 0:
            return
        if shard.rows:
            if isinstance(domain, Tokenizer):
                table = store.table(shard, (TOKENS,)).slice(0, count)
                yield from _texts(table, split, domain, str(index.schema["dtype"]))
            elif isinstance(domain, ImageShape):
                table = store.table(shard, (IMAGE, LABEL)).slice(0, count)
                yield from _images(table, split, domain, raw=index.schema["encoding"] == "Raw")
            count -= shard.rows


def _texts(table: pa.Table, split: str, tokenizer: Tokenizer, dtype: str) -> Iterator[Sample]:
    documents = documents_of(table, dtype)
    for first, end in zip(documents.offsets[:-1], documents.offsets[1:], strict=True):
        cut = min(int(end - first), _MOST_BYTES * CHARACTERS)
        tokens = documents.tokens[first : first + cut]
        if len(tokens) and tokens[-1] == tokenizer.end_of_text:
            tokens = tokens[:-1]
        text = tokenizer.decode(tokens)
        yield Sample(split, text if len(text) <= CHARACTERS else f"{text[:CHARACTERS]} …")


def _images(table: pa.Table, split: str, shape: ImageShape, *, raw: bool) -> Iterator[Sample]:
    size = (shape.channels, shape.height, shape.width)
    labels = table.column(LABEL).to_pylist() if shape.classes else [None] * len(table)
    for value, label in zip(table.column(IMAGE).to_pylist(), labels, strict=True):
        pixels = np.frombuffer(value, dtype=np.uint8).reshape(size) if raw else decoded(value)
        png = base64.b64encode(encoded(smaller(pixels))).decode()
        yield Sample(split, png=png, label=shape.classes[label] if label is not None else "")


def smaller(pixels: Pixels, side: int = SIDE) -> Pixels:
    """A picture (channels, height, width) whose sides are at most `side`, by means over squares; a small one is left alone."""
    channels, height, width = pixels.shape
    square = -(-max(height, width) // side)
    if square == 1:
        return pixels
    rows, columns = max(height // square, 1), max(width // square, 1)
    # A side that is shorter than a square has no whole one.
    tall, wide = min(square, height), min(square, width)
    whole = pixels[:, : rows * tall, : columns * wide].reshape(channels, rows, tall, columns, wide)
    means: Pixels = np.rint(whole.mean(axis=(2, 4))).astype(np.uint8)
    return means
