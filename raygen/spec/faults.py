"""A fault: what is wrong with one value of a job, and what to do about it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any

SHOWN_CHARACTERS = 60
_SECRET = re.compile(r"password|passwd|secret|token$|credential|api_?key|private_?key", re.IGNORECASE)


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        path: Where, as keys with dots and list positions in brackets; `$` is the whole document.
        value: The value as the user wrote it, shortened; empty where there is none.
        rule: What must hold.
        remedy: What to do.
        line: Line in the job file, from 1, or None.
    """

    path: str
    value: str
    rule: str
    remedy: str
    line: int | None = None

    def __str__(self) -> str:
        place = f"line {self.line}: {self.path}" if self.line is not None else self.path
        value = f" {self.value}" if self.value else ""
        return f"  {place}:{value} {self.rule}. {self.remedy}"

    def at(self, line: int | None) -> Fault:
        """The same fault with a line."""
        return replace(self, line=line)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "path": self.path,
            "value": self.value,
            "rule": self.rule,
            "remedy": self.remedy,
            "line": self.line,
        }


def shown(value: object, key: str = "") -> str:
    """A value as it may be printed: short, in ASCII, and never one that looks like a secret."""
    if _SECRET.search(key) and isinstance(value, str):
        return "(hidden)"
    if isinstance(value, dict):
        return "{...}" if value else "{}"
    if isinstance(value, list):
        return "[...]" if value else "[]"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**SHOWN_CHARACTERS:
        return "(a very large number)"
    text = json.dumps(value[: SHOWN_CHARACTERS + 1] if isinstance(value, str) else value, default=str)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."


def spelled(location: tuple[str | int, ...]) -> str:
    """A path as people write it: spec.data.train.sources[0].uri."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path or "$"
