"""Prepared text as batches of tokens: windows that are cut from the stream of documents, or documents one by one.

A window of `context` tokens lies within one shard. Every epoch begins to cut each shard at a place that it draws, so that windows
differ from epoch to epoch; fewer than `context` tokens at either end of a shard are left out of an epoch, other ones each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raygen.data.protocol import Samples
from raygen.data.shards.files import TOKENS, Documents, documents_of
from raygen.data.shards.index import Shard
from raygen.data.shards.order import Numbers, Window, start_of
from raygen.data.shards.store import ShardStore
from raygen.data.text.tokenizers import Tokenizer
from raygen.spec.contents import IGNORED

FETCHED_AT_ONCE = 4
"""Shards of a window that are fetched and unpacked at a time."""


@dataclass(frozen=True)
class Cut:
    """How samples are cut from documents.

    Attributes:
        context: Tokens in a sample.
        packing: Stream: windows across documents. Documents: the same windows, with the number of the document of each
            token, so that attention keeps to it. Single: one document each, cut off or filled up.
    """

    context: int
    packing: str

    @property
    def weighted(self) -> bool:
        """Whether samples have weights."""
        return self.packing == "Single"

    def samples(self, shard: Shard) -> int:
        """How many samples a shard has."""
        if self.packing == "Single":
            return shard.rows
        return max(shard.units - self.context, 0) // self.context

    def sampled(self, tokens: NDArray[np.int64], end_of_text: int | None) -> Samples:
        """Rows of tokens, (samples, context + 1), filled up with IGNORED, as samples."""
        inputs, targets = np.maximum(tokens[:, :-1], 0), tokens[:, 1:]
        arrays: dict[str, NDArray[Any]] = {"inputs": inputs, "targets": targets}
        if self.packing == "Documents":
            arrays["documents"] = document_numbers(inputs, end_of_text)
        weights = None
        if self.weighted:
            weights = np.count_nonzero(targets != IGNORED, axis=1).astype(np.float32)
        return Samples(arrays, weights)


@dataclass(frozen=True)
class LoadedText:
    """The documents of a window's shards.

    Attributes:
        window: Which.
        shards: Of each shard its documents.
        starts: Of each shard where its first window begins, in tokens.
        cut: How samples are cut from them.
        end_of_text: The token that ends a document, if there is one.
    """

    window: Window
    shards: Sequence[Documents]
    starts: Sequence[int]
    cut: Cut
    end_of_text: int | None

    def take(self, chosen: Numbers) -> Samples:
        """Some of the samples, by number.

        Returns:
            `inputs` and `targets` (samples, context), targets that do not exist being IGNORED; with documents packed,
            `documents` (samples, context), which number the documents of a sample from 0; of single documents the
            number of targets as weights.
        """
        context = self.cut.context
        tokens = np.full((len(chosen), context + 1), IGNORED, dtype=np.int64)
        shards, places = self.window.places(chosen)
        for row, (shard, place) in enumerate(zip(shards.tolist(), places.tolist(), strict=True)):
            held = self.shards[shard]
            if self.cut.packing == "Single":
                first = int(held.offsets[place])
                end = min(int(held.offsets[place + 1]), first + context + 1)
            else:
                first = self.starts[shard] + place * context
                end = first + context + 1
            tokens[row, : end - first] = held.tokens[first:end]
        return self.cut.sampled(tokens, self.end_of_text)


class TextShards:
    """Shards of tokenized documents.

    Args:
        store: Where they are.
        shards: Which.
        cut: How samples are cut from them.
        tokenizer: What made the tokens.
        dtype: Type of a token, such as `<u2`.
        seed: Of the job; it decides where windows begin.
    """

    def __init__(
        self,
        store: ShardStore,
        shards: Sequence[Shard],
        cut: Cut,
        tokenizer: Tokenizer,
        dtype: str,
        seed: int,
    ) -> None:
        self._store = store
        self._shards = shards
        self._cut = cut
        self._tokenizer = tokenizer
        self._dtype = dtype
        self._seed = seed
        self._threads = ThreadPoolExecutor(FETCHED_AT_ONCE, thread_name_prefix="shard")

    @property
    def counts(self) -> list[int]:
        """Samples of each shard."""
        return [self._cut.samples(shard) for shard in self._shards]

    def load(self, window: Window) -> LoadedText:
        """The documents of a window's shards."""
        cut = self._cut
        starts = [start_of(self._seed, window.epoch, shard, cut.context) for shard in window.shards]
        documents = list(self._threads.map(self._documents, window.shards))
        return LoadedText(window, documents, starts, cut, self._tokenizer.end_of_text)

    def in_order(self, size: int) -> Iterator[Samples]:
        """All of it, from the start, `size` samples at a time, the last ones fewer; with `bytes` (samples,): bytes of
        text that the targets stand for. Windows go on from one shard to the next, and the last one is filled up.
        """
        waiting = np.empty((0, self._cut.context + 1), dtype=np.int64)
        for rows in self._rows():
            waiting = np.concatenate([waiting, rows])
            whole = len(waiting) - len(waiting) % size
            for start in range(0, whole, size):
                yield self._measured(waiting[start : start + size])
            waiting = waiting[whole:]
        if len(waiting):
            yield self._measured(waiting)

    def close(self) -> None:
        """Ends the threads."""
        self._threads.shutdown(cancel_futures=True)

    def _rows(self) -> Iterator[NDArray[np.int64]]:
        """Of each shard, and at the end, the samples that are whole: (samples, context + 1)."""
        context = self._cut.context
        left = np.empty(0, dtype=np.int64)
        for number in range(len(self._shards)):
            documents = self._documents(number)
            if self._cut.packing == "Single":
                yield self._filled(documents)
                continue
            left = np.concatenate([left, documents.tokens.astype(np.int64)])
            count = max(len(left) - 1, 0) // context
            if count:
                yield np.lib.stride_tricks.sliding_window_view(left, context + 1)[: count * context : context]
                left = left[count * context :]
        if len(left) > 1:
            last = np.full((1, context + 1), IGNORED, dtype=np.int64)
            last[0, : len(left)] = left
            yield last

    def _filled(self, documents: Documents) -> NDArray[np.int64]:
        """Each document of a shard, cut off or filled up: (documents, context + 1)."""
        rows = np.full((len(documents.offsets) - 1, self._cut.context + 1), IGNORED, dtype=np.int64)
        for row, (first, end) in enumerate(zip(documents.offsets[:-1], documents.offsets[1:], strict=True)):
            kept = documents.tokens[first : min(end, first + rows.shape[1])]
            rows[row, : len(kept)] = kept
        return rows

    def _documents(self, number: int) -> Documents:
        return documents_of(self._store.table(self._shards[number], (TOKENS,)), self._dtype)

    def _measured(self, tokens: NDArray[np.int64]) -> Samples:
        samples = self._cut.sampled(tokens, self._tokenizer.end_of_text)
        targets = samples.arrays["targets"]
        lengths = np.where(targets == IGNORED, 0, self._tokenizer.token_bytes[np.maximum(targets, 0)])
        return Samples({**samples.arrays, "bytes": lengths.sum(axis=1)}, samples.weights)


def document_numbers(inputs: NDArray[np.int64], end_of_text: int | None) -> NDArray[np.int64]:
    """Which document of its sample each token is of, from 0; the token that ends one belongs to it."""
    if end_of_text is None:
        return np.zeros_like(inputs)
    ends = inputs == end_of_text
    before: NDArray[np.int64] = np.cumsum(ends, axis=1) - ends
    return before
