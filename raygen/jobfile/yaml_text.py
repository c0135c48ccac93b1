"""YAML 1.2 text to a tree.

PyYAML parses the text into events; what they mean is decided here, by YAML 1.2's core schema and not by
PyYAML's YAML 1.1, and within bounds, so that no text costs much time or memory.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from raygen.errors import JobFileError
from raygen.jobfile.tree import MAX_DEPTH, MAX_NODES, Items, Node, Pair, Pairs, Scalar, too_deep, too_large

_TAG = "tag:yaml.org,2002:"
_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_WHOLE = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN = re.compile(r"\.(nan|NaN|NAN)")

_MOST_DIGITS = 400
"""More than any float has before its point; longer numbers are infinite for us."""

_PROBLEMS = {
    "cannot start any token": (
        "a character that cannot start a value",
        "Quote the value; indent by spaces, not tabs.",
    ),
    "mapping values are not allowed": (
        "a colon where no key can be",
        "Quote a value that holds ': ', or fix the indentation.",
    ),
    "expected ':'": ("a key without its colon", "Write key: value, with a space after the colon."),
    "expected key": (
        "a line that does not fit those around it",
        "Fix the indentation, or close a quote or bracket.",
    ),
    "block end": (
        "a line that does not fit those around it",
        "Fix the indentation, or close a quote or bracket.",
    ),
    "expected ',' or": ("a list or map that is not closed", "Close the bracket, or add the comma."),
    "unexpected end of stream": ("a quote that is not closed", "Close the quote."),
    "unknown escape character": (
        "an unknown escape in double quotes",
        "Use single quotes, or write two backslashes.",
    ),
    "block sequence entries are not allowed": (
        "a list item where none can be",
        "Put it on a line of its own.",
    ),
    "found undefined tag handle": ("an unknown tag", "Remove the tag (!...)."),
}


def compose_yaml(text: str, where: str) -> Node:
    """The tree of a YAML text.

    Raises:
        JobFileError: it is no YAML, empty, several documents, too large or too deep.
    """
    composer = _Composer(where)
    root: Node | None = None
    for event in _events(text, where):
        if isinstance(event, DocumentStartEvent) and root is not None:
            raise JobFileError(
                "holds more than one document",
                where=f"{where}:{_line(event)}",
                remedy="Keep one job in the file, and no second '---'.",
            )
        root = composer.take(event) or root
    if root is None or (isinstance(root, Scalar) and root.value is None):
        raise JobFileError("is empty", where=where, remedy="Start from examples/01-gpt-tiny.yaml.")
    return root


def _events(text: str, where: str) -> Iterator[Event]:
    try:
        yield from yaml.parse(text, Loader=_PARSER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{where}:{mark.line + 1}" if mark is not None else where
        problem, remedy = _explained(f"{error.context or ''} {error.problem or ''}")
        raise JobFileError(f"is not YAML: {problem}", where=place, remedy=remedy) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # The pure Python parser lets out what chr() and int() raise for escapes and versions out of range.
        reason = (str(error).splitlines() or ["cannot be parsed"])[0]
        raise JobFileError(f"is not YAML: {reason}", where=where, remedy="Save it as plain text.") from None


def _explained(words: str) -> tuple[str, str]:
    for known, explained in _PROBLEMS.items():
        if known in words:
            return explained
    return words.strip() or "cannot be parsed", "Look at indentation, quotes and brackets on this line."


class _Composer:
    """Builds the tree from events, without recursion."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._open: list[_Building] = []
        self._anchors: dict[str, Node | None] = {}
        self._count = 0

    def take(self, event: Event) -> Node | None:
        """Takes the next event; the root once it is complete."""
        if isinstance(event, MappingStartEvent | SequenceStartEvent):
            self._begin(event)
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            building = self._open.pop()
            return self._add(building.finished(), building.anchor)
        elif isinstance(event, ScalarEvent):
            self._bound(event)
            return self._add(_scalar(event), event.anchor)
        elif isinstance(event, AliasEvent):
            self._bound(event)
            return self._add(self._aliased(event), None)
        return None

    def _begin(self, event: MappingStartEvent | SequenceStartEvent) -> None:
        self._bound(event)
        if len(self._open) >= MAX_DEPTH:
            too_deep(self._where, _line(event))
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._open.append(_Building(event))

    def _add(self, node: Node, anchor: str | None) -> Node | None:
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._open:
            return node
        self._open[-1].children.append(node)
        return None

    def _aliased(self, event: AliasEvent) -> Node:
        anchor = event.anchor or ""
        node = self._anchors.get(anchor)
        if node is None:
            inside = anchor in self._anchors
            raise JobFileError(
                f"*{ascii(anchor)[1:40]} "
                + ("stands inside what it repeats" if inside else "has no anchor before it"),
                where=f"{self._where}:{_line(event)}",
                remedy="Write the value out.",
            )
        return node

    def _bound(self, event: Event) -> None:
        self._count += 1
        if self._count > MAX_NODES:
            too_large(self._where, _line(event))


class _Building:
    """A list or map whose end has not come yet."""

    def __init__(self, event: MappingStartEvent | SequenceStartEvent) -> None:
        self.anchor: str | None = event.anchor
        self.children: list[Node] = []
        self._is_map = isinstance(event, MappingStartEvent)
        self._tag = event.tag
        self._line = _line(event)

    def finished(self) -> Node:
        usual = _TAG + ("map" if self._is_map else "seq")
        if self._tag not in (None, "!", usual):
            return Scalar(None, self._line, _wrong_tag(self._tag))
        if not self._is_map:
            return Items(self.children, self._line)
        pairs = zip(self.children[::2], self.children[1::2], strict=True)
        return Pairs([_pair(key, value) for key, value in pairs], self._line)


def _pair(key: Node, value: Node) -> Pair:
    if not isinstance(key, Scalar):
        problem = ("is under a key that is a list or a map", "Use a word as the key.")
        return Pair("?", value, key.line, problem)
    if isinstance(key.value, str) and key.problem is None:
        merge = ("is a merge key, which YAML 1.2 does not have", "Write the fields out.")
        return Pair(key.value, value, key.line, merge if key.value == "<<" else None)
    text = "null" if key.value is None else str(key.value).lower()
    return Pair(text, value, key.line, ("is under a key that is not text", "Put the key in quotes."))


def _scalar(event: ScalarEvent) -> Scalar:
    text, tag, line = event.value, event.tag, _line(event)
    if tag in (None, "!"):
        return Scalar(_plain(text) if event.implicit[0] and tag is None else text, line)
    if tag == _TAG + "str":
        return Scalar(text, line)
    value = _plain(text)
    kinds = {"null": type(None), "bool": bool, "int": int, "float": float}
    kind = kinds.get(tag.removeprefix(_TAG))
    if kind is float and type(value) is int:
        value = float(value)
    if kind is None or type(value) is not kind:
        return Scalar(None, line, _wrong_tag(tag))
    return Scalar(value, line)


def _wrong_tag(tag: str) -> tuple[str, str]:
    return f"has the tag {ascii(tag)[1:40]}, which does not fit here", "Remove the tag (!...)."


def _plain(text: str) -> Any:
    """The value of a plain word in YAML 1.2's core schema."""
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    if _WHOLE.fullmatch(text):
        return (
            int(text) if len(text) <= _MOST_DIGITS else math.copysign(math.inf, -1 if text[0] == "-" else 1)
        )
    if _OCTAL.fullmatch(text) or _HEXADECIMAL.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INFINITY.fullmatch(text):
        return -math.inf if text[0] == "-" else math.inf
    return math.nan if _NAN.fullmatch(text) else text


def _line(event: Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 1
