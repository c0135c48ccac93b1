"""The kinds as JSON Schemas (draft 2020-12), for editors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from raygen.spec.schema.base import ExactlyOne, Spec, Tagged
from raygen.spec.schema.fields import FieldShape, Shape, fields_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_UNIT = re.compile(r", in ([^.,;()]+)[.,;]")
_TYPES = {"text": "string", "whole": "integer", "number": "number", "truth": "boolean"}
_BOUNDS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "pattern": "pattern",
}
_SIZES = {
    "text": ("minLength", "maxLength"),
    "list": ("minItems", "maxItems"),
    "map": ("minProperties", "maxProperties"),
}


def json_schema(kind: type[Spec]) -> dict[str, Any]:
    """The schema of a kind. What only rules over distant fields can say is not in it."""
    definitions = {model.__name__: _object(model) for model in objects(kind)}
    return {"$schema": DIALECT, "title": kind.__name__} | _object(kind) | {"$defs": definitions}


def objects(model: type[Spec]) -> Iterator[type[Spec]]:
    """The classes of all objects inside one, in the order of the format; some more than once."""
    for field in fields_of(model).values():
        inner = field.shape.model or (field.shape.items.model if field.shape.items is not None else None)
        if inner is not None:
            yield inner
            yield from objects(inner)


def unit_of(field: FieldShape) -> str | None:
    """The unit that a number's description names: "..., in tokens."."""
    match = _UNIT.search(field.description)
    measured = field.shape.kind in ("whole", "number", "text")
    return match[1] if match is not None and measured else None


def _object(model: type[Spec]) -> dict[str, Any]:
    fields = fields_of(model)
    schema: dict[str, Any] = {
        "type": "object",
        "description": " ".join((model.__doc__ or "").split()),
        "properties": {key: _property(field) for key, field in fields.items()},
        "required": [key for key, field in fields.items() if field.required],
        "additionalProperties": False,
    }
    conditions = [*_exclusions(model), *_alternatives(model), *_blocks(fields)]
    return schema | ({"allOf": conditions} if conditions else {})


def _property(field: FieldShape) -> dict[str, Any]:
    unit = unit_of(field)
    about: dict[str, Any] = {"title": field.key, "description": field.description}
    if unit is not None:
        about["x-unit"] = unit
    if field.default is not None:
        about["default"] = field.default
    return about | _value(field.shape)


def _value(shape: Shape) -> dict[str, Any]:
    if shape.model is not None:
        reference = {"$ref": f"#/$defs/{shape.model.__name__}"}
        return {"anyOf": [reference, {"type": "null"}]} if shape.nullable else reference
    if shape.kind == "choice":
        return {"enum": [*shape.choices, *([None] if shape.nullable else [])]}
    if shape.kind == "any":
        return {}
    kind = {"list": "array", "map": "object"}.get(shape.kind) or _TYPES[shape.kind]
    schema: dict[str, Any] = {"type": [kind, "null"] if shape.nullable else kind}
    schema |= {_BOUNDS[name]: bound for name, bound in shape.bounds.items() if name in _BOUNDS}
    for name, keyword in zip(("min_length", "max_length"), _SIZES.get(shape.kind, ()), strict=False):
        if name in shape.bounds:
            schema[keyword] = shape.bounds[name]
    if shape.items is not None:
        schema["items" if shape.kind == "list" else "additionalProperties"] = _value(shape.items)
    if shape.keys is not None:
        schema["propertyNames"] = _value(shape.keys)
    return schema


def _exclusions(model: type[Spec]) -> Iterator[dict[str, Any]]:
    """A field of a flat union may be given only with a type that has it."""
    if not issubclass(model, Tagged):
        return
    keys = {field.name: key for key, field in fields_of(model).items()}
    for name, types in model.belongs.items():
        chosen = {"properties": {model.tag: {"enum": list(types)}}, "required": [model.tag]}
        yield {"if": chosen, "else": {"properties": {keys[name]: {"type": "null"}}}}


def _alternatives(model: type[Spec]) -> Iterator[dict[str, Any]]:
    """Exactly one of some fields is given, and what else rules say as a schema."""
    keys = {field.name: key for key, field in fields_of(model).items()}
    for rule in model.rules:
        if isinstance(rule, ExactlyOne):
            given = [keys[name] for name in rule.fields]
            yield {"oneOf": [{"required": [k], "properties": {k: {"not": {"type": "null"}}}} for k in given]}
        if rule.schema is not None:
            yield dict(rule.schema)


def _blocks(fields: dict[str, FieldShape]) -> Iterator[dict[str, Any]]:
    """A union of components has the block that its type names."""
    tag = fields.get("type")
    for choice in tag.shape.choices if tag is not None else ():
        block = choice[0].lower() + choice[1:]
        if block in fields:
            chosen = {"properties": {"type": {"const": choice}}, "required": ["type"]}
            there = {"required": [block], "properties": {block: {"type": "object"}}}
            yield {"if": chosen, "then": there}
