"""Checks a document against the models and their rules, and finds every fault at once.

Pydantic finds the values that are wrong by themselves. Then the document and the model classes are walked
side by side, and each rule over several values is checked wherever the values it reads are in order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import pydantic
from pydantic_core import ErrorDetails

from raygen.errors import ValidationError
from raygen.spec.schema.base import RULE_ERROR, Kind, Spec
from raygen.spec.schema.faults import Fault, Location, bare_fault, fault
from raygen.spec.schema.fields import Shape, fields_of, shape_at
from raygen.spec.schema.messages import missing, unknown_key, wrong_name, wrong_value
from raygen.spec.schema.plain import Found, Plain

Lines = Mapping[Location, int | None]
"""Line of each value in a file; None for a value that comes from elsewhere."""

K = TypeVar("K", bound=Kind)


def parse_kind(
    kind: type[K], document: Any, lines: Lines | None = None, *, where: str = "", known: Sequence[Found] = ()
) -> K:
    """An object of a kind from the content of a file.

    Args:
        kind: The kind's class.
        document: JSON values, as a YAML or JSON reader gives them; any Python value may come.
        lines: Line of each value in the file, by location.
        where: The file, for the message.
        known: Faults that the reader has found already, with their locations.

    Raises:
        ValidationError: holds every fault, in the order of the document.
    """
    plain = Plain(document)
    found = [*known, *plain.found]
    if not found:
        try:
            return kind.model_validate_json(json.dumps(plain.document), by_alias=True, by_name=False)
        except pydantic.ValidationError:
            pass  # every fault is collected below, also where there are others already
    found += _all_faults(kind, plain.document, [location for location, _ in found])
    order = {location: number for number, location in enumerate(_locations(plain.document))}
    found.sort(key=lambda item: _position(item[0], order))
    faults = [
        (one if location else replace(one, path=kind.noun)).at(_line(location, lines or {}))
        for location, one in found
    ]
    raise ValidationError(list(dict.fromkeys(faults)), where=where, noun=kind.noun)


def _all_faults(kind: type[Kind], document: Any, broken: list[Location]) -> list[Found]:
    """What is wrong besides what is known to be broken."""
    if () in broken:
        return []
    if not isinstance(document, dict):
        return [((), _no_object(kind, document))]
    found: list[Found] = []
    try:
        kind.model_validate_json(json.dumps(document), by_alias=True, by_name=False)
    except pydantic.ValidationError as error:
        for details in error.errors(include_url=False, include_context=False):
            one = _field_fault(kind, details, document)
            if one is not None and one[0] not in broken:
                found.append(one)
    broken = [*broken, *(location for location, _ in found)]
    return [*found, *_rule_faults(kind, document, (), frozenset(broken))]


def _no_object(kind: type[Kind], document: Any) -> Fault:
    keys = ", ".join(fields_of(kind))
    return fault((), document, f"must be a {kind.__name__}", f"Write key: value pairs; the keys are {keys}.")


def _field_fault(kind: type[Kind], details: ErrorDetails, document: Any) -> Found | None:
    """One of pydantic's errors in our words; None for an echo of others."""
    root, location, error = Shape("object", model=kind), details["loc"], details["type"]
    if error == RULE_ERROR:
        return None
    if location[-1] == "[key]" and shape_at(root, location[:-2]).kind == "map":
        return location[:-1], wrong_name(location[:-1], shape_at(root, location[:-2]))
    holder = shape_at(root, location[:-1])
    fields = fields_of(holder.model) if holder.model is not None else {}
    if error == "extra_forbidden":
        return location, unknown_key(location, _value(document, location), list(fields), kind)
    if error == "missing" and fields:
        return location, missing(location, fields[str(location[-1])])
    if error == "missing":
        location = location[:-1]  # an item of a list of fixed length: the list is at fault
    value, shape = _value(document, location), shape_at(root, location)
    if error == "too_short" and isinstance(value, list) and len(value) >= shape.bounds.get("min_length", 0):
        return None  # pydantic counts the valid items, and the others have faults of their own
    field = fields.get(str(location[-1]))
    return location, wrong_value(location, value, shape, optional=field is not None and not field.required)


def _rule_faults(
    model: type[Spec], value: Any, location: Location, broken: frozenset[Location]
) -> Iterator[Found]:
    """Faults of the rules of this object and of all objects in it."""
    if not isinstance(value, dict) or location in broken:
        return
    subject = _built(model, value, location, broken)
    for rule in model.rules:
        reads = [(*location, *_keys(model, name)) for name in rule.fields]
        if any(_concerns(place, broken) for place in reads) or rule.holds(subject):
            continue
        place = (*location, *rule.at.split(".")) if rule.at else location
        written = _value(value, place[len(location) :])
        stated = rule.stated(subject)
        if written is None:
            yield place, bare_fault(place, stated, rule.remedy)
        else:
            yield place, fault(place, written, stated, rule.remedy)
    for key, field in fields_of(model).items():
        child, below = value.get(key), (*location, key)
        if field.shape.model is not None:
            yield from _rule_faults(field.shape.model, child, below, broken)
        elif field.shape.items is not None and field.shape.items.model is not None:
            for number, item in enumerate(child if isinstance(child, list) else ()):
                yield from _rule_faults(field.shape.items.model, item, (*below, number), broken)


def _concerns(place: Location, broken: frozenset[Location]) -> bool:
    """Whether something at, below or above this place is at fault."""
    return any(place[: len(one)] == one or one[: len(place)] == place for one in broken)


def _keys(model: type[Spec], path: str) -> Location:
    """A path of Python names in the job file's spelling."""
    keys: list[str | int] = []
    fields = fields_of(model)
    for name in path.split("."):
        field = next(field for field in fields.values() if field.name == name)
        keys.append(field.key)
        fields = fields_of(field.shape.model) if field.shape.model is not None else {}
    return tuple(keys)


def _built(model: type[Spec], value: dict[str, Any], location: Location, broken: frozenset[Location]) -> Spec:
    """The object as far as it is in order: fields at fault are left out, rules are not checked."""
    given = {}
    for key, field in fields_of(model).items():
        place = (*location, key)
        if key in value and place not in broken:
            given[field.name] = _converted(field.shape, value[key], place, broken)
    return model.model_construct(**given)


def _converted(shape: Shape, value: Any, location: Location, broken: frozenset[Location]) -> Any:
    if shape.model is not None and isinstance(value, dict):
        return _built(shape.model, value, location, broken)
    if isinstance(value, list) and shape.items is not None:
        return tuple(_converted(shape.items, v, (*location, n), broken) for n, v in enumerate(value))
    return value


def _value(document: Any, location: Location) -> Any:
    """What is at a location, or None."""
    for part in location:
        if isinstance(document, dict):
            document = document.get(part)
        elif isinstance(document, list) and isinstance(part, int) and part < len(document):
            document = document[part]
        else:
            return None
    return document


def _locations(value: Any, location: Location = ()) -> Iterator[Location]:
    """Every location of a document, in its order."""
    yield location
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _locations(inner, (*location, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _locations(inner, (*location, number))


def _position(location: Location, order: Mapping[Location, int]) -> tuple[int, int]:
    """Where a fault stands among others: at its value, or else at the nearest object around it."""
    for end in range(len(location), -1, -1):
        if location[:end] in order:
            return order[location[:end]], len(location) - end
    return 0, len(location)


def _line(location: Location, lines: Lines) -> int | None:
    for end in range(len(location), -1, -1):
        if location[:end] in lines:
            return lines[location[:end]]
    return None
