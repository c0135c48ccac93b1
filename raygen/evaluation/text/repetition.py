"""How much texts repeat themselves and each other.

A text is a sequence of tokens: of a tokenizer, or words. Values depend on which, so that only those of the same tokens compare.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence

Tokens = Sequence[Hashable]

EPSILON = 0.1
"""What stands for no common n-gram in BLEU (Chen & Cherry 2014, method 1), as in Texygen's self-BLEU."""


def distinct_share(texts: Sequence[Tokens], n: int) -> float:
    """The share of different n-grams among all n-grams of all texts, known as distinct-n (Li et al. 2016, section 5.2).

    It falls with the length of texts and with their number, so that only sets of the same size compare.

    Raises:
        ValueError: no text has n tokens, or n is less than 1.
    """
    counts = Counter(gram for text in texts for gram in _grams(text, n))
    total = counts.total()
    if not total:
        raise ValueError(f"no text has {n} tokens")
    return len(counts) / total


def repeated_share(text: Tokens, n: int) -> float:
    """The share of a text's n-grams that stood in it before, known as seq-rep-n (Welleck et al. 2020, eq. 9).

    Raises:
        ValueError: the text has fewer than n tokens, or n is less than 1.
    """
    return 1 - distinct_share([text], n)


def self_bleu(texts: Sequence[Tokens], n: int = 4) -> float:
    """How much texts are like each other: the mean BLEU of each with all others as references (Zhu et al. 2018, section 4.1).

    Args:
        texts: Texts.
        n: Longest n-grams; lengths from 1 to n count alike.

    Returns:
        From 0, where no two texts have a token in common, to 1, where all are the same.

    Raises:
        ValueError: there are fewer than two texts, one is empty, or n is less than 1.
    """
    if len(texts) < 2:
        raise ValueError(f"texts are compared with each other, and there is {len(texts)}")
    if not all(len(text) for text in texts):
        raise ValueError("a text is empty")
    counts = [[Counter(_grams(text, size)) for size in range(1, n + 1)] for text in texts]
    greatest = [_two_greatest([one[size] for one in counts]) for size in range(n)]
    if not any(second for _, _, second in greatest[0].values()):
        return 0.0
    lengths = sorted(len(text) for text in texts)
    scores = []
    for number, text in enumerate(texts):
        logarithms = []
        for own, most in zip(counts[number], greatest, strict=True):
            # What another text has of an n-gram: the greatest count, or the second where the greatest is this text's own.
            common = sum(
                min(count, most[gram][2] if most[gram][1] == number else most[gram][0])
                for gram, count in own.items()
            )
            # A text shorter than n has no n-grams; one that none shares stands for them.
            logarithms.append(math.log((common or EPSILON) / max(own.total(), 1)))
        penalty = min(0.0, 1 - _nearest_other(lengths, len(text)) / len(text))
        scores.append(math.exp(penalty + math.fsum(logarithms) / n))
    return math.fsum(scores) / len(scores)


def _grams(text: Tokens, n: int) -> Iterator[Tokens]:
    if n < 1:
        raise ValueError(f"n-grams have at least one token, not {n}")
    return (tuple(text[start : start + n]) for start in range(len(text) - n + 1))


def _two_greatest(counts: list[Counter[Tokens]]) -> dict[Tokens, tuple[int, int, int]]:
    """Of each n-gram the greatest count in a text, the number of that text, and the greatest in any other."""
    found: dict[Tokens, tuple[int, int, int]] = {}
    for number, own in enumerate(counts):
        for gram, count in own.items():
            first, owner, second = found.get(gram, (0, -1, 0))
            found[gram] = (count, number, first) if count > first else (first, owner, max(second, count))
    return found


def _nearest_other(lengths: list[int], own: int) -> int:
    """The length of another text that is nearest to one's own; of two the shorter."""
    at = bisect_left(lengths, own)
    others = [*lengths[max(at - 1, 0) : at], *lengths[at + 1 : at + 2]]
    return min(others, key=lambda length: (abs(length - own), length))
