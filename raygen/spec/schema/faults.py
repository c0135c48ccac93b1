"""A fault: what is wrong with one value of a job, and what to do about it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from raygen.errors import without_secrets

Location = tuple[str | int, ...]
"""Where a value is: keys and list positions from the root."""

ROOT = "document"
"""The path of the whole document, until its kind's own noun takes the place of it."""

_SHOWN = 60
_SHOWN_PARTS = 24
_SECRET_WORDS = frozenset(
    {"apikey", "auth", "authorization", "bearer", "credential", "credentials", "key", "passphrase"}
    | {"passwd", "password", "pwd", "secret", "secrets", "token"}
)
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_PLAIN_KEY = re.compile(r"[A-Za-z_][-A-Za-z0-9_]{0,79}")


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        path: Where, as keys with dots and list positions in brackets; the kind's noun (`job`) is the whole document.
        value: The value that is there, shortened; empty where there is none to show.
        rule: What must be true, as a sentence without a subject.
        remedy: What to do about it.
        line: Line in the job file, from 1, or None.
    """

    path: str
    value: str
    rule: str
    remedy: str
    line: int | None = None

    def __str__(self) -> str:
        line = f"line {self.line}: " if self.line is not None else ""
        value = f"{self.value} " if self.value else ""
        return f"  {line}{self.path}: {value}{self.rule}. {self.remedy}"

    def at(self, line: int | None) -> Fault:
        """The same fault with a line, if it has none yet."""
        return self if self.line is not None else replace(self, line=line)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def fault(location: Location, value: object, rule: str, remedy: str, line: int | None = None) -> Fault:
    """A fault of the value at a location."""
    return Fault(spelled(location), shown(value, location), rule, remedy, line)


def bare_fault(location: Location, rule: str, remedy: str, line: int | None = None) -> Fault:
    """A fault that has no value to show."""
    return Fault(spelled(location), "", rule, remedy, line)


def shown(value: object, location: Location = ()) -> str:
    """A value as it may be printed: short, printable, and never one that looks like a secret."""
    if isinstance(value, Mapping):
        keys = [_printable(str(key)[:_SHOWN_PARTS]) for key in list(value)[:5]]
        return "{" + ", ".join([*keys, *(["..."] if len(value) > len(keys) else [])]) + "}"
    if isinstance(value, list | tuple):
        return f"[{len(value)} item{'s' if len(value) != 1 else ''}]" if value else "[]"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if is_secret(location):
        return "(hidden)"
    if isinstance(value, int):
        return str(value) if abs(value) < 10**_SHOWN_PARTS else "a number of very many digits"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        return _quoted(without_secrets(value[: 10 * _SHOWN]))
    return f"a {type(value).__name__}"


def is_secret(location: Location) -> bool:
    """Whether a key on the way to this value looks like that of a password, token or key."""
    words = {word.lower() for part in location if isinstance(part, str) for word in _WORDS.findall(part)}
    joined = {part.lower() for part in location if isinstance(part, str)}
    return bool(_SECRET_WORDS & (words | joined))


def spelled(location: Location) -> str:
    """A location as people write it: spec.data.train.sources[0].uri."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            path += f".{part}" if path else part
        else:
            path += f"[{_quoted(part)}]"
    return path or ROOT


def _quoted(text: str) -> str:
    text = _printable(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")
    return '"' + text.replace('"', '\\"') + '"'


def _printable(text: str) -> str:
    """Without characters that would steer a terminal or cannot be encoded."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
