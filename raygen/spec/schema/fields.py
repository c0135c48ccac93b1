"""The fields of the models as data: what each may hold, in words and in numbers.

Messages, the JSON Schema, the reference and `--set` all read this one description.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from raygen.spec.schema.base import PATTERNS, Spec

ValueKind = Literal["object", "map", "list", "choice", "text", "whole", "number", "truth", "any"]

_SCALARS: dict[Any, ValueKind] = {str: "text", int: "whole", float: "number", bool: "truth", Any: "any"}


@dataclass(frozen=True)
class Shape:
    """What a value may be.

    Attributes:
        kind: Its kind.
        nullable: Whether null stands for leaving it out.
        model: Class of an object.
        items: What a list or a map holds.
        keys: What the keys of a map are.
        choices: Words of a choice.
        bounds: Some of ge, gt, le, lt (numbers), min_length, max_length (texts, lists, maps), pattern.
    """

    kind: ValueKind
    nullable: bool = False
    model: type[Spec] | None = None
    items: Shape | None = None
    keys: Shape | None = None
    choices: tuple[str, ...] = ()
    bounds: Mapping[str, Any] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """What a value must be, to follow "must be"."""
        if self.kind == "choice":
            return self.choices[0] if len(self.choices) == 1 else "one of " + ", ".join(self.choices)
        if self.kind in ("whole", "number"):
            return ("a whole number" if self.kind == "whole" else "a number") + self._range()
        if self.kind == "text":
            return "text" + self._length("character") + self._pattern()
        if self.kind == "truth":
            return "true or false"
        if self.kind == "list":
            return "a list" + self._length("item")
        if self.kind == "any":
            return "a value"
        if self.kind == "map" and self.items is not None and self.items.kind == "any":
            return "a map of names to values" + self._length("name")
        return "a group of keys" if self.kind == "object" else "a map of names to text" + self._length("name")

    def _range(self) -> str:
        low, high = _number(self.bounds.get("ge")), _number(self.bounds.get("le"))
        if low and high:
            return f" from {low} to {high}"
        above, below = _number(self.bounds.get("gt")), _number(self.bounds.get("lt"))
        limits = (("of at least", low), ("above", above), ("up to", high), ("below", below))
        stated = [f"{words} {limit}" for words, limit in limits if limit]
        return " " + " and ".join(stated) if stated else ""

    def _length(self, unit: str) -> str:
        low, high = self.bounds.get("min_length"), self.bounds.get("max_length")
        if low is not None and low == high:
            return f" of {low} {unit}s"
        if low is not None and high is not None:
            return f" of {low} to {high} {unit}s"
        return f" of at most {high} {unit}s" if high is not None else ""

    def _pattern(self) -> str:
        pattern = self.bounds.get("pattern")
        return f": {PATTERNS[pattern]}" if pattern else ""


def _number(value: float | None) -> str:
    return "" if value is None else str(int(value)) if value == int(value) and value < 2**63 else str(value)


@dataclass(frozen=True)
class FieldShape:
    """A field of an object.

    Attributes:
        name: Its name in Python.
        key: Its key in a job file.
        shape: What it may hold.
        required: Whether it must be given.
        default: Its value when it is left out, as JSON; None where there is none, or it depends.
        description: What it is.
    """

    name: str
    key: str
    shape: Shape
    required: bool
    default: Any
    description: str

    @property
    def summary(self) -> str:
        """The first sentence of the description."""
        return self.description.split(". ")[0].rstrip(".") + "."


@cache
def fields_of(model: type[Spec]) -> dict[str, FieldShape]:
    """The fields of a class by their key, in order."""
    found = (_field(name, info) for name, info in model.model_fields.items())
    return {shape.key: shape for shape in found}


def shape_at(root: Shape, location: Iterable[str | int]) -> Shape:
    """What may be at a location below a value.

    Raises:
        LookupError: nothing may be there.
    """
    shape: Shape | None = root
    for part in location:
        if shape is not None and shape.model is not None:
            shape = fields_of(shape.model)[str(part)].shape
        elif shape is not None:
            shape = shape.items
    if shape is None:
        raise LookupError("a text, number or truth value holds nothing")
    return shape


def shape_of(annotation: Any, metadata: tuple[Any, ...] = ()) -> Shape:
    """The shape that a type annotation of a model describes."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return shape_of(inner[0], (*metadata, *inner[1:]))
    if origin in (Union, UnionType):
        (some,) = (member for member in inner if member is not NoneType)
        return replace(shape_of(some, metadata), nullable=True)
    bounds = _bounds(metadata)
    if origin is Literal:
        return Shape("choice", choices=inner)
    if origin is dict:
        return Shape("map", keys=shape_of(inner[0]), items=shape_of(inner[1]), bounds=bounds)
    if origin is tuple:
        if inner[-1] is not Ellipsis:
            bounds = {"min_length": len(inner), "max_length": len(inner)}
        return Shape("list", items=shape_of(inner[0]), bounds=bounds)
    if annotation is not Any and issubclass(annotation, Spec):
        return Shape("object", model=annotation)
    return Shape(_SCALARS[annotation], bounds=bounds)


def _field(name: str, info: FieldInfo) -> FieldShape:
    shape = shape_of(info.annotation, tuple(info.metadata))
    default = None if info.is_required() else _as_json(info.default)
    description = " ".join((info.description or "").split())
    return FieldShape(name, info.alias or name, shape, info.is_required(), default, description)


def _as_json(default: Any) -> Any:
    if isinstance(default, Spec):
        return default.model_dump(mode="json", exclude_unset=True)
    return list(default) if isinstance(default, tuple) else default


def _bounds(metadata: Iterable[Any]) -> dict[str, Any]:
    """The constraints that pydantic keeps as small objects, each with the attributes that it sets."""
    names = ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern")
    flat = [one for some in metadata for one in (some.metadata if isinstance(some, FieldInfo) else [some])]
    return {n: getattr(one, n) for one in flat for n in names if getattr(one, n, None) is not None}
