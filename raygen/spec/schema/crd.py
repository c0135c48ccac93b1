"""The kinds as CustomResourceDefinitions (apiextensions.k8s.io/v1), made from the models.

Fails closed: what a structural schema cannot say is an error here, when the files are made. Sources: the Kubernetes
documentation on structural schemas and validation rules, and the API conventions (no defaults: the first attempt
resolves them).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from raygen.spec.job.defaults import may_change
from raygen.spec.job.evaluation import Metric
from raygen.spec.job.guards import Guard
from raygen.spec.job.training_job import API_VERSION, TrainingJob, TrainingJobSpec
from raygen.spec.runtime import RaygenRuntime
from raygen.spec.schema.base import MAX_INT, Rule, Spec
from raygen.spec.schema.fields import FieldShape, Shape, fields_of
from raygen.spec.status import Attempt, Condition, Measurement, TrainingJobStatus

GROUP, VERSION = API_VERSION.split("/")
MAX_BYTES = 200 * 1024
LIST_KEYS: dict[type[Spec], str] = {
    Attempt: "number",
    Condition: "type",
    Guard: "type",
    Measurement: "name",
    Metric: "name",
}
"""Objects that lists hold once for each value of a field."""
FROZEN = ("spec.output",)
"""What a run could have elsewhere in its next attempt, but an object cannot: the run would not be the same one."""

_WHILE_SUSPENDED = {
    "rule": "(has(oldSelf.suspend) && oldSelf.suspend)"
    " || (self.data.train.sources == oldSelf.data.train.sources"
    " && has(self.data.validation) == has(oldSelf.data.validation)"
    " && (!has(self.data.validation) || self.data.validation == oldSelf.data.validation))",
    "message": "sources and validation can change while the job is suspended, and then to the same data at another place:"
    " an attempt that finds other data ends the job. Suspend it first (raygen stop).",
    "fieldPath": ".data",
    "reason": "FieldValueForbidden",
}
"""What a typing error must not take from a job that trains."""
_WHILE_IT_LASTS = {
    "rule": "!has(oldSelf.status) || !has(oldSelf.status.completionTime) || self.spec == oldSelf.spec"
    " || has(self.spec.suspend) != has(oldSelf.spec.suspend)"
    " || (has(self.spec.suspend) && self.spec.suspend != oldSelf.spec.suspend)"
    " || has(self.spec.ttlSecondsAfterFinished) != has(oldSelf.spec.ttlSecondsAfterFinished)"
    " || (has(self.spec.ttlSecondsAfterFinished)"
    " && self.spec.ttlSecondsAfterFinished != oldSelf.spec.ttlSecondsAfterFinished)",
    "message": "cannot change, since the job has ended. Delete it, and apply it again: it goes on from its newest checkpoint.",
    "fieldPath": ".spec",
    "reason": "FieldValueForbidden",
}
"""A change of a job that has ended would look as if it did something."""

_SUMMARY = '.status.conditions[?(@.type=="Succeeded")]'
_JOB_COLUMNS = (
    ("Status", "string", f"{_SUMMARY}.reason", 0),
    ("Step", "integer", ".status.progress.step", 0),
    ("Loss", "number", ".status.progress.loss", 0),
    ("Throughput", "number", ".status.progress.throughput", 0),
    ("ETA", "string", ".status.progress.eta", 0),
    ("Attempts", "integer", ".status.attemptCount", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Steps", "integer", ".status.progress.steps", 1),
    ("Goodput", "number", ".status.progress.goodput", 1),
    ("Checkpoint", "integer", ".status.progress.checkpoint", 1),
    ("Reported", "date", ".status.progress.time", 1),
    ("Workers", "integer", ".spec.scale.workers", 1),
    ("Queue", "string", ".spec.scheduling.queueName", 1),
    ("Runtime", "string", ".spec.runtimeRef.name", 1),
    ("Run", "string", ".status.run", 1),
    ("Message", "string", f"{_SUMMARY}.message", 1),
)
_RUNTIME_COLUMNS = (
    ("Image", "string", ".spec.image", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Namespaces", "string", ".spec.allowedNamespaces", 1),
    ("CustomCode", "boolean", ".spec.allowCustomCode", 1),
)


class SchemaError(Exception):
    """A model says something that a structural schema cannot."""


def definitions() -> dict[str, dict[str, Any]]:
    """Every CustomResourceDefinition by its name."""
    job = _kind(TrainingJob)
    spec = job["properties"]["spec"]
    _freeze(spec, TrainingJobSpec, "spec")
    spec["x-kubernetes-validations"].append(_WHILE_SUSPENDED)
    job["properties"]["status"] = _value(Shape("object", model=TrainingJobStatus), "status")
    job["x-kubernetes-validations"] = [_WHILE_IT_LASTS]
    found = (
        _definition(TrainingJob, "trainingjobs", "rtj", "Namespaced", job, _JOB_COLUMNS),
        _definition(
            RaygenRuntime, "raygenruntimes", "rrt", "Cluster", _kind(RaygenRuntime), _RUNTIME_COLUMNS
        ),
    )
    return {one["metadata"]["name"]: one for one in found}


def _definition(
    kind: type[Spec],
    plural: str,
    short: str,
    scope: str,
    schema: dict[str, Any],
    columns: tuple[tuple[str, str, str, int], ...],
) -> dict[str, Any]:
    name = kind.__name__
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "additionalPrinterColumns": [
            {"name": title, "type": kind, "jsonPath": path} | ({"priority": priority} if priority else {})
            for title, kind, path, priority in columns
        ],
    }
    if "status" in schema["properties"]:
        version["subresources"] = {"status": {}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": name,
                "listKind": f"{name}List",
                "plural": plural,
                "singular": name.lower(),
                "shortNames": [short],
                "categories": ["raygen"],
            },
            "scope": scope,
            "versions": [version],
        },
    }


def _kind(kind: type[Spec]) -> dict[str, Any]:
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
    rules = [_rule(rule, path) for rule in model.rules]
    return (
        schema
        | ({"required": required} if required else {})
        | ({"x-kubernetes-validations": rules} if rules else {})
    )


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
    key = LIST_KEYS.get(shape.items.model) if shape.items.model is not None else None
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
    return {
        "type": "object",
        "additionalProperties": _value(shape.items, f"{path}{{}}"),
        "maxProperties": shape.bounds["max_length"],
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


def _freeze(schema: dict[str, Any], model: type[Spec], path: str) -> None:
    """Adds the rules that what no later attempt of a run may change stays as it is."""
    rules = []
    for key, field in fields_of(model).items():
        place = f"{path}.{key}"
        if place not in FROZEN and may_change(place):
            continue
        if place not in FROZEN and any(may_change(inner) for inner in _paths(field.shape, place)):
            if not field.required or field.shape.model is None:
                raise SchemaError(f"{place}: parts of it may change, so it must be a required object")
            _freeze(schema["properties"][key], field.shape.model, place)
            continue
        same = f"self.{key} == oldSelf.{key}"
        if not field.required:
            same = f"has(self.{key}) == has(oldSelf.{key}) && (!has(self.{key}) || {same})"
        rules.append(
            {
                "rule": same,
                "message": "cannot change, since a run goes on with what it began with."
                " Make another TrainingJob, with another name and output.run.",
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
