"""Finds words and phrases however they are disguised."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from raygen.data.sensitive.credentials import Span
from raygen.moderation.filters.folding import Folded, leet, plain

_BETWEEN_WORDS = r"[\W_]{1,8}"
_BETWEEN_LETTERS = r"(?:[^\w\n]|_){1,3}"
_LEAST_SPACED = 3
"""Letters of the shortest word that is looked for spaced out."""


class Words:
    """Words and phrases, found as whole words in any case, also where they are disguised: with letters of other alphabets and fonts,
    with marks and characters that show nothing, in leetspeak, with letters three times or more, or spaced out.

    Each letter of a pattern is followed by another one or by a sign, so that a search goes over a text once for each word at most.

    Args:
        words: At least one.
    """

    def __init__(self, words: Sequence[str]) -> None:
        folded = [plain(word) for word in words]
        self._plain = _pattern([word.text for word in folded])
        self._leet = {
            upright: _pattern([(leet(word, upright) or word).text for word in folded]) for upright in "il"
        }

    def find(self, text: str) -> list[Span]:
        """Where they are, in order and without overlaps."""
        read = plain(text)
        found = _found(self._plain, read)
        for upright, pattern in self._leet.items():
            as_leet = leet(read, upright)
            if as_leet is not None:
                # Digits and signs alone are a number or a price.
                found += [
                    span
                    for span in _found(pattern, as_leet)
                    if any(letter.isalpha() for letter in text[span[0] : span[1]])
                ]
        return merged(found)


def merged(spans: Sequence[Span]) -> list[Span]:
    """Spans in order, those that overlap made one."""
    found: list[Span] = []
    for start, stop in sorted(spans):
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], stop))
        else:
            found.append((start, stop))
    return found


def _found(pattern: re.Pattern[str], text: Folded) -> list[Span]:
    return [text.original(*match.span()) for match in pattern.finditer(text.text)]


def _pattern(words: Sequence[str]) -> re.Pattern[str]:
    split = [word.split() for word in dict.fromkeys(words)]
    forms = [_BETWEEN_WORDS.join(map(_closed, parts)) for parts in split if parts]
    forms += [
        _BETWEEN_WORDS.join(map(_spaced, parts)) for parts in split if sum(map(len, parts)) >= _LEAST_SPACED
    ]
    # What has no word, such as a list of characters that show nothing, finds nothing.
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(forms) or '(?!)'})(?![^\W_])")


def _closed(word: str) -> str:
    """The word as it is written, or with any letter three times or more, as no word of English has it."""
    parts = []
    for character, same in groupby(word):
        count, letter = len(list(same)), re.escape(character)
        if not character.isalpha():
            parts.append(letter * count)
        else:
            parts.append(f"{letter}(?:{letter}{{2,}})?" if count == 1 else f"{letter}{{{count},}}")
    return "".join(parts)


def _spaced(word: str) -> str:
    return _BETWEEN_LETTERS.join(map(re.escape, word))
