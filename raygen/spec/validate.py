"""Checks a document against the models and their rules, and finds every fault at once.

Pydantic finds the faults of single values. Then the document and the model classes are walked side by
side, and each rule over several values is checked wherever the values it reads are themselves in order.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pydantic
from pydantic import TypeAdapter
from pydantic_core import ErrorDetails

from raygen.errors import ValidationError
from raygen.spec.base import RULE_ERROR, Spec
from raygen.spec.faults import Fault, shown, spelled
from raygen.spec.job import TrainingJob
from raygen.spec.messages import explain

Location = tuple[str | int, ...]

MAX_DEPTH = 64


def parse(document: Any, lines: Mapping[Location, int] | None = None, *, where: str = "") -> TrainingJob:
    """A job from the content of a job file.

    Args:
        document: JSON values, as a YAML or JSON reader gives them.
        lines: Line of each value in the file, by location.
        where: The file, for the message.

    Raises:
        ValidationError: holds every fault, in the order of the document.
    """
    faults = list(_unfit(document, ()))
    if not faults:
        try:
            return TrainingJob.model_validate_json(json.dumps(document), by_alias=True, by_name=False)
        except pydantic.ValidationError as error:
            faults = _field_faults(error, document)
        broken = [location for location, _ in faults]
        faults += _rule_faults(TrainingJob, document, (), broken)
    order = {location: number for number, location in enumerate(_locations(document, ()))}
    faults.sort(key=lambda item: (order.get(item[0], order.get(item[0][:-1], 0)), spelled(item[0])))
    found = [fault.at(_line(location, lines or {})) for location, fault in faults]
    raise ValidationError(list(dict.fromkeys(found)), where=where)


def check(job: TrainingJob) -> TrainingJob:
    """A job made in Python, checked as a file would be.

    Raises:
        ValidationError: holds every fault.
    """
    return parse(job.model_dump(mode="json", exclude_none=True))


def _unfit(value: Any, location: Location) -> Iterator[tuple[Location, Fault]]:
    """What JSON cannot say, which no job file may hold."""
    if len(location) > MAX_DEPTH:
        yield (
            location,
            Fault(spelled(location[:4]) + "...", "", "is nested too deeply", "Remove the nesting."),
        )
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                yield (
                    location,
                    Fault(
                        spelled(location), shown(key), "is a key that is no string", "Put the key in quotes."
                    ),
                )
            else:
                yield from _unfit(inner, (*location, key))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _unfit(inner, (*location, number))
    elif isinstance(value, float) and not math.isfinite(value):
        yield (
            location,
            Fault(spelled(location), str(value), "must be a finite number", "Give a finite number."),
        )
    elif isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value):
        yield (
            location,
            Fault(spelled(location), shown(value), "must be Unicode text", "Remove the lone surrogate."),
        )
    elif isinstance(value, int) and abs(value) >= 2**64:
        yield location, Fault(spelled(location), shown(value), "is too large", "Give a smaller number.")
    elif not isinstance(value, str | int | float | bool | None):
        kind = type(value).__name__
        yield location, Fault(spelled(location), kind, "must be a JSON value", "Give text or a number.")


def _field_faults(error: pydantic.ValidationError, document: Any) -> list[tuple[Location, Fault]]:
    faults = []
    for found in error.errors(include_url=False):
        if found["type"] == RULE_ERROR:
            continue
        location = _present(found["loc"], document)
        if found["type"] == "too_short" and _is_long_enough(found, _value(document, location)):
            continue  # pydantic counts the items that were valid, and the others have faults of their own
        siblings = _siblings(location)
        faults.append((location, explain(found, location, _value(document, location), siblings)))
    return faults


def _is_long_enough(found: ErrorDetails, value: Any) -> bool:
    return isinstance(value, list) and len(value) >= found["ctx"]["min_length"]


def _present(location: Location, document: Any) -> Location:
    """The location without the names that pydantic adds for the members of unions."""
    kept: list[str | int] = []
    value = document
    for number, part in enumerate(location):
        last = number == len(location) - 1
        if isinstance(value, Mapping) and (part in value or last):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        elif not last or isinstance(value, list):
            continue
        elif isinstance(value, Mapping):
            value = None
        else:
            continue
        kept.append(part)
    return tuple(kept)


def _value(document: Any, location: Location) -> Any:
    for part in location:
        if isinstance(document, Mapping):
            document = document.get(part)
        elif isinstance(document, list) and isinstance(part, int) and part < len(document):
            document = document[part]
    return document


def _rule_faults(
    model: type[Spec], value: Any, location: Location, broken: list[Location]
) -> Iterator[tuple[Location, Fault]]:
    if not isinstance(value, Mapping):
        return
    for rule in model.rules:
        names = {name: alias_of(model, name) for name in rule.fields}
        if any(_touches((*location, alias), broken) for alias in names.values()):
            continue
        given = {name: _built(model, name, value[alias]) for name, alias in names.items() if alias in value}
        if not _is_complete(model, rule.fields, given) or rule.holds(model.model_construct(**given)):
            continue
        place = (*location, *rule.at.split(".")) if rule.at else location
        written = _value(value, tuple(rule.at.split("."))) if rule.at else None
        text = shown(written) if written is not None else ""
        yield place, Fault(spelled(place), text, rule.rule, rule.remedy)
    for name, field in model.model_fields.items():
        alias = alias_of(model, name)
        for inner in _models(field.annotation):
            child = value.get(alias)
            if isinstance(child, list):
                for number, item in enumerate(child):
                    yield from _rule_faults(inner, item, (*location, alias, number), broken)
            else:
                yield from _rule_faults(inner, child, (*location, alias), broken)


def _touches(location: Location, broken: list[Location]) -> bool:
    return any(fault[: len(location)] == location for fault in broken)


def _is_complete(model: type[Spec], fields: tuple[str, ...], given: Mapping[str, Any]) -> bool:
    return all(name in given or not model.model_fields[name].is_required() for name in fields)


def _built(model: type[Spec], name: str, value: Any) -> Any:
    """A field's value as the model would hold it, without the rules of the objects inside it."""
    field = model.model_fields[name]
    annotation: Any = field.annotation
    if field.metadata:
        annotation = Annotated[(annotation, *field.metadata)]
    inner = _models(field.annotation)
    if inner and isinstance(value, Mapping):
        return _construct(inner[0], value)
    if inner and isinstance(value, list):
        return tuple(_construct(inner[0], item) for item in value)
    return TypeAdapter(annotation).validate_json(json.dumps(value), strict=True)


def _construct(model: type[Spec], value: Mapping[str, Any]) -> Spec:
    names = {alias_of(model, name): name for name in model.model_fields}
    return model.model_construct(
        **{names[k]: _built(model, names[k], v) for k, v in value.items() if k in names}
    )


def alias_of(model: type[Spec], name: str) -> str:
    """A field's key in a job file."""
    return model.model_fields[name].alias or name


def _models(annotation: Any) -> list[type[Spec]]:
    """The model classes inside an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        return [annotation]
    if get_origin(annotation) in (Union, UnionType, tuple, Annotated):
        return [model for inner in get_args(annotation) for model in _models(inner)]
    return []


def model_at(location: Location) -> type[Spec] | None:
    """The model class that describes the object at a location."""
    model: type[Spec] | None = TrainingJob
    for part in location:
        if isinstance(part, int):
            continue
        if model is None:
            return None
        names = {alias_of(model, name): name for name in model.model_fields}
        found = _models(model.model_fields[names[part]].annotation) if part in names else []
        model = found[0] if found else None
    return model


def _siblings(location: Location) -> dict[str, str]:
    """The keys that may stand where this key stands, each with the first sentence of its description."""
    model = model_at(location[:-1]) if location else None
    if model is None:
        return {}
    return {
        alias_of(model, name): (field.description or "").split(". ")[0].rstrip(".")
        for name, field in model.model_fields.items()
    }


def _locations(value: Any, location: Location) -> Iterator[Location]:
    yield location
    if len(location) > MAX_DEPTH:
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _locations(inner, (*location, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _locations(inner, (*location, number))


def _line(location: Location, lines: Mapping[Location, int]) -> int | None:
    for end in range(len(location), -1, -1):
        if location[:end] in lines:
            return lines[location[:end]]
    return None
