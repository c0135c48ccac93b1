"""Finds personal data and secrets, which have a form of their own, and what looks as random as keys do."""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise

from raygen.data.sensitive.credentials import Span
from raygen.data.sensitive.kinds import spans
from raygen.moderation.filters.folding import light
from raygen.moderation.filters.words import merged
from raygen.spec.data.cleaning import PersonalData

_RANDOM = re.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}")
_HEXADECIMAL = re.compile(r"[0-9a-f]{32,}|[0-9A-F]{32,}")
LEAST_BITS, LEAST_BITS_HEXADECIMAL = 3.5, 3.0
"""Least entropy of a key, in bits a character of its own distribution (Shannon 1948)."""
_LEAST_OF_EACH = 2
"""Capitals, small letters and digits that a key has at least."""
_LEAST_CHANGES = 0.35
"""Least share of neighbours of which one is a capital and the other one a small letter or digit, and so on. Drawn characters change in more
than half of the places, names in capitals and small letters where a word begins.
"""


def find_kind(text: str, kind: PersonalData) -> list[Span]:
    """Where pieces of a kind are, in order; also where they are written in characters that read the same (NFKC), or with some between that
    show nothing.
    """
    found = list(spans(text, kind))
    if not text.isascii():
        read = light(text)
        if read.text != text:
            found += [read.original(*span) for span in spans(read.text, kind)]
    return merged(found)


def find_random(text: str) -> list[Span]:
    """Where runs of characters look as random as keys: 20 or more letters, digits and signs of base 64, or 32 or more hexadecimal digits.
    Digests and identifiers look the same.
    """
    return [found.span() for found in _RANDOM.finditer(text) if _is_random(found[0])]


def entropy(text: str) -> float:
    """Bits a character of a text's own distribution of characters (Shannon 1948); 0 of an empty one."""
    shares = [count / len(text) for count in Counter(text).values()]
    return -sum(share * math.log2(share) for share in shares)


def _is_random(token: str) -> bool:
    digits = sum(map(str.isdigit, token))
    if _HEXADECIMAL.fullmatch(token):
        return _LEAST_OF_EACH <= digits < len(token) and entropy(token) >= LEAST_BITS_HEXADECIMAL
    counts = (digits, sum(map(str.isupper, token)), sum(map(str.islower, token)))
    if min(counts) < _LEAST_OF_EACH or entropy(token) < LEAST_BITS:
        return False
    sorts = [(one.isupper(), one.islower(), one.isdigit()) for one in token]
    changes = sum(one != other for one, other in pairwise(sorts))
    return changes >= _LEAST_CHANGES * (len(token) - 1)
