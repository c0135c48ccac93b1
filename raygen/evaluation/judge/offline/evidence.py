"""How far one text has support in another: by meaning, by words, and by numbers, names and negations that do not agree."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from raygen.evaluation.judge.offline import words
from raygen.evaluation.text.embeddings import Encoded

BUCKETS = 1 << 16
"""Of stems, by hash."""
PER_SENTENCE, MOST = 2, 8
"""Sentences of a context that are compared by meaning: the likeliest of each sentence of the answer, and of all together."""


@dataclass(frozen=True)
class Rarity:
    """How much a word tells: the logarithm of the training texts over those that have it, from 0 to 1.

    Attributes:
        stems: By the hash of a stem, (BUCKETS,).
        pieces: By the number of a word piece, (vocabulary,).
    """

    stems: NDArray[np.float32]
    pieces: NDArray[np.float32]

    def of(self, stem: str) -> float:
        """That of a stem."""
        return float(self.stems[bucket(stem)])


def bucket(stem: str) -> int:
    """Where a stem's rarity stands."""
    return zlib.crc32(stem.encode()) % BUCKETS


class Read:
    """What can be read off a text without a model, found when it is asked for."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sentences = words.sentences(text)

    @cached_property
    def stems(self) -> list[list[str]]:
        """Stems of each sentence."""
        return [words.content_stems(sentence) for sentence in self.sentences]

    @cached_property
    def stem_set(self) -> frozenset[str]:
        """All stems."""
        return frozenset(stem for sentence in self.stems for stem in sentence)

    @cached_property
    def stem_pairs(self) -> frozenset[tuple[str, ...]]:
        """All pairs of stems that follow each other in a sentence."""
        return frozenset(pair for sentence in self.stems for pair in words.grams(sentence, 2))

    @cached_property
    def numbers(self) -> frozenset[str]:
        """All numbers."""
        return frozenset(words.numbers(self.text))

    @cached_property
    def words(self) -> frozenset[str]:
        """All words in lower case, and without an ending that says whose."""
        return frozenset(word.removesuffix("'s") for word in words.words(self.text))


@dataclass(frozen=True)
class Support:
    """How far a text supports one sentence. All shares are from 0 to 1, 1 where nothing is asked for.

    Attributes:
        close: Cosine with the nearest sentence of the text.
        covered: Share of the sentence's stems that the text has, weighted by rarity.
        alike: How near the nearest token of the text is to each token in meaning, weighted by rarity.
        least: The same of the two tokens that have the least near one.
        pairs: Share of pairs of stems that the text has in this order.
        numbers: Numbers that the text does not have.
        names: Names that the text does not have.
        opposed: Whether one says no and the nearest sentence of the text does not.
        weight: How much the sentence claims: its stems, and one.
    """

    close: float
    covered: float
    alike: float
    least: float
    pairs: float
    numbers: tuple[str, ...]
    names: tuple[str, ...]
    opposed: bool
    weight: int

    @property
    def whole(self) -> float:
        """All shares in one."""
        return (max(self.close, 0.0) + self.covered + self.alike) / 3


def likeliest(answer: Read, text: Read, rarity: Rarity) -> list[str]:
    """The sentences of a text that may support those of an answer, by the stems that they share; in the text's order.

    They depend on the two texts alone. A text of few sentences is taken whole.
    """
    if len(text.sentences) <= PER_SENTENCE:
        return text.sentences
    kept: dict[int, float] = {}
    stems = [frozenset(one) for one in text.stems]
    for sentence in answer.stems:
        wanted = {stem: rarity.of(stem) for stem in sentence}
        values = [math.fsum(wanted[stem] for stem in sorted(wanted.keys() & own)) for own in stems]
        for place in sorted(range(len(values)), key=lambda place: (-values[place], place))[:PER_SENTENCE]:
            kept[place] = max(values[place], kept.get(place, 0.0))
    best = sorted(kept, key=lambda place: (-kept[place], place))[:MOST]
    return [text.sentences[place] for place in sorted(best)]


def support(
    sentence: str, encoded: Encoded, text: Read, nearest: Sequence[tuple[str, Encoded]], rarity: Rarity
) -> Support:
    """How far a text supports a sentence.

    Args:
        sentence: A sentence.
        encoded: What the encoder made of it.
        text: The text.
        nearest: Sentences of the text that are compared by meaning, and what the encoder made of them; at least one.
        rarity: How much words tell.
    """
    stems = words.content_stems(sentence)
    weights = [rarity.of(stem) for stem in stems]
    total = math.fsum(weights)
    covered = math.fsum(weight for stem, weight in zip(stems, weights, strict=True) if stem in text.stem_set)
    pairs = list(words.grams(stems, 2))
    cosines = [_dot(encoded.vector, other.vector) for _, other in nearest]
    best = max(range(len(cosines)), key=lambda place: cosines[place])
    alike, least = _alike(encoded, [other for _, other in nearest], rarity)
    return Support(
        close=cosines[best],
        covered=covered / total if total else 1.0,
        alike=alike,
        least=least,
        pairs=sum(pair in text.stem_pairs for pair in pairs) / len(pairs) if pairs else 1.0,
        numbers=tuple(number for number in words.numbers(sentence) if number not in text.numbers),
        names=tuple(name for name in words.names(sentence) if name not in text.words),
        opposed=bool(words.negations(sentence)) != bool(words.negations(nearest[best][0])),
        weight=1 + len(stems),
    )


def _alike(one: Encoded, others: Sequence[Encoded], rarity: Rarity) -> tuple[float, float]:
    """How near the nearest token of others is to each token of one: weighted mean, and mean of the two smallest.

    The matching is that of BERTScore's precision (Zhang et al. 2020, section 3).
    """
    if not len(one.states):
        return 1.0, 1.0
    states = [other.states for other in others if len(other.states)]
    near = np.zeros(len(one.states))
    if states:
        # By PyTorch, of which the caller has one thread: NumPy's own wait for each other longer than such small products take.
        products = torch.from_numpy(one.states) @ torch.from_numpy(np.concatenate(states)).T
        near = np.clip(products.amax(dim=1).numpy().astype(np.float64), 0, 1)
    weights = rarity.pieces[one.ids].astype(np.float64) + 1e-3
    return float((near * weights).sum() / weights.sum()), float(np.sort(near)[:2].mean())


def cosine(one: Encoded, other: Encoded) -> float:
    """Of two embeddings."""
    return _dot(one.vector, other.vector)


def whole_vector(encoded: Sequence[Encoded]) -> NDArray[np.float32]:
    """The embedding of a text from those of its sentences, by their tokens, (width,), of length 1."""
    total = np.sum([one.vector * np.float32(len(one.tokens) + 2) for one in encoded], axis=0)
    vector: NDArray[np.float32] = total / np.float32(max(math.sqrt(_dot(total, total)), 1e-12))
    return vector


def _dot(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    # Added up in a fixed order, which a product by BLAS need not be.
    return float((one * other).sum(dtype=np.float64))
