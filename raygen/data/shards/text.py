"""Prepared text as batches of tokens: windows that are cut from the stream of documents, or documents one by one.

A window of `context` tokens lies within one shard. Every epoch begins to cut each shard at a place that it draws, so that windows
differ from epoch to epoch; fewer than two contexts of tokens at the ends of a shard are left out of an epoch. Fewer than `context` at
its very end, and shards of fewer than two contexts, are in no epoch's samples: `never_sampled` counts them.

The token that ends a document is where the next one begins, as it is in sampling without a prompt. So where documents are apart,
each is predicted from its first token on, and no target is of another document than its input.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from raygen.data.protocol import Samples
from raygen.data.remarks import EXAMPLES, Remark
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

    def unused(self, shard: Shard) -> int:
        """How many tokens of a shard take part in no sample of any epoch, wherever the first one begins: all of one that is
        too short for a sample, and those behind the last place where a sample ends. Not of single documents.
        """
        return shard.units % self.context if self.samples(shard) else shard.units

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

    def sampled(
        self, tokens: NDArray[np.int64], first: NDArray[np.bool_] | None, *, filled: bool = True
    ) -> Samples:
        """Rows of tokens as samples.

        Args:
            tokens: (samples, context + 1).
            first: Whether each is the first of a document, in the same shape; None unless documents are packed.
            filled: Whether rows may be filled up with IGNORED.
        """
        inputs, targets = tokens[:, :-1], tokens[:, 1:]
        arrays: dict[str, NDArray[Any]] = {
            "inputs": np.maximum(inputs, 0) if filled else inputs,
            "targets": targets,
        }
        if first is not None:
            arrays["documents"] = np.cumsum(first[:, :-1], axis=1, dtype=np.int64) - first[:, :1]
        weights = None
        if self.weighted:
            weights = np.count_nonzero(targets != IGNORED, axis=1).astype(np.float32)
        return Samples(arrays, weights)


def never_sampled(shards: Iterable[Shard], cut: Cut) -> Iterator[Remark]:
    """Remarks on shards that are too short for a sample, and on tokens of others that are in none."""
    listed = list(shards)
    short = [shard for shard in listed if not cut.samples(shard)]
    if short:
        held = sum(shard.units for shard in short)
        reason = (
            f"too short for a sample, which takes two contexts, {2 * cut.context:,} tokens;"
            f" they hold {held:,} tokens in all"
        )
        yield Remark("Skipped", "shard", len(short), reason, tuple(shard.name for shard in short[:EXAMPLES]))
    ends = sum(cut.unused(shard) for shard in listed if cut.samples(shard))
    if ends:
        whole = sum(shard.units for shard in listed)
        yield Remark("Skipped", "token", ends, f"of {whole:,}, at ends of shards that no sample reaches", ())


@dataclass(frozen=True)
class LoadedText:
    """The documents of a window's shards, one shard after the other.

    Attributes:
        window: Which.
        cut: How samples are cut from them.
        tokens: Of all documents: (tokens,).
        offsets: Where each document begins in them, and the end of the last: (documents + 1,).
        documents: Of each shard how many documents stand before it: (shards,).
        begins: Of each shard where its first sample begins in the tokens: (shards,).
        first: Whether each token is the first of a document: (tokens,); None unless documents are packed.
    """

    window: Window
    cut: Cut
    tokens: NDArray[Any]
    offsets: NDArray[np.int64]
    documents: NDArray[np.int64]
    begins: NDArray[np.int64]
    first: NDArray[np.bool_] | None

    def take(self, chosen: Numbers) -> Samples:
        """Some of the samples, by number.

        Returns:
            `inputs` and `targets` (samples, context), targets that do not exist being IGNORED; with documents packed,
            `documents` (samples, context), which number the documents of a sample from 0; of single documents the
            number of targets as weights.
        """
        shards, places = self.window.places(chosen)
        if self.cut.packing == "Single":
            return self.cut.sampled(self._alone(self.documents[shards] + places), None)
        begins = self.begins[shards] + places * self.cut.context
        rows, first = self._rows
        tokens = rows[begins].astype(np.int64)
        first = None if first is None else first[begins]
        return self.cut.sampled(tokens, first, filled=False)

    def _alone(self, documents: Numbers) -> NDArray[np.int64]:
        """Documents one by one, cut off or filled up: (documents, context + 1)."""
        rows = np.full((len(documents), self.cut.context + 1), IGNORED, dtype=np.int64)
        for row, number in zip(rows, documents.tolist(), strict=True):
            self.cut.fill(row, self.tokens[self.offsets[number] : self.offsets[number + 1]])
        return rows

    @cached_property
    def _rows(self) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """What begins at each token, of `tokens` and of `first`: (tokens - context, context + 1), no bytes of their own."""
        size = self.cut.context + 1
        first = None if self.first is None else sliding_window_view(self.first, size)
        return sliding_window_view(self.tokens, size), first


def loaded(
    window: Window, pieces: Iterator[Documents], cut: Cut, seed: int, units: int, dtype: str
) -> LoadedText:
    """The documents of a window's shards, put together; of each shard alone a copy lives beside it for a moment.

    Args:
        window: Which.
        pieces: The documents of each shard.
        cut: How samples are cut from them.
        seed: Of the job; it decides where the first sample of a shard begins.
        units: Tokens of all shards.
        dtype: Type of a token.
    """
    tokens = np.empty(units, dtype=dtype)
    first = np.empty(units, dtype=np.bool_) if cut.packing == "Documents" else None
    offsets, documents, begins = [], [], []
    end = count = 0
    for shard, piece in zip(window.shards, pieces, strict=True):
        start, end = end, end + len(piece.tokens)
        tokens[start:end] = piece.tokens
        if first is not None:
            first[start:end] = cut.first_tokens(piece)
        offsets.append(piece.offsets[:-1] + start)
        documents.append(count)
        begins.append(start + start_of(seed, window.epoch, shard, cut.context))
        count += len(piece.offsets) - 1
    return LoadedText(
        window,
        cut,
        tokens,
        np.concatenate([*offsets, [end]]),
        np.asarray(documents, dtype=np.int64),
        np.asarray(begins, dtype=np.int64),
        first,
    )


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

    def held(self, table: pa.Table) -> Piece:
        """The arrays."""
        return self(table)

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
        self._dtype = dtype
        self._seed = seed

    @property
    def counts(self) -> list[int]:
        """Samples of each shard."""
        return [self._cut.samples(shard) for shard in self.listed]

    def assembled(self, window: Window, pieces: Iterator[Piece]) -> LoadedText:
        """The documents of a window's shards."""
        units = sum(self.listed[shard].units for shard in window.shards)
        documents = (Documents(*piece) for piece in pieces)
        return loaded(window, documents, self._cut, self._seed, units, self._dtype)

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
