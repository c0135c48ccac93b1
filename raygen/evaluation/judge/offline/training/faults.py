"""Faults that are put into texts by script, so that their scores are known: wrong words, wrong claims, and parts that are missing or too many."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from raygen.evaluation.judge.offline import words

_OTHER_FORMS = {
    "is": "are",
    "are": "is",
    "was": "were",
    "were": "was",
    "has": "have",
    "have": "has",
    "does": "do",
    "do": "does",
    "a": "an",
    "an": "a",
    "this": "these",
    "these": "this",
    "that": "those",
    "he": "him",
    "him": "he",
    "they": "them",
    "them": "they",
    "who": "which",
    "which": "who",
    "than": "then",
    "then": "than",
    "their": "there",
    "there": "their",
    "its": "it",
    "more": "most",
}
_SMALL = (
    "the",
    "of",
    "in",
    "to",
    "for",
    "on",
    "with",
    "at",
    "by",
    "from",
    "as",
    "and",
    "but",
    "or",
    "a",
    "an",
    "it",
    "that",
    "be",
    "which",
)
_VERBS = re.compile(
    r"\b(is|are|was|were|can|could|will|would|has|have|had|may|should|must)\b(?!\s+(?:not|never)\b)"
)


@dataclass(frozen=True)
class Changed:
    """A sentence of which words were changed.

    Attributes:
        text: The sentence.
        wrong: From and to, in characters, of the words that are wrong now.
    """

    text: str
    wrong: tuple[tuple[int, int], ...]


Marked = list[tuple[str, bool]]


def wrong_words(sentence: str, count: int, drawn: random.Random) -> Changed:
    """Puts mistakes into a sentence as writers and models make them.

    Args:
        sentence: A sentence of at least four words.
        count: How many mistakes.
        drawn: Where draws come from.
    """
    marked = [(word, False) for word in sentence.split()]
    for _ in range(count):
        place = drawn.randrange(len(marked) - 1)
        drawn.choice(_MISTAKES)(marked, place, drawn)
    return _joined(marked)


def shuffled(sentence: str, drawn: random.Random) -> Changed:
    """All words of a sentence in another order."""
    marked = [(word, True) for word in sentence.split()]
    drawn.shuffle(marked)
    return _joined(marked)


def _joined(marked: Marked) -> Changed:
    text, spans = "", []
    for word, wrong in marked:
        text += " " if text else ""
        if wrong:
            spans.append((len(text), len(text) + len(word)))
        text += word
    return Changed(text, tuple(spans))


def _swap(marked: Marked, place: int, drawn: random.Random) -> None:
    del drawn
    marked[place], marked[place + 1] = (marked[place + 1][0], True), (marked[place][0], True)


def _drop(marked: Marked, place: int, drawn: random.Random) -> None:
    del drawn
    if len(marked) > 4:
        marked.pop(place)
        # A word is missing before it, which is where a reader stumbles.
        marked[place] = marked[place][0], True


def _double(marked: Marked, place: int, drawn: random.Random) -> None:
    del drawn
    marked.insert(place + 1, (marked[place][0], True))


def _form(marked: Marked, place: int, drawn: random.Random) -> None:
    for offset in range(len(marked)):
        at = (place + offset) % len(marked)
        other = _OTHER_FORMS.get(marked[at][0])
        if other is not None:
            marked[at] = other, True
            return
    _swap(marked, place, drawn)


def _ending(marked: Marked, place: int, drawn: random.Random) -> None:
    word = marked[place][0]
    if not word.isalpha() or len(word) < 4:
        return _form(marked, place, drawn)
    for ending in ("ing", "ed", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            marked[place] = word.removesuffix(ending), True
            return None
    marked[place] = word + drawn.choice(("s", "ed", "ing")), True
    return None


def _small(marked: Marked, place: int, drawn: random.Random) -> None:
    for offset in range(len(marked)):
        at = (place + offset) % len(marked)
        if marked[at][0] in _SMALL:
            marked[at] = drawn.choice([word for word in _SMALL if word != marked[at][0]]), True
            return
    _swap(marked, place, drawn)


def _typing(marked: Marked, place: int, drawn: random.Random) -> None:
    word = marked[place][0]
    if len(word) < 5:
        return _swap(marked, place, drawn)
    at = drawn.randrange(1, len(word) - 2)
    marked[place] = word[:at] + word[at + 1] + word[at] + word[at + 2 :], True
    return None


def _move(marked: Marked, place: int, drawn: random.Random) -> None:
    word, _ = marked.pop(place)
    marked.insert(drawn.randrange(len(marked) + 1), (word, True))


def _insert(marked: Marked, place: int, drawn: random.Random) -> None:
    marked.insert(place, (drawn.choice(marked)[0].lower(), True))


_MISTAKES: tuple[Callable[[Marked, int, random.Random], None], ...] = (
    *(_swap, _drop, _drop, _double, _form, _form, _ending, _ending, _small, _small, _typing, _move, _insert),
)


def other_number(sentence: str, drawn: random.Random) -> str | None:
    """The sentence with another number in place of one; None if it has none."""
    found = list(re.finditer(r"\d+", sentence))
    if not found:
        return None
    match = drawn.choice(found)
    value = int(match[0])
    other = value + drawn.choice((-1, 1)) * drawn.randint(1, max(2, value // 10 + 2))
    return sentence[: match.start()] + str(abs(other) + (other == 0)) + sentence[match.end() :]


def other_name(sentence: str, names: Sequence[str], drawn: random.Random) -> str | None:
    """The sentence with another name in place of one; None if it has none.

    Args:
        sentence: A sentence.
        names: Names as they are written, of which one that is not in the sentence is taken.
        drawn: Where draws come from.
    """
    own = words.names(sentence)
    others = [name for name in names if name.lower() not in sentence.lower()]
    if not own or not others:
        return None
    name = drawn.choice(own)
    return re.sub(
        rf"\b{re.escape(name)}\b",
        drawn.choice(others).replace("\\", ""),
        sentence,
        count=1,
        flags=re.IGNORECASE,
    )


def opposite(sentence: str) -> str | None:
    """The sentence with a "not" more or less; None if there is no place for one."""
    if re.search(r"\b(?:not|never)\s", sentence):
        return re.sub(r"\b(?:not|never)\s", "", sentence, count=1)
    changed, count = _VERBS.subn(r"\1 not", sentence, count=1)
    return changed if count else None


def shorter(sentence: str, drawn: random.Random) -> str:
    """The sentence with less in it and nothing wrong: what stands in brackets, a part between commas, or adverbs are left out."""
    text = re.sub(r"\s*\([^()]*\)", "", sentence)
    parts = text.split(", ")
    if len(parts) > 2:
        parts.pop(drawn.randrange(1, len(parts) - 1))
        text = ", ".join(parts)
    text = re.sub(
        r"\b(?:also|very|often|however|usually|generally|mainly|therefore|thus|still|later),? ", "", text
    )
    return text[:1].upper() + text[1:]


def reworded(sentence: str, drawn: random.Random) -> str:
    """The sentence with some common words in place of others that say the same."""
    for one, other in _SAME:
        if drawn.random() < 0.7:
            sentence = re.sub(rf"\b{one}\b", other, sentence)
    return sentence


_SAME = (
    *(
        ("began", "started"),
        ("use", "employ"),
        ("used", "employed"),
        ("many", "numerous"),
        ("large", "big"),
        ("because", "since"),
    ),
    *(
        ("including", "such as"),
        ("became", "turned into"),
        ("made", "produced"),
        ("known as", "called"),
        ("important", "significant"),
    ),
    *(
        ("about", "roughly"),
        ("also", "too"),
        ("but", "yet"),
        ("show", "demonstrate"),
        ("received", "got"),
        ("several", "some"),
    ),
    *(
        ("However", "Yet"),
        ("although", "though"),
        ("first", "initial"),
        ("main", "chief"),
        ("often", "frequently"),
        ("within", "in"),
    ),
)


def cut(text: str, drawn: random.Random) -> str:
    """The text without its end, broken off inside its last sentence."""
    listed = text.split()
    return " ".join(listed[: max(3, len(listed) - drawn.randint(2, max(3, len(listed) // 4)))]).rstrip(
        ".!?,;"
    )


def looped(text: str, drawn: random.Random) -> str:
    """The text with one run of words said again and again, as models that are stuck write."""
    listed = text.split()
    length = min(drawn.randint(2, 6), len(listed))
    start = drawn.randrange(len(listed) - length + 1)
    run = listed[start : start + length]
    return " ".join([*listed[: start + length], *(run * drawn.randint(1, 4)), *listed[start + length :]])
