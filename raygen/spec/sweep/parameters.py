"""What a sweep varies: fields of its template, each with the values that it may take."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from raygen.spec.schema.base import Bound, ParameterPath, Rule, Spec, Tagged

Values = Annotated[tuple[Any, ...], Field(min_length=1, max_length=256)]


class Condition(Spec):
    """When a parameter takes part."""

    path: ParameterPath
    """Another parameter, of type Choice."""
    values: Values
    """Values of it."""


class Parameter(Tagged):
    """A field of the template, and the values that it may take."""

    path: ParameterPath
    """The field, as `--set` names it: training.optimizer.learningRate."""
    type: Literal["Real", "Integer", "Choice", "Linked"]
    """Real: any number between two. Integer: a whole number, in steps. Choice: one of some values, of any kind. Linked: as
    another parameter has it, times a factor."""
    low: Bound | None = None
    """The least value."""
    high: Bound | None = None
    """The greatest value; an Integer takes the last of its steps that does not exceed it."""
    step: Annotated[int, Field(ge=1, le=10**9)] | None = None
    """Distance between values of an Integer. Default: 1."""
    scale: Literal["Linear", "Log"] | None = None
    """Log: as many values between 1 and 10 as between 10 and 100. Of an Integer each value counts for the numbers that are
    rounded to it. Default: Linear."""
    points: Annotated[int, Field(ge=2, le=1000)] | None = None
    """How many values of a Real a search of type Grid takes, both ends included. Default: 5."""
    values: Values | None = None
    """The values of a Choice: texts, numbers, truth values, or whole objects and lists."""
    of: ParameterPath | None = None
    """The parameter that a Linked one follows."""
    factor: Annotated[float, Field(gt=0, le=1e9)] | None = None
    """What its value is multiplied by. Default: it is the same value."""
    when: Condition | None = None
    """Takes part only while another parameter has one of some values. Default: always."""

    list_key: ClassVar[str | None] = "path"
    belongs: ClassVar[dict[str, tuple[str, ...]]] = {
        "low": ("Real", "Integer"),
        "high": ("Real", "Integer"),
        "step": ("Integer",),
        "scale": ("Real", "Integer"),
        "points": ("Real",),
        "values": ("Choice",),
        "of": ("Linked",),
        "factor": ("Linked",),
    }


def _needed(name: str, types: tuple[str, ...]) -> Rule:
    listed = " or ".join(types)
    quoted = ", ".join(f"'{one}'" for one in types)
    return Rule(
        fields=("type", name),
        at=name,
        holds=lambda self: self.type not in types or getattr(self, name) is not None,
        rule=f"must be given with type {listed}",
        remedy=f"Add {name}.",
        cel=f"!(self.type in [{quoted}]) || has(self.{name})",
        structural={
            "anyOf": [{"required": [name]}, {"not": {"properties": {"type": {"enum": list(types)}}}}],
        },
    )


_BOTH = "!has(self.low) || !has(self.high)"

Parameter.rules = (
    *Parameter.foreign_rules(),
    _needed("low", ("Real", "Integer")),
    _needed("high", ("Real", "Integer")),
    _needed("values", ("Choice",)),
    _needed("of", ("Linked",)),
    Rule(
        fields=("low", "high"),
        at="high",
        holds=lambda self: self.low is None or self.high is None or self.low < self.high,
        rule="must be above low ({self.low})",
        remedy="Swap low and high, or give the field that value in the template.",
        cel=f"{_BOTH} || self.low < self.high",
    ),
    Rule(
        fields=("low", "scale"),
        at="low",
        holds=lambda self: self.scale != "Log" or self.low is None or self.low > 0,
        rule="must be above 0 with scale Log, since 0 has no logarithm",
        remedy="Give a small number such as 1e-6, or scale: Linear.",
        cel="!has(self.scale) || self.scale != 'Log' || !has(self.low) || self.low > 0.0",
    ),
    Rule(
        fields=("type", "low"),
        at="low",
        holds=lambda self: self.type != "Integer" or self.low is None or float(self.low).is_integer(),
        rule="must be a whole number with type Integer",
        remedy="Write it without decimals, or type: Real.",
        cel="self.type != 'Integer' || !has(self.low) || self.low == double(int(self.low))",
    ),
    Rule(
        fields=("low", "high", "step"),
        at="step",
        holds=lambda self: None in (self.low, self.high, self.step) or self.step <= self.high - self.low,
        rule="must leave two values between low and high",
        remedy="Lower step, or give the field its one value in the template.",
        cel=f"{_BOTH} || !has(self.step) || double(self.step) <= self.high - self.low",
    ),
)
