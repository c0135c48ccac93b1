"""Texts as they read, whatever characters they are written with; each character knows which ones of the text it stands for."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from raygen.data.sensitive.credentials import Span

_LATIN = {
    # Cyrillic.
    **dict(zip("авекмнорстухѕіјԁһӏԛԝгьү", "abekmhopctyxsijdhlqwrby", strict=True)),
    # Greek.
    **dict(zip("αβγεηικνορτυχωϲ", "abyenikvoptuxwc", strict=True)),
    # Small capitals, and letters of other alphabets.
    **dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz", strict=True)),
    **dict(zip("ɑɡıłøđħŧƒ", "agilodhtf", strict=True)),
}
"""Letters that look like one of a-z, in lower case, but for those that NFKD takes apart. A selection of Unicode's confusables (UTS #39)."""
_DIGITS = {"0": "o", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "9": "g", "@": "a", "$": "s", "€": "e"}
"""What stands for letters in leetspeak."""
_UPRIGHT = frozenset("1!|")
"""What stands for i, or for l."""
_FILLERS = frozenset("\u115f\u1160\u3164\uffa0\u2800\u17b4\u17b5")
"""Letters and signs without a shape."""

Fold = Callable[[str], str]
"""What one character reads as."""


@dataclass(frozen=True)
class Folded:
    """A text as it reads.

    Attributes:
        text: Its characters.
        places: For each of them, where in the original text that begins and ends which it stands for. Marks above or below a letter belong to
            the letter, and what shows nothing to no character.
    """

    text: str
    places: tuple[Span, ...]

    def original(self, start: int, stop: int) -> Span:
        """Where in the original text a part of this one is, which must not be empty."""
        return self.places[start][0], self.places[stop - 1][1]


def light(text: str) -> Folded:
    """The text without what shows nothing, each character in the form NFKC; what is known by its form keeps that."""
    return _folded(text, _light)


def plain(text: str) -> Folded:
    """The text in lower case, without marks on letters, and with a-z for letters that look like them."""
    return _folded(text, _plain)


def leet(text: Folded, upright: str) -> Folded | None:
    """A text of `plain` read as leetspeak; None where it has none.

    Args:
        text: The text.
        upright: What 1, and within a word ! and |, stand for: i or l.
    """
    characters = list(text.text)
    for at, character in enumerate(characters):
        if character in _UPRIGHT:
            follows = text.text[at + 1 : at + 2]
            # A sentence may end with an exclamation mark.
            if character == "1" or follows.isalnum() or follows in ("!", "|", "@", "$"):
                characters[at] = upright
        else:
            characters[at] = _DIGITS.get(character, character)
    read = "".join(characters)
    return None if read == text.text else Folded(read, text.places)


def _folded(text: str, fold: Fold) -> Folded:
    if text.isascii():
        # Each character folds to one.
        return Folded("".join(map(fold, text)), tuple((at, at + 1) for at in range(len(text))))
    characters: list[str] = []
    places: list[Span] = []
    for at, character in enumerate(text):
        if _shows_nothing(character):
            continue
        made = fold(character)
        if not made and places:
            places[-1] = (places[-1][0], at + 1)
        characters.append(made)
        places += [(at, at + 1)] * len(made)
    return Folded("".join(characters), tuple(places))


@cache
def _shows_nothing(character: str) -> bool:
    """Zero-width characters, marks of direction, soft hyphens, tags, and letters without a shape."""
    return unicodedata.category(character) == "Cf" or character in _FILLERS


@cache
def _light(character: str) -> str:
    return unicodedata.normalize("NFKC", character)


@cache
def _plain(character: str) -> str:
    lower = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
    return "".join(_LATIN.get(one, one) for one in lower if unicodedata.category(one) not in ("Mn", "Me"))
