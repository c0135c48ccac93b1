"""What of generated texts stands in the training data word for word: the longest spans, and the share of new n-grams of any length.

The index is made of the generated texts, which are few, and the training data passes by it once, whatever its size: a suffix automaton (Blumer et
al. 1985) holds every part of the generated texts, and each training token moves it to the longest part that ends there. Merrill et al. 2024
(n-gram novelty) index the training data instead, which pays where many sets of texts are compared with the same data.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

Tokens = Sequence[Hashable]


@dataclass(frozen=True)
class Span:
    """A part of a text that stands in the training data.

    Attributes:
        start: Its first token in the text, from 0.
        length: Its tokens.
    """

    start: int
    length: int


@dataclass(frozen=True)
class TextNovelty:
    """What of one text is in the training data.

    Attributes:
        matched: For each token of the text the number of tokens of the longest part that ends with it and is in the training data.
    """

    matched: tuple[int, ...]

    @property
    def longest(self) -> Span:
        """The longest part that is in the training data, the first of several; of length 0 if there is none."""
        end = max(range(len(self.matched)), key=self.matched.__getitem__, default=-1)
        length = self.matched[end] if end >= 0 else 0
        return Span(end + 1 - length, length)

    def new_grams(self, n: int) -> tuple[int, int]:
        """How many of the text's n-grams are not in the training data, and how many it has."""
        if n < 1:
            raise ValueError(f"n-grams have at least one token, not {n}")
        ends = self.matched[n - 1 :]
        return sum(length < n for length in ends), len(ends)


def novelty(texts: Sequence[Tokens], training: Iterable[Tokens]) -> list[TextNovelty]:
    """What of each text stands in the training data.

    Args:
        texts: Generated texts, as tokens.
        training: Documents of the training data, as the same kind of tokens; each is read once, and no match goes across two of them.
    """
    automaton = _Automaton()
    ways = [automaton.add(text) for text in texts]
    for document in training:
        automaton.pass_by(document)
    longest = automaton.longest_matches()
    return [TextNovelty(tuple(longest[state] for state in way)) for way in ways]


def new_share(found: Sequence[TextNovelty], n: int) -> float:
    """The share of n-grams of all texts that are not in the training data; ValueError if no text has n tokens."""
    counts = [one.new_grams(n) for one in found]
    total = sum(count for _, count in counts)
    if not total:
        raise ValueError(f"no text has {n} tokens")
    return sum(new for new, _ in counts) / total


class _Automaton:
    """A suffix automaton of several texts. A state stands for parts with the same endings, of lengths above that of the state it links to."""

    def __init__(self) -> None:
        self._next: list[dict[Hashable, int]] = [{}]
        self._link = [-1]
        self._length = [0]
        self._matched = [0]

    def add(self, text: Tokens) -> list[int]:
        """Takes a text; the states of its beginnings, which later texts may split but never move."""
        state, way = 0, []
        for token in text:
            state = self._extend(state, token)
            way.append(state)
        return way

    def _extend(self, last: int, token: Hashable) -> int:
        known = self._next[last].get(token)
        if known is not None:
            # Another text has had this beginning.
            if self._length[known] == self._length[last] + 1:
                return known
            return self._split(last, token, known)
        made = self._make({}, -1, self._length[last] + 1)
        state = last
        while state >= 0 and token not in self._next[state]:
            self._next[state][token] = made
            state = self._link[state]
        if state < 0:
            self._link[made] = 0
            return made
        known = self._next[state][token]
        fits = self._length[known] == self._length[state] + 1
        self._link[made] = known if fits else self._split(state, token, known)
        return made

    def _split(self, state: int, token: Hashable, known: int) -> int:
        """Divides a state that also stands for longer parts; the one for the shorter parts."""
        made = self._make(dict(self._next[known]), self._link[known], self._length[state] + 1)
        self._link[known] = made
        while state >= 0 and self._next[state].get(token) == known:
            self._next[state][token] = made
            state = self._link[state]
        return made

    def _make(self, following: dict[Hashable, int], link: int, length: int) -> int:
        self._next.append(following)
        self._link.append(link)
        self._length.append(length)
        self._matched.append(0)
        return len(self._next) - 1

    def pass_by(self, document: Tokens) -> None:
        """Takes note of what of a document stands in the texts."""
        following, links, lengths, matched = self._next, self._link, self._length, self._matched
        state = length = 0
        for token in document:
            while state and token not in following[state]:
                state = links[state]
                length = lengths[state]
            if token in following[state]:
                state = following[state][token]
                length += 1
                matched[state] = max(matched[state], length)

    def longest_matches(self) -> list[int]:
        """For each state the longest of its parts, or of those that end alike, that a document had."""
        order = sorted(range(1, len(self._length)), key=self._length.__getitem__)
        whole = list(self._matched)
        for state in reversed(order):
            link = self._link[state]
            if whole[state] and link > 0:
                # Whatever is longer than all of its parts ends with each of them.
                whole[link] = self._length[link]
        for state in order:
            whole[state] = whole[state] or whole[self._link[state]]
        return whole
