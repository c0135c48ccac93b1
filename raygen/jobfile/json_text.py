"""JSON text (RFC 8259) to a tree, with lines and with every pair, which the json module does not give."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from raygen.errors import JobFileError
from raygen.jobfile.tree import MAX_DEPTH, MAX_NODES, Items, Node, Pair, Pairs, Scalar, too_deep, too_large

_SPACE = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"', re.DOTALL)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORD = re.compile(r"true|false|null")
_WORDS = {"true": True, "false": False, "null": None}
_MOST_DIGITS = 400


def compose_json(text: str, where: str) -> Node:
    """The tree of a JSON text.

    Raises:
        JobFileError: it is no JSON, empty, too large or too deep.
    """
    if not text.strip(" \t\n\r"):
        raise JobFileError("is empty", where=where, remedy="Start from examples/01-gpt-tiny.yaml.")
    reader = _Reader(text, where)
    root = reader.value(0)
    reader.expect_end()
    return root


class _Reader:
    """A recursive descent whose depth is bounded."""

    def __init__(self, text: str, where: str) -> None:
        self._text = text
        self._where = where
        self._at = 0
        self._counted_to = 0
        self._line = 1
        self._count = 0

    def value(self, depth: int) -> Node:
        self._skip()
        self._count += 1
        if self._count > MAX_NODES:
            too_large(self._where, self._line)
        if depth > MAX_DEPTH:
            too_deep(self._where, self._line)
        first = self._text[self._at : self._at + 1]
        if first == "{":
            return self._map(depth)
        if first == "[":
            return self._list(depth)
        return self._scalar()

    def expect_end(self) -> None:
        self._skip()
        if self._at < len(self._text):
            self._fail("something after the end of the value", "Remove it.")

    def _map(self, depth: int) -> Pairs:
        pairs: list[Pair] = []
        line = self._line
        self._at += 1
        while not self._closes("}", first=not pairs):
            self._skip()
            key_line = self._line
            match = _STRING.match(self._text, self._at)
            if match is None:
                self._fail("a key without double quotes, or a comma too many", 'Write "key": value.')
            key = self._string(match[0])
            self._at = match.end()
            self._skip()
            if self._text[self._at : self._at + 1] != ":":
                self._fail("a key without its colon", 'Write "key": value.')
            self._at += 1
            pairs.append(Pair(key, self.value(depth + 1), key_line))
        return Pairs(pairs, line)

    def _list(self, depth: int) -> Items:
        nodes: list[Node] = []
        line = self._line
        self._at += 1
        while not self._closes("]", first=not nodes):
            nodes.append(self.value(depth + 1))
        return Items(nodes, line)

    def _closes(self, bracket: str, *, first: bool) -> bool:
        """Whether the list or map ends here; takes the bracket, or the comma before the next part."""
        self._skip()
        found = self._text[self._at : self._at + 1]
        if found == bracket or (found == "," and not first):
            self._at += 1
            return found == bracket
        if not first:
            self._fail("a missing comma or bracket", f"Add a comma, or close with {bracket}.")
        return False

    def _scalar(self) -> Scalar:
        for pattern, convert in ((_STRING, self._string), (_NUMBER, _number), (_WORD, _WORDS.__getitem__)):
            match = pattern.match(self._text, self._at)
            if match is not None:
                value: Any = convert(match[0])
                self._at = match.end()
                return Scalar(value, self._line)
        return self._fail(
            "no value where one must be", "Write text in double quotes, a number, true, false or null."
        )

    def _string(self, literal: str) -> str:
        try:
            return str(json.loads(literal))
        except ValueError:
            self._fail("a wrong escape in a text", 'Escape as in "\\n" or "\\u00e9".')

    def _skip(self) -> None:
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at
        self._line += self._text.count("\n", self._counted_to, self._at)
        self._counted_to = self._at

    def _fail(self, problem: str, remedy: str) -> NoReturn:
        raise JobFileError(
            f"is not JSON: {problem}", where=f"{self._where}:{self._line}", remedy=remedy
        ) from None


def _number(text: str) -> int | float:
    if text.lstrip("-").isdecimal():
        return (
            int(text) if len(text) <= _MOST_DIGITS else math.copysign(math.inf, -1 if text[0] == "-" else 1)
        )
    return float(text)
