"""How natural a text is as language: an n-gram model's view, and that of a probe which looks for words that are wrong where they stand.

The n-gram model interpolates one, two and three word pieces (Jelinek & Mercer 1980). What counts is by how much the words before make a word likelier
than it is anywhere, so that rare words cost nothing; Kann et al. (2018) found that people's ratings of fluency follow this difference and not
the likelihood itself. The probe is a small network on the encoder's early states, trained on sentences of which some words were changed by script.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from raygen.evaluation.text.embeddings import Encoded

PAIRS, TRIPLES = 1 << 20, 1 << 21
SHARES = (0.4, 0.35, 0.25)
"""Of three, two and one word pieces in a probability."""
_START = 101
"""What stands before the first word piece: BERT's own mark."""
_PRIMES = (1_000_003, 8_191)

Counts = NDArray[np.uint16]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Ngrams:
    """Counts of word pieces in the training texts; those of two and three under a hash, so that no text can be read off them.

    Attributes:
        single: (vocabulary,).
        pairs: (PAIRS,), by hash.
        triples: (TRIPLES,), by hash.
    """

    single: NDArray[np.int64]
    pairs: Counts
    triples: Counts

    @classmethod
    def of(cls, texts: Sequence[NDArray[np.int64]], vocabulary: int) -> Self:
        """Counts of texts, each the numbers of its word pieces."""
        single = np.zeros(vocabulary, dtype=np.int64)
        pairs, triples = np.zeros(PAIRS, dtype=np.int64), np.zeros(TRIPLES, dtype=np.int64)
        for ids in texts:
            padded = _padded(ids)
            np.add.at(single, padded[1:], 1)
            np.add.at(pairs, _pairs(padded)[1:], 1)
            np.add.at(triples, _triples(padded), 1)
        return cls(single, _clipped(pairs), _clipped(triples))

    def gains(self, ids: NDArray[np.int64]) -> Values:
        """By how much the two word pieces before make each one likelier than it is anywhere: a logarithm, (tokens,)."""
        padded = _padded(ids)
        # Addition of 1 for what was never seen.
        alone = (self.single[ids] + 1.0) / (self.single.sum() + len(self.single))
        counts = self.pairs[_pairs(padded)].astype(np.float64)
        twos, threes = counts[1:], self.triples[_triples(padded)].astype(np.float64)
        before_two = np.maximum(self.single[padded[1:-1]], twos)
        before_three = np.maximum(counts[:-1], threes)
        second = np.where(before_two > 0, twos / np.maximum(before_two, 1), alone)
        third = np.where(before_three > 0, threes / np.maximum(before_three, 1), second)
        gains: Values = np.log(SHARES[0] * third + SHARES[1] * second + SHARES[2] * alone) - np.log(alone)
        return gains


@dataclass(frozen=True)
class WrongWords:
    """A network that says of each token how likely it is wrong where it stands, from its state and those beside it.

    Attributes:
        inner: Weights and biases of the hidden layer, (hidden, 3 * width) and (hidden,).
        outer: Those of the output, (1, hidden) and (1,).
    """

    inner: tuple[Tensor, Tensor]
    outer: tuple[Tensor, Tensor]

    def __call__(self, states: Tensor) -> Tensor:
        """Logits, (tokens,), of states (tokens, width)."""
        hidden = functional.gelu(functional.linear(beside(states), *self.inner))
        return functional.linear(hidden, *self.outer)[:, 0]


def beside(states: Tensor) -> Tensor:
    """Each state with those before and behind it, (tokens, 3 * width); zeros stand beyond the ends."""
    padded = functional.pad(states, (0, 0, 1, 1))
    return torch.cat([padded[:-2], padded[1:-1], padded[2:]], dim=1)


def trained_wrong_words(
    states: Sequence[Tensor], wrong: Sequence[Tensor], *, seed: int, hidden: int = 96, epochs: int = 4
) -> WrongWords:
    """Trains the network on one thread, so that the same seed gives the same bits.

    Args:
        states: Of each text, (tokens, width).
        wrong: 1 for each of its tokens that is wrong, (tokens,), else 0.
        seed: Of the first weights and the order.
        hidden: Units of the hidden layer.
        epochs: Times that each text is seen.
    """
    random = torch.Generator().manual_seed(seed)
    width = 3 * states[0].shape[1]
    inner = (torch.randn(hidden, width, generator=random) / math.sqrt(width)).requires_grad_()
    outer = (torch.randn(1, hidden, generator=random) / math.sqrt(hidden)).requires_grad_()
    biases = [torch.zeros(hidden, requires_grad=True), torch.zeros(1, requires_grad=True)]
    network = WrongWords((inner, biases[0]), (outer, biases[1]))
    optimizer = torch.optim.AdamW([inner, outer, *biases], lr=3e-3, weight_decay=1e-2)
    size = 64
    steps = epochs * math.ceil(len(states) / size)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, max(steps, 1))
    for _ in range(epochs):
        order = torch.randperm(len(states), generator=random).tolist()
        for start in range(0, len(order), size):
            batch = order[start : start + size]
            logits = torch.cat([network(states[number].float()) for number in batch])
            loss = functional.binary_cross_entropy_with_logits(
                logits, torch.cat([wrong[number] for number in batch])
            )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return WrongWords((inner.detach(), biases[0].detach()), (outer.detach(), biases[1].detach()))


def wrong_shares(encoded: Sequence[Encoded]) -> Values:
    """How likely each token of a text's sentences is wrong, (tokens,), from the probe's logits."""
    logits = [one.probed.astype(np.float64) for one in encoded if len(one.probed)]
    joined = np.concatenate(logits) if logits else np.zeros(0)
    shares: Values = 1 / (1 + np.exp(-np.clip(joined, -30, 30)))
    return shares


def tensors_of(ngrams: Ngrams, words: WrongWords) -> dict[str, Tensor]:
    """Both as tensors with names, for a file."""
    return {
        "ngrams.single": torch.from_numpy(ngrams.single.astype(np.int32)),
        # Safetensors' 16 bits are signed ones; the counts are the same bits.
        "ngrams.pairs": torch.from_numpy(ngrams.pairs.view(np.int16)),
        "ngrams.triples": torch.from_numpy(ngrams.triples.view(np.int16)),
        "wrong.inner.weight": words.inner[0],
        "wrong.inner.bias": words.inner[1],
        "wrong.outer.weight": words.outer[0],
        "wrong.outer.bias": words.outer[1],
    }


def from_tensors(tensors: Mapping[str, Tensor]) -> tuple[Ngrams, WrongWords]:
    """What `tensors_of` was given."""
    ngrams = Ngrams(
        tensors["ngrams.single"].numpy().astype(np.int64),
        tensors["ngrams.pairs"].numpy().view(np.uint16),
        tensors["ngrams.triples"].numpy().view(np.uint16),
    )
    inner = tensors["wrong.inner.weight"], tensors["wrong.inner.bias"]
    return ngrams, WrongWords(inner, (tensors["wrong.outer.weight"], tensors["wrong.outer.bias"]))


def _padded(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.full(2, _START), ids])


def _pairs(padded: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each pair is counted, (tokens + 1,): the first one is that of two marks, which no text has."""
    return (padded[:-1] * _PRIMES[0] + padded[1:]) % PAIRS


def _triples(padded: NDArray[np.int64]) -> NDArray[np.int64]:
    return ((padded[:-2] * _PRIMES[1] + padded[1:-1]) * _PRIMES[0] + padded[2:]) % TRIPLES


def _clipped(counts: NDArray[np.int64]) -> Counts:
    return np.minimum(counts, np.iinfo(np.uint16).max).astype(np.uint16)
