"""Changes single values of a job's document, as `--set path=value` does."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from typing import Any

from raygen.errors import JobFileError, ValidationError
from raygen.jobfile.text import decode
from raygen.jobfile.tree import read
from raygen.jobfile.yaml_text import compose_yaml
from raygen.spec import Kind, TrainingJob
from raygen.spec.schema.faults import Fault, Location, shown
from raygen.spec.schema.fields import Shape, fields_of
from raygen.spec.schema.messages import nearest, unknown_key

_PART = re.compile(r"""\.?(?:\[(?:"([^"]*)"|'([^']*)'|([^\]"']*))\]|([^.\[\]=]+))""")


def override(raw: Any, assignments: Sequence[str], kind: type[Kind] = TrainingJob) -> Any:
    """A document with some values changed.

    Args:
        raw: The content of a file; it is not changed.
        assignments: `path=value` each, applied in this order. Keys are joined by dots, and `spec.` may be
            left out; list items are named by position or, where they have one, by name:
            `training.seed=3`, `data.train.sources[0].uri=x`, `evaluation.metrics[loss].type=Perplexity`.
            Objects on the way that are missing are made. The value is YAML.
        kind: What the file holds.

    Raises:
        ValidationError: holds a fault for each that has no value or whose path leads nowhere.
    """
    changed = copy.deepcopy(raw)
    apply(changed, assignments, kind)
    return changed


def apply(document: Any, assignments: Sequence[str], kind: type[Kind]) -> list[Location]:
    """Changes a document in place; see `override`. Returns the locations that were set."""
    locations: list[Location] = []
    faults: list[Fault] = []
    for assignment in assignments:
        try:
            locations.append(_assign(document, assignment, kind))
        except _WrongError as wrong:
            faults.append(wrong.fault)
    if faults:
        raise ValidationError(faults, where="--set", noun=kind.noun)
    return locations


class _WrongError(Exception):
    """An assignment that cannot be carried out."""

    def __init__(self, path: str, value: str, rule: str, remedy: str) -> None:
        super().__init__(path)
        self.fault = Fault(shown(path)[1:-1] or "--set", value, rule, remedy)


def _assign(document: Any, assignment: str, kind: type[Kind]) -> Location:
    path, text = _split(assignment, kind)
    parts = _parts(path, kind)
    value = _value(path, text)
    if not isinstance(document, dict):
        raise _WrongError(path, "", f"needs a file that holds a {kind.noun}", "Fix the file first.")
    return _set(document, parts, value, path, kind)


def _set(document: Any, parts: list[str], value: Any, path: str, kind: type[Kind]) -> Location:
    location: Location = ()
    holder: Any = document
    shape = Shape("object", model=kind)
    while True:
        key, shape = _step(holder, shape, parts, path, location, kind)
        location = (*location, key)
        if not parts:
            holder[key] = value
            return location
        below = holder[key] if isinstance(key, int) else holder.get(key)
        if below is None:
            below = holder[key] = [] if shape.kind == "list" else {}
        holder = below


def _malformed(path: str, kind: type[Kind]) -> _WrongError:
    return _WrongError(path, "", "must have the form path=value", f"Write, for example, {kind.assignment}.")


def _split(assignment: str, kind: type[Kind]) -> tuple[str, str]:
    quoted = re.match(r"""(?:[^=\["']|\[(?:"[^"]*"|'[^']*'|[^\]"']*)\])*""", assignment)
    end = quoted.end() if quoted else 0
    if assignment[end : end + 1] != "=" or end == 0:
        raise _malformed(assignment, kind)
    return assignment[:end].strip(), assignment[end + 1 :]


def _parts(path: str, kind: type[Kind]) -> list[str]:
    parts: list[str] = []
    at = 0
    while at < len(path):
        match = _PART.match(path, at)
        if match is None:
            raise _malformed(path, kind)
        parts.append(next(group for group in match.groups() if group is not None))
        at = match.end()
    return parts if parts and parts[0] in fields_of(kind) else ["spec", *parts]


def _value(path: str, text: str) -> Any:
    if not text.strip():
        return None
    try:
        value, _, found = read(compose_yaml(decode(text, path), path), path)
    except JobFileError as error:
        if error.what == "is empty":
            return None
        raise _WrongError(path, shown(text), error.what, error.remedy) from None
    if found:
        raise _WrongError(path, shown(text), found[0][1].rule, found[0][1].remedy)
    return value


def _step(
    holder: Any, shape: Shape, parts: list[str], path: str, location: Location, kind: type[Kind]
) -> tuple[Any, Shape]:
    """Takes the next part of the path: the key or position it names, and what may be there."""
    if shape.model is not None and isinstance(holder, dict):
        part, known = parts.pop(0), fields_of(shape.model)
        if part in known:
            return part, known[part].shape
        fault = unknown_key((*location, part), None, list(known), kind)
        raise _WrongError(fault.path, "", fault.rule, fault.remedy)
    if shape.kind == "map" and shape.items is not None and isinstance(holder, dict):
        name = ".".join(parts)
        parts.clear()
        return name, shape.items
    if shape.kind == "list" and shape.items is not None and isinstance(holder, list):
        return _position(holder, parts.pop(0), path), shape.items
    here = shown(holder, location)
    raise _WrongError(path, here, f"leads nowhere at {parts[0][:40]}", "Leave out the rest of the path.")


def _position(holder: list[Any], part: str, path: str) -> int:
    if part.isdecimal() and part.isascii() and len(part) < 6:
        if int(part) > len(holder):
            rule = f"leads beyond the list, which has {len(holder)} items"
            raise _WrongError(path, "", rule, f"Use at most [{len(holder)}], which adds an item.")
        if int(part) == len(holder):
            holder.append(None)
        return int(part)
    names = dict(_names(holder))
    if part in names:
        return names[part]
    close = nearest(part, names)
    known = f"The names are {', '.join(names)}." if names else "Give the item's position: [0]."
    remedy = f"Did you mean {close}?" if close else known
    raise _WrongError(path, "", f"names an item that is not there: {part[:40]}", remedy)


def _names(holder: list[Any]) -> Iterator[tuple[str, int]]:
    for number, item in enumerate(holder):
        if isinstance(item, dict) and isinstance(item.get("name"), str):
            yield item["name"], number
