"""The words of faults: what must be true of a value, and what to do about one that is not."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from raygen.spec.schema.base import Kind, Spec
from raygen.spec.schema.faults import Fault, Location, bare_fault, fault, spelled
from raygen.spec.schema.fields import FieldShape, Shape, fields_of

_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LISTED = 14


def wrong_value(location: Location, value: Any, shape: Shape, *, optional: bool = False) -> Fault:
    """The value at a location is not what its field may hold."""
    remedy = _remedy(value, shape)
    if value is None and optional:
        remedy = remedy.rstrip(".") + ", or remove the key."
    return fault(location, value, f"must be {shape.words}", remedy)


def wrong_name(location: Location, names: Shape) -> Fault:
    """A key of a map is not what its keys may be."""
    words = names.keys.words if names.keys is not None else "text"
    return bare_fault(location, f"is under a name that is not {words}", "Rename it.")


def missing(location: Location, field: FieldShape) -> Fault:
    """A required key is not there."""
    return bare_fault(location, "is missing", f"Add {field.key}: {lowered(field.summary)}")


def unknown_key(location: Location, value: Any, known: list[str], kind: type[Kind]) -> Fault:
    """A key that the object, which has the known ones, does not have; other objects of the kind may have it."""
    remedy = _instead(str(location[-1]), known, location[:-1], kind)
    return fault(location, value, "is not a known key", remedy)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, or None."""
    plain = {_folded(one): one for one in known}
    folded = _folded(word[:80])
    if folded in plain:
        return plain[folded]
    close = difflib.get_close_matches(folded, plain, n=1, cutoff=0.6)
    return plain[close[0]] if close else None


def lowered(sentence: str) -> str:
    """To follow a colon; names and abbreviations keep their capitals."""
    first = sentence.partition(" ")[0]
    return sentence[:1].lower() + sentence[1:] if first[1:].islower() or len(first) == 1 else sentence


def _folded(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "")


def _instead(key: str, known: list[str], holder: Location, kind: type[Kind]) -> str:
    same = {_folded(one): one for one in known}.get(_folded(key))
    if same is not None:
        return f"Write {same}."
    homes = _homes(kind).get(_folded(key), [])
    if homes:
        near = sorted(homes, key=lambda home: -_shared(home, spelled(holder)))[:3]
        return f"It belongs under {' or '.join(near)}."
    close = nearest(key, known)
    if close is not None:
        return f"Did you mean {close}?"
    if not known:
        return "Remove it."
    more = ", ..." if len(known) > _LISTED else ""
    return f"Remove it; the keys here are {', '.join(known[:_LISTED])}{more}."


@cache
def _homes(kind: type[Kind]) -> Mapping[str, list[str]]:
    """Every key of a kind, folded, with the paths of the objects that have it."""
    homes: dict[str, list[str]] = {}
    for path, key in _keys(kind, ""):
        homes.setdefault(_folded(key), []).append(path or "the top level")
    return homes


def _keys(model: type[Spec], path: str) -> Iterator[tuple[str, str]]:
    for key, field in fields_of(model).items():
        yield path, key
        below = f"{path}.{key}" if path else key
        if field.shape.model is not None:
            yield from _keys(field.shape.model, below)
        elif field.shape.items is not None and field.shape.items.model is not None:
            yield from _keys(field.shape.items.model, below + "[]")


def _shared(one: str, other: str) -> int:
    """How many leading parts two paths share."""
    pairs = zip(one.split("."), other.split("."), strict=False)
    count = 0
    for left, right in pairs:
        if left != right:
            break
        count += 1
    return count


def _remedy(value: Any, shape: Shape) -> str:
    if value is None:
        return "Give it a value." if shape.kind != "object" else "Give it keys and values."
    if shape.kind == "truth":
        return _truth_remedy(value)
    if shape.kind == "any":
        return "Write a value."
    by_kind = {
        "object": _object_remedy,
        "map": _object_remedy,
        "list": _list_remedy,
        "choice": _choice_remedy,
        "text": _text_remedy,
        "whole": _number_remedy,
        "number": _number_remedy,
    }
    return by_kind[shape.kind](value, shape)


def _object_remedy(value: Any, shape: Shape) -> str:
    if isinstance(value, dict):
        return "Remove some of them."
    if shape.model is None:
        return "Write name: text pairs below it."
    return (
        f"Write key: value pairs below it; the keys are {', '.join(list(fields_of(shape.model))[:_LISTED])}."
    )


def _list_remedy(value: Any, shape: Shape) -> str:
    if not isinstance(value, list):
        return "Put it in brackets: [ ]." if not isinstance(value, dict) else "Write a list of these: - ..."
    low = shape.bounds.get("min_length", 0)
    return f"Add items until there are {low}." if len(value) < low else "Remove items."


def _choice_remedy(value: Any, shape: Shape) -> str:
    if len(shape.choices) == 1:
        return f"Write {shape.choices[0]}; it is the only one that this version knows."
    close = nearest(value, shape.choices) if isinstance(value, str) else None
    return f"Did you mean {close}?" if close else "Choose one of them."


def _text_remedy(value: Any, shape: Shape) -> str:
    if isinstance(value, bool | int | float):
        return "Put it in quotes." if "pattern" not in shape.bounds else "Write it as such text, in quotes."
    if not isinstance(value, str):
        return "Write text."
    if not value:
        return "Give it a value."
    if len(value) > shape.bounds.get("max_length", len(value)):
        return "Shorten it."
    fitting = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")
    fits = re.fullmatch(shape.bounds.get("pattern", ""), fitting)
    return f"Write it so, for example {fitting}." if fits and fitting else "Write it so."


def _truth_remedy(value: Any) -> str:
    if isinstance(value, str) and value.lower() in ("true", "yes", "on", "y"):
        return "Write true, without quotes."
    if isinstance(value, str) and value.lower() in ("false", "no", "off", "n"):
        return "Write false, without quotes."
    return "Write true or false."


def _number_remedy(value: Any, shape: Shape) -> str:
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return "Remove the quotes."
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "Write a number."
    if shape.kind == "whole" and isinstance(value, float) and not value.is_integer():
        return "Write it without decimals."
    return "Choose a value in this range."
