"""Words of many texts at once, as numbers: lower-cased runs of letters, digits and marks; in scripts without blanks single characters."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

VERSION = f"words-1 unicode-{unicodedata.unidata_version}"
"""What hashes of words depend on; those of different versions are not compared."""

_CODE_POINTS = 0x33480
"""Beyond these there are no letters, digits or marks of words."""
_SINGLE = (
    *((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x2FDF), (0x3005, 0x3007)),
    *((0x3040, 0x30FF), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF)),
    (0x20000, 0x323AF),
)
"""Ranges of scripts that write no blanks between words: Thai, Lao, Myanmar, Khmer, Han, Hiragana, Katakana."""
_BASE = 0x9E3779B97F4A7C15
_MIX = np.uint64(0xD6E8FEB86659FD93)
_STEP = np.uint64(0xBF58476D1CE4E5B9)
_CHARACTERS = 1 << 16
"""Characters that are looked at together: what they need stays in the processor's caches."""


@dataclass(frozen=True)
class Words:
    """The words of some texts, in order.

    Attributes:
        hashes: (words,); equal words have equal hashes.
        lengths: (words,), in characters.
        offsets: (texts + 1,): the words of text i are offsets[i] to offsets[i + 1].
    """

    hashes: Hashes
    lengths: NDArray[np.int64]
    offsets: NDArray[np.int64]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Words of each text."""
        return np.diff(self.offsets)


def words_of(texts: Sequence[str]) -> Words:
    """The words of each text; a text that is in form NFC and one that is not have the same."""
    hashes: list[Hashes] = []
    lengths: list[NDArray[np.int64]] = []
    counts = np.zeros(len(texts) + 1, dtype=np.int64)
    for rows, joined, ends in _groups(texts):
        of_group, starts, stops = _hashed(joined)
        hashes.append(of_group)
        lengths.append(stops - starts)
        before = np.searchsorted(starts, ends)
        counts[rows + 1] += np.diff(before, prepend=0)
    if not hashes:
        return Words(np.zeros(0, np.uint64), np.zeros(0, np.int64), counts)
    return Words(np.concatenate(hashes), np.concatenate(lengths), np.cumsum(counts))


def shingles(words: Words, size: int) -> tuple[Hashes, NDArray[np.int64]]:
    """Every run of `size` words of each text, and all words of a text that has fewer.

    Returns:
        Their hashes, and offsets as of `Words`.
    """
    counts = words.counts
    made = np.where(counts >= size, counts - size + 1, np.minimum(counts, 1))
    offsets = np.concatenate(([0], np.cumsum(made)))
    total = int(offsets[-1])
    first = np.repeat(words.offsets[:-1] - offsets[:-1], made) + np.arange(total)
    if total and counts.min() >= size:
        # Those over the border between two texts, too: it is quicker to leave them out in the end.
        last = len(words.hashes) - size + 1
        hashes = words.hashes[:last].copy()
        for at in range(1, size):
            hashes *= _STEP
            hashes += words.hashes[at : last + at]
        return mixed(hashes[first]), offsets
    left = np.repeat(np.minimum(counts, size), made)
    hashes = words.hashes[first]
    for at in range(1, size):
        hashes *= _STEP
        inside = left > at
        hashes[inside] += words.hashes[first[inside] + at]
    return mixed(hashes), offsets


def mixed(values: Hashes) -> Hashes:
    """The values with all bits mixed (the finaliser of MurmurHash3)."""
    values = values ^ (values >> np.uint64(33))
    values *= np.uint64(0xFF51AFD7ED558CCD)
    values ^= values >> np.uint64(33)
    values *= np.uint64(0xC4CEB9FE1A85EC53)
    values ^= values >> np.uint64(33)
    return values


@cache
def folded() -> NDArray[np.uint32]:
    """Table of code points: the one in lower case, or 0 for what is no part of a word."""
    table = np.zeros(_CODE_POINTS, dtype=np.uint32)
    for code in range(_CODE_POINTS):
        character = chr(code)
        if unicodedata.category(character)[0] in "LMN":
            lower = character.lower()
            table[code] = ord(lower) if len(lower) == 1 else code
    return table


@cache
def _single() -> NDArray[np.bool_]:
    """Table of code points: whether one is a word by itself."""
    table = np.zeros(_CODE_POINTS, dtype=np.bool_)
    for first, last in _SINGLE:
        table[first : last + 1] = True
    table &= folded() != 0
    return table


def code_points(text: str) -> NDArray[np.uint32]:
    """The code points of a text; those beyond all letters are 0."""
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    return points if text.isascii() else np.where(points < _CODE_POINTS, points, np.uint32(0))


@cache
def _powers(count: int) -> tuple[Hashes, Hashes]:
    """The powers of the base, and those of its inverse, modulo 2^64."""
    base, inverse = (np.full(count, value, dtype=np.uint64) for value in (_BASE, pow(_BASE, -1, 1 << 64)))
    base[0] = inverse[0] = 1
    return np.multiply.accumulate(base), np.multiply.accumulate(inverse)


def _groups(texts: Sequence[str]) -> Iterator[tuple[NDArray[np.int64], str, NDArray[np.int64]]]:
    """Texts, or parts of a long one, that are joined: their numbers, the joined text, and where each ends in it."""
    rows: list[int] = []
    parts: list[str] = []
    size = 0
    for row, text in enumerate(texts):
        plain = text if text.isascii() else unicodedata.normalize("NFC", text)
        for part in _parts(plain):
            if size and size + len(part) >= _CHARACTERS:
                yield _group(rows, parts)
                rows, parts, size = [], [], 0
            rows.append(row)
            parts.append(part)
            size += len(part) + 1
    if rows:
        yield _group(rows, parts)


def _group(rows: list[int], parts: list[str]) -> tuple[NDArray[np.int64], str, NDArray[np.int64]]:
    ends = np.cumsum([len(part) + 1 for part in parts])
    return np.array(rows), "\n" + "\n".join(parts) + "\n", ends + 1


def _parts(text: str) -> Iterator[str]:
    """A text in parts of bounded length that end between words, where there is a blank."""
    start = 0
    while len(text) - start >= _CHARACTERS:
        limit = start + _CHARACTERS - 1
        end = max(text.rfind(blank, start, limit) for blank in " \n") + 1
        end = end if end > start else limit
        yield text[start:end]
        start = end
    yield text[start:]


def _hashed(text: str) -> tuple[Hashes, NDArray[np.int64], NDArray[np.int64]]:
    """The hash of each word, where it starts, and where it ends; the text begins and ends with a blank.

    A word is the polynomial of its characters, from the difference of two prefix sums.
    """
    if text.isascii():
        values = _of_ascii()[np.frombuffer(text.encode(), dtype=np.uint8)]
        starts, stops = _edges(values != 0)
    else:
        points = code_points(text)
        values = _scattered(folded()[points])
        starts, stops = _edges(values != 0, _single()[points])
    powers, inverse = _powers(_CHARACTERS + 3)
    values *= powers[: len(values)]
    sums = np.cumsum(values, dtype=np.uint64)
    return mixed((sums[stops - 1] - sums[starts - 1]) * inverse[starts]), starts, stops


def _edges(
    inside: NDArray[np.bool_], single: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where words start and end: runs of characters that are inside, but that single ones are words by themselves."""
    follows = inside[1:] & inside[:-1]
    if single is not None:
        follows &= ~(single[1:] | single[:-1])
    starts = np.flatnonzero(inside[1:] & ~follows) + 1
    stops = np.flatnonzero(inside[:-1] & ~follows) + 1
    return starts, stops


def _scattered(characters: NDArray[np.uint32]) -> Hashes:
    """A number of 64 bits for each character; 0 for 0."""
    values = characters.astype(np.uint64)
    values *= _MIX
    values ^= values >> np.uint64(32)
    return values


@cache
def _of_ascii() -> Hashes:
    return _scattered(folded()[:128])
