"""A kind as a CustomResourceDefinition (apiextensions.k8s.io/v1), made from its models.

Fails closed: what a structural schema cannot say is an error here, when the files are made. Sources: the Kubernetes
documentation on structural schemas and validation rules, and the API conventions (no defaults: the one who runs the object
resolves them).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from raygen.spec.schema.base import MAX_INT, Kind, Rule, Spec
from raygen.spec.schema.fields import FieldShape, Shape, fields_of

MAX_BYTES = 200 * 1024


class SchemaError(Exception):
    """A model says something that a structural schema cannot."""


@dataclass(frozen=True)
class Column:
    """A column of `kubectl get`.

    Attributes:
        title: Its title.
        type: Type of its values, as OpenAPI names it.
        path: JSONPath of its values.
        priority: 0 is always shown, 1 with `-o wide`.
    """

    title: str
    type: Literal["boolean", "date", "integer", "number", "string"]
    path: str
    priority: int = 0


@dataclass(frozen=True)
class CustomResource:
    """A kind as the API server serves it: its models, and what they leave open.

    Attributes:
        kind: The kind's class.
        plural: Its name in addresses.
        short: Its short name for `kubectl`.
        scope: Whether its objects belong to a namespace.
        columns: Columns of `kubectl get`.
        status: Class of its status, a subresource; None without one.
        may_change: Whether the value at a path (spec.a.b) may change while the object lives; None where all may.
        cannot_change: What is said to somebody who changes another one: why not, and what to do.
        spec_rules: Further validation rules of `spec`.
        rules: Validation rules of the whole object.
    """

    kind: type[Kind]
    plural: str
    short: str
    scope: Literal["Cluster", "Namespaced"]
    columns: tuple[Column, ...] = ()
    status: type[Spec] | None = None
    may_change: Callable[[str], bool] | None = None
    cannot_change: str = "cannot change. Make another object."
    spec_rules: tuple[dict[str, str], ...] = ()
    rules: tuple[dict[str, str], ...] = ()


def definition(resource: CustomResource, group: str, version: str) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind.

    Args:
        resource: The kind, and what its models leave open.
        group: Its API group.
        version: Its one version, which is served and stored.

    Raises:
        SchemaError: the models say something that a structural schema cannot.
    """
    name = resource.kind.__name__
    served: dict[str, Any] = {
        "name": version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _schema(resource)},
        "additionalPrinterColumns": [
            {"name": column.title, "type": column.type, "jsonPath": column.path}
            | ({"priority": column.priority} if column.priority else {})
            for column in resource.columns
        ],
    }
    if resource.status is not None:
        served["subresources"] = {"status": {}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{group}"},
        "spec": {
            "group": group,
            "names": {
                "kind": name,
                "listKind": f"{name}List",
                "plural": resource.plural,
                "singular": name.lower(),
                "shortNames": [resource.short],
                "categories": ["raygen"],
            },
            "scope": resource.scope,
            "versions": [served],
        },
    }


def _schema(resource: CustomResource) -> dict[str, Any]:
    """The schema of a kind with its status, and the rules on what may change."""
    schema = _kind(resource.kind)
    spec, model = schema["properties"]["spec"], fields_of(resource.kind)["spec"].shape.model
    if resource.may_change is not None and model is not None:
        _freeze(resource.may_change, resource.cannot_change, spec, model, "spec")
    if resource.spec_rules:
        spec.setdefault("x-kubernetes-validations", []).extend(resource.spec_rules)
    if resource.status is not None:
        schema["properties"]["status"] = _value(Shape("object", model=resource.status), "status")
    if resource.rules:
        schema["x-kubernetes-validations"] = list(resource.rules)
    return schema


def _kind(kind: type[Kind]) -> dict[str, Any]:
    """The schema of a kind, of whose metadata only the name may be restricted."""
    fields = fields_of(kind)
    metadata = fields["metadata"].shape.model
    if metadata is None:
        raise SchemaError(f"{kind.__name__} has no metadata")
    name = _value(fields_of(metadata)["name"].shape, "metadata.name")
    return {
        "description": _text(kind),
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object", "properties": {"name": name}},
            "spec": _property(fields["spec"], "spec"),
        },
    }


def _property(field: FieldShape, path: str) -> dict[str, Any]:
    if not field.description:
        raise SchemaError(f"{path}: has no description")
    return {"description": field.description} | _value(field.shape, path)


def _value(shape: Shape, path: str) -> dict[str, Any]:
    makers = {
        "any": _any,
        "choice": _choice,
        "list": _list,
        "map": _map,
        "number": _number,
        "object": _object,
        "text": _string,
        "truth": _boolean,
        "whole": _integer,
    }
    if shape.kind not in makers:
        raise SchemaError(f"{path}: a structural schema has no {shape.kind}")
    # None is nullable: the API server leaves out what is null.
    return makers[shape.kind](shape, path)


def _object(shape: Shape, path: str) -> dict[str, Any]:
    model = shape.model
    if model is None:
        raise SchemaError(f"{path}: an object without a model")
    fields = fields_of(model)
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {key: _property(field, f"{path}.{key}") for key, field in fields.items()},
    }
    required = [key for key, field in fields.items() if field.required]
    unseen = re.compile(
        "|".join(rf"\bself\.{key}\b" for key, one in fields.items() if not _is_seen(one.shape)) or "$^"
    )
    untold = [rule for rule in model.rules if unseen.search(rule.cel)]
    rules = [_rule(rule, path) for rule in model.rules if rule not in untold]
    shapes = [_structural(rule, path) for rule in untold]
    return (
        schema
        | ({"required": required} if required else {})
        | ({"allOf": shapes} if shapes else {})
        | ({"x-kubernetes-validations": rules} if rules else {})
    )


def _is_seen(shape: Shape) -> bool:
    """Whether CEL knows of a field: of one without a type, or whose items have none, it does not."""
    return shape.kind != "any" and (shape.items is None or _is_seen(shape.items))


def _structural(rule: Rule, path: str) -> dict[str, Any]:
    if rule.structural is None:
        raise SchemaError(f"{path}: a rule over a field that CEL does not know: {rule.rule}")
    return dict(rule.structural)


def _rule(rule: Rule, path: str) -> dict[str, Any]:
    if not rule.cel:
        raise SchemaError(f"{path}: a rule without CEL: {rule.rule}")
    said = {"rule": rule.cel, "message": f"{rule.message}. {rule.remedy}"}
    return said | ({"fieldPath": f".{rule.at}"} if rule.at else {})


def _list(shape: Shape, path: str) -> dict[str, Any]:
    if shape.items is None or "max_length" not in shape.bounds:
        raise SchemaError(f"{path}: a list needs items and a greatest length")
    items = _value(shape.items, f"{path}[]")
    sizes = {"maxItems": shape.bounds["max_length"]}
    if shape.bounds.get("min_length"):
        sizes["minItems"] = shape.bounds["min_length"]
    key = shape.items.model.list_key if shape.items.model is not None else None
    kind: dict[str, Any] = {"x-kubernetes-list-type": "atomic"}
    if key is not None:
        if key not in items["required"]:
            raise SchemaError(f"{path}: {key} must be required to be a key")
        kind = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}
    return {"type": "array", "items": items, **sizes, **kind}


def _map(shape: Shape, path: str) -> dict[str, Any]:
    keys = shape.keys
    if shape.items is None or keys is None or "max_length" not in shape.bounds:
        raise SchemaError(f"{path}: a map needs keys, items and a greatest length")
    low, high = keys.bounds.get("min_length", 0), keys.bounds.get("max_length")
    pattern = keys.bounds.get("pattern")
    if high is None or pattern is None:
        raise SchemaError(f"{path}: the keys of a map need a pattern and a greatest length")
    escaped = pattern.replace("\\", "\\\\").replace("'", "\\'")
    schema = {
        "type": "object",
        "additionalProperties": _value(shape.items, f"{path}{{}}"),
        "maxProperties": shape.bounds["max_length"],
    }
    if not _is_seen(shape):
        # Nor do keys have a rule then; whoever reads the object checks them.
        return schema
    return schema | {
        "x-kubernetes-validations": [
            {
                "rule": f"self.all(k, k.size() >= {low} && k.size() <= {high} && k.matches('{escaped}'))",
                "message": f"must have keys that are {keys.words.removeprefix('text ')}. Rename the others.",
            }
        ],
    }


def _choice(shape: Shape, path: str) -> dict[str, Any]:
    if not all(isinstance(choice, str) for choice in shape.choices):
        raise SchemaError(f"{path}: choices must be text")
    return {"type": "string", "enum": list(shape.choices)}


def _string(shape: Shape, path: str) -> dict[str, Any]:
    if "max_length" not in shape.bounds:
        raise SchemaError(f"{path}: text needs a greatest length")
    names = {"min_length": "minLength", "max_length": "maxLength", "pattern": "pattern"}
    return {"type": "string"} | {names[name]: bound for name, bound in shape.bounds.items()}


def _any(shape: Shape, path: str) -> dict[str, Any]:
    del shape, path
    return {"x-kubernetes-preserve-unknown-fields": True}


def _boolean(shape: Shape, path: str) -> dict[str, Any]:
    del shape, path
    return {"type": "boolean"}


def _integer(shape: Shape, path: str) -> dict[str, Any]:
    low = shape.bounds["ge"] if "ge" in shape.bounds else shape.bounds.get("gt", -MAX_INT - 1) + 1
    high = shape.bounds["le"] if "le" in shape.bounds else shape.bounds.get("lt", MAX_INT + 1) - 1
    if not -MAX_INT <= low <= high <= MAX_INT or not {"le", "lt"} & set(shape.bounds):
        raise SchemaError(f"{path}: a whole number needs bounds within 2**53")
    return {"type": "integer", "format": "int64", "minimum": low, "maximum": high}


def _number(shape: Shape, path: str) -> dict[str, Any]:
    names = {
        "ge": ("minimum", False),
        "gt": ("minimum", True),
        "le": ("maximum", False),
        "lt": ("maximum", True),
    }
    del path
    schema: dict[str, Any] = {"type": "number"}
    for name, bound in shape.bounds.items():
        keyword, exclusive = names[name]
        schema[keyword] = bound
        if exclusive:
            schema[f"exclusive{keyword.capitalize()}"] = True
    return schema


def _freeze(
    may_change: Callable[[str], bool], message: str, schema: dict[str, Any], model: type[Spec], path: str
) -> None:
    """Adds the rules that what may not change stays as it is."""
    rules = []
    for key, field in fields_of(model).items():
        place = f"{path}.{key}"
        if may_change(place):
            continue
        if any(may_change(inner) for inner in _paths(field.shape, place)):
            if not field.required or field.shape.model is None:
                raise SchemaError(f"{place}: parts of it may change, so it must be a required object")
            _freeze(may_change, message, schema["properties"][key], field.shape.model, place)
            continue
        same = f"self.{key} == oldSelf.{key}"
        if not field.required:
            same = f"has(self.{key}) == has(oldSelf.{key}) && (!has(self.{key}) || {same})"
        rules.append(
            {
                "rule": same,
                "message": message,
                "fieldPath": f".{key}",
                "reason": "FieldValueForbidden",
            }
        )
    if rules:
        schema.setdefault("x-kubernetes-validations", []).extend(rules)


def _paths(shape: Shape, path: str) -> Iterator[str]:
    """The paths of everything below an object."""
    if shape.model is not None:
        for key, field in fields_of(shape.model).items():
            yield f"{path}.{key}"
            yield from _paths(field.shape, f"{path}.{key}")


def _text(kind: type[Spec]) -> str:
    return " ".join((kind.__doc__ or "").split())
