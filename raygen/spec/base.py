"""What every object of a job file shares: strict parsing, field metadata, cross-field rules.

A field's description ends with its unit where it has one. Cross-field rules are data (`Rule`), not
code inside validators, so that the same rule can be checked here and be written as CEL in a CRD.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

RULE_ERROR = "raygen_rule"


@dataclass(frozen=True)
class Rule:
    """A condition over several fields of one object.

    Args:
        fields: Python names of the fields that are read; the rule is checked once they are all valid.
        at: Path of the value at fault below the object, in the job file's spelling; "" is the object.
        holds: The condition, given the object.
        rule: What must be true, as a sentence without a subject ("must ...").
        remedy: What to do about it.
        cel: The same condition in the Common Expression Language, over `self`.
    """

    fields: tuple[str, ...]
    at: str
    holds: Callable[[Any], bool]
    rule: str
    remedy: str
    cel: str


class Spec(BaseModel):
    """Base of all objects in a job file: frozen, strict, lowerCamelCase, unknown keys refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )
    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        for rule in self.rules:
            if not rule.holds(self):
                raise PydanticCustomError(RULE_ERROR, "{rule}", {"rule": rule.rule})
        return self


class Tagged(Spec):
    """A flat union: `type` chooses, and each optional field names the types that it belongs to.

    Subclasses fill `belongs`: Python field name -> types. A field that the chosen type does not have is
    a fault; one that is left out gets the type's default when the job is resolved.
    """

    belongs: ClassVar[dict[str, tuple[str, ...]]] = {}

    @classmethod
    def foreign_rules(cls) -> tuple[Rule, ...]:
        """One rule per field of `belongs`: it may be given only with a type that has it."""
        return tuple(_foreign_rule(name, types) for name, types in cls.belongs.items())


def _foreign_rule(name: str, types: tuple[str, ...]) -> Rule:
    alias = to_camel(name)
    listed = ", ".join(types)
    quoted = ", ".join(f"'{t}'" for t in types)
    return Rule(
        fields=("type", name),
        at=alias,
        holds=lambda self: getattr(self, name) is None or self.type in types,
        rule=f"belongs to type {listed}",
        remedy=f"Remove {alias}, or choose one of these types: {listed}.",
        cel=f"!has(self.{alias}) || self.type in [{quoted}]",
    )


def exactly_one(names: Iterable[str], at: str = "") -> Rule:
    """Exactly one of these fields must be given."""
    names = tuple(names)
    aliases = [to_camel(name) for name in names]
    listed = ", ".join(aliases)
    return Rule(
        fields=names,
        at=at,
        holds=lambda self: sum(getattr(self, name) is not None for name in names) == 1,
        rule=f"must have exactly one of {listed}",
        remedy=f"Give one of {listed} and remove the others.",
        cel="[" + ", ".join(f"has(self.{alias})" for alias in aliases) + "].filter(given, given).size() == 1",
    )


MAX_INT = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly."""

Count = Annotated[int, Field(ge=1, le=MAX_INT)]
Index = Annotated[int, Field(ge=0, le=MAX_INT)]
Positive = Annotated[float, Field(gt=0, le=1e12)]
NonNegative = Annotated[float, Field(ge=0, le=1e12)]
Probability = Annotated[float, Field(ge=0, lt=1)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Name = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
"""A DNS label of at most 40 characters, so that names derived from it stay within 63."""
MetricName = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-zA-Z][a-zA-Z0-9_]*$")]
Uri = Annotated[str, Field(min_length=1, max_length=1024)]
Text = Annotated[str, Field(max_length=4096)]
