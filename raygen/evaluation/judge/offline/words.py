"""What can be read off a text without a model: sentences, words, numbers, names, and whether it says no."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

WORD = re.compile(r"[^\W_]+(?:(?:['’.]|(?<=\d),(?=\d))[^\W_]+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])[\"'”’)\]]*\s+(?=[\"'“‘(\[]?[^\sa-z])|\n+")
_SMALL_END = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+|\n+")
"""The same where nothing is written in capital letters."""
_NOT_AN_END = re.compile(
    r"(?:^|[\s(])(?:[A-Z]|Mr|Mrs|Ms|Dr|St|Prof|Gen|Sen|Rep|Gov|Lt|Col|Capt|No|vs|etc|approx|c|ca|cf|i\.e|e\.g|[ap]\.m|U\.S|U\.K|U\.N"
    r"|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|Inc|Ltd|Co|Corp|Jr|Sr)\.$"
)
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_NUMBER_OR_WORD = re.compile(r"[^\W\d_]+|\d+(?:[.,:]\d+)*")
_SMALL_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen twenty"
)
_TENS = "thirty forty fifty sixty seventy eighty ninety"
_NUMBER_WORDS = {
    **{word: str(value) for value, word in enumerate(_SMALL_NUMBERS.split())},
    **{word: str(10 * value) for value, word in enumerate(_TENS.split(), 3)},
}
_UNSURE_NUMBERS = {"one", "zero"}
"""Words that mostly are no number."""
_NEGATIONS = (
    "not no never none nobody nothing neither nor nowhere without cannot can't won't don't doesn't didn't isn't aren't wasn't"
    " weren't hasn't haven't hadn't wouldn't shouldn't couldn't mustn't ain't unable fails failed denies denied hardly"
)
NEGATIONS = frozenset(_NEGATIONS.split())
_STOP_WORDS = (
    "a about above after again against all also am an and any are as at be because been before being below between both but by can"
    " could did do does doing down during each few for from further had has have having he her here hers herself him himself his how"
    " i if in into is it its itself just may me might more most much must my myself of off on once only or other our ours out over own"
    " per same shall she should so some such than that the their theirs them themselves then there these they this those through to"
    " too under until up upon us very was we were what when where which while who whom whose why will with would yes you your yours"
    " i'm it's i've i'll i'd he's she's that's there's they're we're you're let's well oh ok okay really quite"
)
STOP_WORDS = frozenset(_STOP_WORDS.split())


def sentences(text: str) -> list[str]:
    """The sentences of a text, each without the space around it; lines are sentences of their own."""
    found: list[str] = []
    start = 0
    for end in (_SENTENCE_END if any(map(str.isupper, text)) else _SMALL_END).finditer(text):
        before = text[start : end.start()]
        if "\n" not in end[0] and _NOT_AN_END.search(before[-8:]):
            continue
        found.append(before + end[0].rstrip())
        start = end.end()
    found.append(text[start:])
    return [sentence for one in found if (sentence := one.strip()) and any(map(str.isalnum, sentence))]


def words(text: str) -> list[str]:
    """Its words in lower case, as "don't" and "u.s"."""
    return [word.lower().replace("’", "'") for word in WORD.findall(text)]


def content_stems(text: str) -> list[str]:
    """Stems of the words that carry meaning, in their order."""
    return [stem(word) for word in words(text) if word not in STOP_WORDS and word not in NEGATIONS]


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """A word without its commonest English endings, so that "opened" and "opening" are the same."""
    word = word.removesuffix("'s")
    for ending, put in (
        ("ies", "y"),
        ("sses", "ss"),
        ("ing", ""),
        ("edly", ""),
        ("ed", ""),
        ("ly", ""),
        ("es", ""),
        ("s", ""),
    ):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith(("ss", "us", "is")):
            word = word.removesuffix(ending) + put
            break
    # "stopped" is "stop", and "make" is what is left of "making".
    if len(word) > 4 and word[-1] == word[-2] and word[-1] not in "aeiouls":
        word = word[:-1]
    return word.removesuffix("e") if len(word) > 3 else word


def numbers(text: str) -> list[str]:
    """Its numbers, each as plain digits: "1,200" and "1200" are the same, and so are "seven" and "7"."""
    found: list[str] = []
    tens = False
    for word in _NUMBER_OR_WORD.findall(text):
        lower = word.lower()
        value = _NUMBER_WORDS.get(lower)
        if tens and value is not None and len(value) == 1 and found[-1].endswith("0"):
            found[-1] = found[-1][:-1] + value
        elif _NUMBER.fullmatch(word):
            found.append(_plain(word))
        elif value is not None and lower not in _UNSURE_NUMBERS:
            found.append(value)
        tens = value is not None and len(value) == 2 and lower.endswith("ty")
    return found


def names(sentence: str) -> list[str]:
    """Words of a sentence that are written as names are, in lower case; the first word only where it is all in capitals or followed by
    another name.
    """
    found: list[str] = []
    listed = [match for match in WORD.finditer(sentence) if not match[0][0].isdigit()]
    for place, match in enumerate(listed):
        word = match[0]
        lower = word.lower().replace("’", "'").removesuffix("'s")
        if not word[0].isupper() or lower in STOP_WORDS or lower in NEGATIONS or len(lower) < 2:
            continue
        following = listed[place + 1][0] if place + 1 < len(listed) else ""
        if (
            place
            or (word.isupper() and len(word) > 1)
            or (following[:1].isupper() and following.lower() not in STOP_WORDS)
        ):
            found.append(lower)
    return found


def negations(text: str) -> int:
    """How many words say no."""
    return sum(word in NEGATIONS or word.endswith("n't") for word in words(text))


def grams(tokens: list[str], n: int) -> Iterator[tuple[str, ...]]:
    """Its n-grams, in their order."""
    return (tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1))


def _plain(number: str) -> str:
    number = re.sub(r",(?=\d{3}(?:\D|$))", "", number)
    if "." in number and number.count(".") == 1 and ":" not in number and "," not in number:
        number = number.rstrip("0").rstrip(".")
    return number.lstrip("0") or "0"
