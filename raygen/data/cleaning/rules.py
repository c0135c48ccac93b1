"""The rules of Gopher's and C4's corpora, with the counting that their papers leave open said here."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from raygen.data.cleaning.words import Words, shingles, words_of

LEAST_WORDS = 25
"""In shorter texts no n-gram counts: any two words are a large part of them."""
TOP_NGRAMS = {2: 0.20, 3: 0.18, 4: 0.16}
"""Greatest share of characters in the most common n-gram, where it is there twice or more. Every occurrence counts, a word once."""
REPEATED_NGRAMS = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
"""Greatest share of characters in n-grams that were there before. The first occurrence does not count, a word counts once."""
REPEATED_PARTS = {"lines": (0.30, 0.20), "paragraphs": (0.30, 0.20)}
"""Greatest share of lines or paragraphs that were there before, by number and by characters. Empty ones do not count."""

_PARAGRAPHS = re.compile(r"\n\s*\n")


def repetition(text: str) -> str | None:
    """Why a text repeats itself too much (Rae et al. 2021, "Scaling Language Models", table A1); None if it does not.

    Characters are those of words, without what is between them; of lines and paragraphs all but blanks at both ends.
    """
    for name, parts in (("lines", text.split("\n")), ("paragraphs", _PARAGRAPHS.split(text))):
        reason = _repeated_parts(name, [stripped for part in parts if (stripped := part.strip())])
        if reason is not None:
            return reason
    words = words_of([text])
    if len(words.hashes) < LEAST_WORDS:
        return None
    for size, limit in TOP_NGRAMS.items():
        share = _share(words, _top(words, size), size)
        if share > limit:
            return f"the most common run of {size} words has {_percent(share, limit)} of its characters"
    for size, limit in REPEATED_NGRAMS.items():
        starts = _repeats(words, size)
        if not starts.any():
            # Longer runs repeat only where shorter ones do.
            return None
        share = _share(words, starts, size)
        if share > limit:
            return (
                f"runs of {size} words that were there before have {_percent(share, limit)} of its characters"
            )
    return None


def _repeated_parts(name: str, parts: Sequence[str]) -> str | None:
    if len(parts) < 2:
        return None
    seen: set[str] = set()
    repeated = [part for part in parts if part in seen or seen.add(part)]  # type: ignore[func-returns-value]
    by_number, by_characters = REPEATED_PARTS[name]
    share = len(repeated) / len(parts)
    if share > by_number:
        return f"{_percent(share, by_number)} of its {name} were there before"
    share = sum(map(len, repeated)) / sum(map(len, parts))
    if share > by_characters:
        return f"{name} that were there before have {_percent(share, by_characters)} of its characters"
    return None


def _top(words: Words, size: int) -> NDArray[np.bool_]:
    """Where the most common n-gram begins; of several the one with the most characters, then the first."""
    hashes, _ = shingles(words, size)
    values, first, inverse, counts = np.unique(
        hashes, return_index=True, return_inverse=True, return_counts=True
    )
    if counts.max() < 2:
        return np.zeros(len(hashes), np.bool_)
    reach = np.concatenate(([0], np.cumsum(words.lengths)))
    characters = reach[first + size] - reach[first]
    best = np.lexsort((first, -characters, -counts))[0]
    return np.asarray(inverse == best) if len(values) else np.zeros(0, np.bool_)


def _repeats(words: Words, size: int) -> NDArray[np.bool_]:
    """Where n-grams begin that were there before."""
    hashes, _ = shingles(words, size)
    starts = np.ones(len(hashes), np.bool_)
    starts[np.unique(hashes, return_index=True)[1]] = False
    return starts


def _share(words: Words, starts: NDArray[np.bool_], size: int) -> float:
    """The share of characters in n-grams that begin there."""
    inside = np.zeros(len(words.hashes) + 1, np.int64)
    begin = np.flatnonzero(starts)
    np.add.at(inside, begin, 1)
    np.add.at(inside, np.minimum(begin + size, len(words.hashes)), -1)
    return float(words.lengths[np.cumsum(inside[:-1]) > 0].sum() / words.lengths.sum())


_ELLIPSES = ("...", "…")
_BULLETS = ("•", "‣", "▪", "●", "◦", "-", "*", "–", "·")
_STOP_WORDS = frozenset({"the", "be", "to", "of", "and", "that", "have", "with"})
_STRIPPED = "".join(chr(code) for code in range(33, 127) if not chr(code).isalnum()) + "“”‘’…"


def quality(text: str) -> str | None:
    """Why a text is no English prose (Rae et al. 2021, section A.1.1); None if it seems to be. Words are what is between blanks."""
    words = text.split()
    if not 50 <= len(words) <= 100_000:
        return f"it has {len(words):,} words, and 50 to 100,000 are allowed"
    mean = sum(map(len, words)) / len(words)
    if not 3 <= mean <= 10:
        return f"its words have {mean:.1f} characters on average, and 3 to 10 are allowed"
    for name, count in (("#", text.count("#")), ("ellipses", sum(map(text.count, _ELLIPSES)))):
        if count > 0.1 * len(words):
            return f"there are {count:,} {name} for {len(words):,} words, and one for ten words is allowed"
    lines = [stripped for line in text.split("\n") if (stripped := line.strip())]
    share = sum(line.startswith(_BULLETS) for line in lines) / len(lines)
    if share > 0.9:
        return f"{_percent(share, 0.9)} of its lines begin with a bullet"
    share = sum(line.endswith(_ELLIPSES) for line in lines) / len(lines)
    if share > 0.3:
        return f"{_percent(share, 0.3)} of its lines end with an ellipsis"
    share = sum(any(map(str.isalpha, word)) for word in words) / len(words)
    if share < 0.8:
        return f"{share:.0%} of its words have a letter, and at least 80% are asked for"
    if len(_STOP_WORDS & {word.strip(_STRIPPED).lower() for word in words}) < 2:
        return "it has fewer than two of the words the, be, to, of, and, that, have, with"
    return None


_MARKS = (".", "!", "?", '"', "”", "’", "'")
_CITATIONS = re.compile(r"\[(?:\d+|edit|citation needed)\]")
_POLICIES = ("javascript", "terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")  # fmt: skip
_SENTENCE_END = re.compile(r"[.!?]+(?=[\s\"'”’)]|$)")


def sentences_alone(text: str) -> str:
    """The lines of a text that are English sentences (Raffel et al. 2020, "Exploring the Limits of Transfer Learning", section 2.2).

    They end with a mark of a sentence or a quotation and not with an ellipsis, have five words, and speak of no policies and no
    JavaScript. Marks of citations go first.
    """
    while (without := _CITATIONS.sub("", text)) != text:
        text = without
    lines = text.split("\n")
    kept = [line for line in lines if not line.strip() or _is_sentence(line)]
    return text if len(kept) == len(lines) else re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip("\n")


def _is_sentence(line: str) -> bool:
    end = line.rstrip()
    lower = line.lower()
    return (
        end.endswith(_MARKS)
        and not end.endswith(_ELLIPSES)
        and len(line.split()) >= 5
        and not any(words in lower for words in _POLICIES)
    )


def page(text: str) -> str | None:
    """Why a text is no page of prose (the same section); None if it seems to be one."""
    if "{" in text or "}" in text:
        return "it has a curly bracket, as code has"
    if "lorem ipsum" in text.lower():
        return "it has the words lorem ipsum"
    count = len(_SENTENCE_END.findall(text))
    if count < 3:
        return f"it has {count} sentences, and at least 3 are asked for"
    return None


def _percent(share: float, limit: float) -> str:
    return f"{share:.0%} (at most {limit:.0%})"
