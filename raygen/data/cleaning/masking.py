"""Replaces personal data and secrets that are known by their form."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from raygen.data.sensitive.kinds import PLACEHOLDERS, spans
from raygen.spec.data.cleaning import PERSONAL_DATA, PersonalData

_EXCERPT = 4096
"""Characters of a text that are masked to make an excerpt of it."""


def mask(text: str, kinds: Sequence[PersonalData] = PERSONAL_DATA) -> tuple[str, dict[PersonalData, int]]:
    """The text with a placeholder for each piece of these kinds, and how many of each there were."""
    counts: dict[PersonalData, int] = {}
    while True:
        before = text
        for kind in PERSONAL_DATA:
            if kind in kinds:
                text, found = _masked(text, kind)
                if found:
                    counts[kind] = counts.get(kind, 0) + found
        # What is masked can be the border that another one lacked.
        if text == before:
            return text, counts


def excerpt(text: str, length: int = 80) -> str:
    """The beginning of a text on one line, all personal data and secrets masked, whatever the job asks for."""
    # Masked first: what is cut through has no form to be known by.
    masked, _ = mask(text[:_EXCERPT])
    line = " ".join(masked.split())
    return line if len(line) <= length and len(text) <= _EXCERPT else line[: length - 1].rstrip() + "…"


def excerpt_around(text: str, placeholder: str, length: int = 80) -> str:
    """What is around the first placeholder of a masked text, as `excerpt` gives a beginning; the beginning if there is none."""
    at = text.find(placeholder)
    masked, _ = mask(text[max(at - _EXCERPT, 0) : at + _EXCERPT]) if at >= 0 else ("", {})
    at = masked.find(placeholder)
    if at < 0:
        return excerpt(text, length)
    side = (length - len(placeholder)) // 2 - 1
    start, stop = max(at - side, 0), at + len(placeholder) + side
    line = " ".join(masked[start:stop].split())
    return f"{'…' if start else ''}{line}{'…' if stop < len(masked) else ''}"


_ESCAPES = re.compile(r'(?:\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))+')
"""Several at once, since two can stand for one character."""
_QUOTES = re.compile('"{2,}')


def unescaped(text: str) -> str:
    """What is between a file and the text in it undone: escapes of JSON, and the doubled quotes of separated values.

    Next to them and with them among its characters nothing has the form that it is known by.
    """
    plain = _ESCAPES.sub(lambda found: str(json.loads(f'"{found[0]}"')), text)
    # Half of a pair stands for nothing.
    return _QUOTES.sub('"', plain).encode("utf-8", "replace").decode()


def _masked(text: str, kind: PersonalData) -> tuple[str, int]:
    parts, end, count = [], 0, 0
    for start, stop in spans(text, kind):
        parts += [text[end:start], PLACEHOLDERS[kind]]
        end = stop
        count += 1
    return ("".join([*parts, text[end:]]), count) if count else (text, 0)
