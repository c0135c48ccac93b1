"""Paths to single values of a document, as people write them: `training.optimizer.learningRate`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from raygen.spec.schema.base import Kind
from raygen.spec.schema.faults import Fault, Location, shown
from raygen.spec.schema.fields import Shape, fields_of
from raygen.spec.schema.messages import nearest, unknown_key

_PART = re.compile(r"""\.?(?:\[(?:"([^"]*)"|'([^']*)'|([^\]"']*))\]|([^.\[\]=]+))""")


class WrongPathError(Exception):
    """A path that leads nowhere; its fault names it."""

    def __init__(self, path: str, value: str, rule: str, remedy: str) -> None:
        super().__init__(path)
        self.fault = Fault(shown(path)[1:-1] or "--set", value, rule, remedy)


def parts_of(path: str, kind: type[Kind]) -> list[str]:
    """The keys, positions and names that a path names, from the root of a document: `spec.` may be left out.

    Raises:
        WrongPathError: it is not a path.
    """
    parts: list[str] = []
    at = 0
    while at < len(path):
        match = _PART.match(path, at)
        if match is None:
            raise malformed(path, kind)
        parts.append(next(group for group in match.groups() if group is not None))
        at = match.end()
    return parts if parts and parts[0] in fields_of(kind) else ["spec", *parts]


def malformed(assignment: str, kind: type[Kind]) -> WrongPathError:
    """Says that a text is not an assignment to a path."""
    remedy = f"Write, for example, {kind.assignment}."
    return WrongPathError(assignment, "", "must have the form path=value", remedy)


def assign(document: object, path: str, value: object, kind: type[Kind]) -> tuple[Location, Shape]:
    """Sets the value at a path of a document, in place. Objects on the way that are missing are made.

    Args:
        document: JSON values.
        path: Keys joined by dots; list items are named by position or, where they have one, by name.
        value: A JSON value.
        kind: What the document holds.

    Returns:
        Where it was set, and what may be there.

    Raises:
        WrongPathError: the path leads nowhere.
    """
    parts = parts_of(path, kind)
    if not isinstance(document, dict):
        raise WrongPathError(path, "", f"needs a file that holds a {kind.noun}", "Fix the file first.")
    location: Location = ()
    holder: Any = document
    shape = Shape("object", model=kind)
    while True:
        key, shape = _step(holder, shape, parts, path, location, kind)
        location = (*location, key)
        if not parts:
            holder[key] = value
            return location, shape
        below = holder[key] if isinstance(key, int) else holder.get(key)
        if below is None:
            below = holder[key] = [] if shape.kind == "list" else {}
        holder = below


def _step(
    holder: Any, shape: Shape, parts: list[str], path: str, location: Location, kind: type[Kind]
) -> tuple[Any, Shape]:
    """Takes the next part of the path: the key or position it names, and what may be there."""
    if shape.model is not None and isinstance(holder, dict):
        part, known = parts.pop(0), fields_of(shape.model)
        if part in known:
            return part, known[part].shape
        fault = unknown_key((*location, part), None, list(known), kind)
        raise WrongPathError(fault.path, "", fault.rule, fault.remedy)
    if shape.kind == "map" and shape.items is not None and isinstance(holder, dict):
        name = ".".join(parts)
        parts.clear()
        return name, shape.items
    if shape.kind == "list" and shape.items is not None and isinstance(holder, list):
        return _position(holder, parts.pop(0), path), shape.items
    here = shown(holder, location)
    raise WrongPathError(path, here, f"leads nowhere at {parts[0][:40]}", "Leave out the rest of the path.")


def _position(holder: list[Any], part: str, path: str) -> int:
    if part.isdecimal() and part.isascii() and len(part) < 6:
        if int(part) > len(holder):
            rule = f"leads beyond the list, which has {len(holder)} items"
            raise WrongPathError(path, "", rule, f"Use at most [{len(holder)}], which adds an item.")
        if int(part) == len(holder):
            holder.append(None)
        return int(part)
    names = dict(_names(holder))
    if part in names:
        return names[part]
    close = nearest(part, names)
    known = f"The names are {', '.join(names)}." if names else "Give the item's position: [0]."
    remedy = f"Did you mean {close}?" if close else known
    raise WrongPathError(path, "", f"names an item that is not there: {part[:40]}", remedy)


def _names(holder: list[Any]) -> Iterator[tuple[str, int]]:
    for number, item in enumerate(holder):
        if isinstance(item, dict) and isinstance(item.get("name"), str):
            yield item["name"], number
