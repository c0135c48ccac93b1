"""Prepared text as batches of tokens: windows that are cut from the stream of documents, or documents one by one.

A window of `context` tokens lies within one shard. Every epoch begins to cut each shard at a place that it draws, so that windows
differ from epoch to epoch; fewer than `context` tokens at either end of a shard are left out of an epoch, other ones each time.

The token that ends a document is where the next one begins, as it is in sampling without a prompt. So where documents are apart,
each is predicted from its first token on, and no target is of another document than its input.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from raygen.data.protocol import Samples
from raygen.data.shards.files import TOKENS, Documents, documents_of
from raygen.data.shards.index import Shard
from raygen.data.shards.order import Numbers, Window, start_of
from raygen.data.shards.pieces import Fetch, Piece, Shards
from raygen.data.shards.store import ShardStore
from raygen.data.text.tokenizers import Tokenizer
from raygen.spec.contents import IGNORED


@dataclass(frozen=True)
class Cut:
    """How samples are cut from documents.

    Attributes:
        context: Tokens in a sample.
        packing: Stream: windows across documents. Documents: the same windows, with the number of the document of each
            token, so that attention keeps to it. Single: one document each, cut off or filled up.
        end_of_text: The token that ends a document, if there is one.
    """

    context: int
    packing: str
    end_of_text: int | None = None

    @property
    def weighted(self) -> bool:
        """Whether samples have weights."""
        return self.packing == "Single"

    def samples(self, shard: Shard) -> int:
        """How many samples a shard has."""
        if self.packing == "Single":
            return shard.rows
        return max(shard.units - self.context, 0) // self.context

    def fill(self, row: NDArray[np.int64], document: NDArray[Any]) -> None:
        """Writes a document behind the token that it begins with into a row, (context + 1,), as far as it fits."""
        if self.end_of_text is not None:
            row[0], row = self.end_of_text, row[1:]
        kept = document[: len(row)]
        row[: len(kept)] = kept

    def first_tokens(self, documents: Documents) -> NDArray[np.bool_]:
        """Whether each token is the first of a document, (tokens,): one that ends a document, or else the one behind a
        document's last. A shard's first token is taken for one.
        """
        tokens, edges = documents.tokens, documents.offsets[1:]
        first = np.zeros(len(tokens) + 1, dtype=np.bool_)
        first[0] = True
        edges = edges[edges > 0]
        first[edges - (tokens[edges - 1] == (-1 if self.end_of_text is None else self.end_of_text))] = True
        return first[:-1]

    def sampled(self, tokens: NDArray[np.int64], first: NDArray[np.bool_] | None) -> Samples:
        """Rows of tokens as samples.

        Args:
            tokens: (samples, context + 1), filled up with IGNORED.
            first: Whether each is the first of a document, in the same shape; None unless documents are packed.
        """
        inputs, targets = np.maximum(tokens[:, :-1], 0), tokens[:, 1:]
        arrays: dict[str, NDArray[Any]] = {"inputs": inputs, "targets": targets}
        if first is not None:
            arrays["documents"] = np.cumsum(first[:, :-1], axis=1, dtype=np.int64) - first[:, :1]
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
        firsts: Of each shard whether a token is the first of a document; None unless documents are packed.
    """

    window: Window
    shards: Sequence[Documents]
    starts: Sequence[int]
    cut: Cut
    firsts: Sequence[NDArray[np.bool_]] | None

    def take(self, chosen: Numbers) -> Samples:
        """Some of the samples, by number.

        Returns:
            `inputs` and `targets` (samples, context), targets that do not exist being IGNORED; with documents packed,
            `documents` (samples, context), which number the documents of a sample from 0; of single documents the
            number of targets as weights.
        """
        context = self.cut.context
        tokens = np.full((len(chosen), context + 1), IGNORED, dtype=np.int64)
        first = None if self.firsts is None else np.zeros(tokens.shape, dtype=np.bool_)
        shards, places = self.window.places(chosen)
        if self.cut.packing == "Single":
            for row, (shard, place) in enumerate(zip(shards.tolist(), places.tolist(), strict=True)):
                held = self.shards[shard]
                self.cut.fill(tokens[row], held.tokens[held.offsets[place] : held.offsets[place + 1]])
            return self.cut.sampled(tokens, first)
        for shard in np.unique(shards).tolist():
            rows = np.flatnonzero(shards == shard)
            begins = self.starts[shard] + places[rows] * context
            tokens[rows] = self._samples[shard][begins]
            if first is not None and self.firsts is not None:
                first[rows] = sliding_window_view(self.firsts[shard], context + 1)[begins]
        return self.cut.sampled(tokens, first)

    @cached_property
    def _samples(self) -> list[NDArray[Any]]:
        """Of each shard what begins at each token: (tokens - context, context + 1), no bytes of its own."""
        size = self.cut.context + 1
        return [
            sliding_window_view(one.tokens, size) if len(one.tokens) >= size else one.tokens
            for one in self.shards
        ]


@dataclass(frozen=True)
class TextDecoder:
    """Makes arrays of a shard's rows: those of `Documents`.

    Attributes:
        dtype: Type of a token, such as `<u2`.
    """

    dtype: str

    @property
    def columns(self) -> tuple[str, ...]:
        """What it needs of a shard."""
        return (TOKENS,)

    def __call__(self, table: pa.Table) -> Piece:
        """The arrays."""
        documents = documents_of(table, self.dtype)
        return documents.tokens, documents.offsets

    def size(self, shard: Shard) -> int:
        """How large they are, in bytes."""
        return shard.units * np.dtype(self.dtype).itemsize + (shard.rows + 1) * 8


class TextShards(Shards[LoadedText]):
    """Shards of tokenized documents.

    Args:
        store: Where they are.
        listed: Which.
        cut: How samples are cut from them.
        tokenizer: What made the tokens.
        dtype: Type of a token, such as `<u2`.
        seed: Of the job; it decides where windows begin.
    """

    def __init__(
        self,
        store: ShardStore,
        listed: Sequence[Shard],
        cut: Cut,
        tokenizer: Tokenizer,
        dtype: str,
        seed: int,
    ) -> None:
        super().__init__(listed, Fetch(store, TextDecoder(dtype)))
        self._cut = cut
        self._tokenizer = tokenizer
        self._seed = seed

    @property
    def counts(self) -> list[int]:
        """Samples of each shard."""
        return [self._cut.samples(shard) for shard in self.listed]

    def assembled(self, window: Window, pieces: Iterator[Piece]) -> LoadedText:
        """The documents of a window's shards."""
        cut = self._cut
        starts = [start_of(self._seed, window.epoch, shard, cut.context) for shard in window.shards]
        documents = [Documents(*piece) for piece in pieces]
        firsts = list(map(cut.first_tokens, documents)) if cut.packing == "Documents" else None
        return LoadedText(window, documents, starts, cut, firsts)

    def in_order(self, size: int) -> Iterator[Samples]:
        """All of it, from the start, `size` samples at a time, the last ones fewer; with `bytes` (samples,): bytes of
        text that the targets stand for. Windows go on from one shard to the next, and the last one is filled up.
        """
        waiting: NDArray[np.int64] | None = None
        for rows in self._rows():
            waiting = np.concatenate([rows] if waiting is None else [waiting, rows])
            whole = len(waiting) - len(waiting) % size
            for start in range(0, whole, size):
                yield self._measured(waiting[start : start + size])
            waiting = waiting[whole:]
        if waiting is not None and len(waiting):
            yield self._measured(waiting)

    def _rows(self) -> Iterator[NDArray[np.int64]]:
        """Of each shard, and at the end, the samples that are whole: (samples, 1 or 2, context + 1), tokens and, where
        documents are packed, whether each is the first of one.
        """
        context = self._cut.context
        left = np.empty((1 + (self._cut.packing == "Documents"), 0), dtype=np.int64)
        for shard in self.listed:
            documents = Documents(*self.fetch(shard))
            if self._cut.packing == "Single":
                yield self._filled(documents)
                continue
            left = np.concatenate([left, self._places(documents, left)], axis=1)
            count = max(left.shape[1] - 1, 0) // context
            if count:
                windows = sliding_window_view(left, context + 1, axis=1)
                yield windows[:, : count * context : context].swapaxes(0, 1)
                left = left[:, count * context :]
        if left.shape[1] > 1:
            last = np.full((1, len(left), context + 1), IGNORED, dtype=np.int64)
            last[0, :, : left.shape[1]] = left
            yield last

    def _places(self, documents: Documents, left: NDArray[np.int64]) -> NDArray[np.int64]:
        """Tokens of a shard that follow others, and where documents are packed whether each is the first of one."""
        tokens = documents.tokens.astype(np.int64)
        if len(left) == 1:
            return tokens[np.newaxis]
        first = self._cut.first_tokens(documents)
        if left.shape[1] and left[0, -1] == self._cut.end_of_text:
            first[:1] = False
        return np.stack([tokens, first])

    def _filled(self, documents: Documents) -> NDArray[np.int64]:
        """Each document of a shard, cut off or filled up: (documents, 1, context + 1)."""
        rows = np.full((len(documents.offsets) - 1, 1, self._cut.context + 1), IGNORED, dtype=np.int64)
        for row, (first, end) in enumerate(pairwise(documents.offsets)):
            self._cut.fill(rows[row, 0], documents.tokens[first:end])
        return rows

    def _measured(self, rows: NDArray[np.int64]) -> Samples:
        samples = self._cut.sampled(rows[:, 0], rows[:, 1] > 0 if rows.shape[1] > 1 else None)
        targets = samples.arrays["targets"]
        lengths = np.where(targets == IGNORED, 0, self._tokenizer.token_bytes[np.maximum(targets, 0)])
        return Samples({**samples.arrays, "bytes": lengths.sum(axis=1)}, samples.weights)
