"""What every object of a job file shares: strict parsing, field metadata, cross-field rules.

A field's description names its unit where it has one ("..., in tokens."). Cross-field rules are data
(`Rule`), not code inside validators, so that the same rule can be checked here and be written as CEL in
a CRD. A CRD of raygen has no defaults, so CEL asks with `has()` for every field that may be left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
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
        fields: Python names of the fields that are read, with dots for fields of fields; the rule is
            checked once these are valid, whatever else is wrong with the object.
        at: Path of the value at fault below the object, in the job file's spelling; "" is the object.
        holds: The condition, given the object.
        rule: What must be true, as a sentence without a subject ("must ..."). May show values of the
            object in parentheses: "({self.heads})".
        remedy: What to do about it.
        cel: The same condition in the Common Expression Language, over `self`.
        schema: As much of it as a JSON Schema of the object says in a few words, for editors; None where it says nothing.
        structural: The whole of it as a structural schema's value validation, where `cel` reads a field whose values may be
            anything: to CEL in an API server there is no such field.
    """

    fields: tuple[str, ...]
    at: str
    holds: Callable[[Any], bool]
    rule: str
    remedy: str
    cel: str
    schema: Mapping[str, Any] | None = None
    structural: Mapping[str, Any] | None = None

    def stated(self, subject: Any) -> str:
        """What must be true of this object, with the values that the rule shows."""
        return self.rule.format(self=subject)

    @property
    def message(self) -> str:
        """What must be true of any object, for places that cannot show values."""
        return re.sub(r" \(\{[^}]*\}\)", "", self.rule)


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
    list_key: ClassVar[str | None] = None
    """Key of the field whose values differ among these objects in a list; None where they may be alike."""

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        for rule in self.rules:
            if not rule.holds(self):
                context = {"at": rule.at or "it", "rule": rule.stated(self), "remedy": rule.remedy}
                raise PydanticCustomError(RULE_ERROR, "{at} {rule}. {remedy}", context)
        return self


def given(spec: Spec) -> dict[str, Any]:
    """What an object says, by the Python names of its fields, down to the innermost; without what is left out or null."""
    return spec.model_dump(by_alias=False, exclude_none=True)


class Kind(Spec):
    """Base of the kinds: what a document holds as a whole, with apiVersion, kind, metadata and spec.

    Attributes:
        noun: What messages call the whole document.
        assignment: An assignment that `--set` takes, as an example.
    """

    noun: ClassVar[str] = "document"
    assignment: ClassVar[str] = "metadata.name=mine"


class Tagged(Spec):
    """A flat union: `type` chooses, and each optional field names the types that it belongs to.

    Subclasses fill `belongs`: Python field name -> types. A field that the chosen type does not have is
    a fault; one that is left out gets the type's default when the job is resolved.
    """

    tag: ClassVar[str] = "type"
    belongs: ClassVar[dict[str, tuple[str, ...]]] = {}

    @classmethod
    def foreign_rules(cls) -> tuple[Rule, ...]:
        """One rule per field of `belongs`: it may be given only with a type that has it."""
        return tuple(foreign_rule(cls.tag, name, types) for name, types in cls.belongs.items())


def foreign_rule(tag: str, name: str, types: tuple[str, ...]) -> Rule:
    """The field `name` may be given only with one of these values of the field `tag`, which must be required."""
    alias = to_camel(name)
    listed = " or ".join(types)
    quoted = ", ".join(f"'{t}'" for t in types)
    return Rule(
        fields=(tag, name),
        at=alias,
        holds=lambda self: getattr(self, name) is None or getattr(self, tag) in types,
        rule=f"belongs to {tag} {listed}, not to this one ({{self.{tag}}})",
        remedy=f"Remove {alias}, or set {tag}: {types[0]}.",
        cel=f"!has(self.{alias}) || {_is_one_of(tag, quoted)}",
        structural={
            "anyOf": [{"properties": {tag: {"enum": list(types)}}}, {"not": {"required": [alias]}}],
        },
    )


def _is_one_of(tag: str, quoted: str) -> str:
    return f"(has(self.{tag}) && self.{tag} in [{quoted}])"


@dataclass(frozen=True)
class ExactlyOne(Rule):
    """The rule that exactly one of `fields` is given; a class, so that a schema can say the same."""


def exactly_one(names: Iterable[str]) -> ExactlyOne:
    """Exactly one of these optional fields must be given."""
    names = tuple(names)
    aliases = [to_camel(name) for name in names]
    listed = ", ".join(aliases)
    return ExactlyOne(
        fields=names,
        at="",
        holds=lambda self: sum(getattr(self, name) is not None for name in names) == 1,
        rule=f"must have exactly one of {listed}",
        remedy=f"Give one of {listed}, and no other.",
        cel="[" + ", ".join(f"has(self.{alias})" for alias in aliases) + "].filter(given, given).size() == 1",
    )


def plain_uri(name: str) -> Rule:
    """A path or URI without the parts that could hide another place or a secret."""
    alias = to_camel(name)
    return Rule(
        fields=(name,),
        at=alias,
        holds=lambda self: getattr(self, name) is None or _is_plain_uri(getattr(self, name)),
        rule="must be a path, or a URI without query, fragment, user, percent escape and dot segments",
        remedy="Write the plain path, or scheme://place/path with the characters themselves.",
        cel=(
            f"!has(self.{alias}) || (!self.{alias}.matches('[?#\\\\x00-\\\\x1f\\\\x7f]')"
            f" && !self.{alias}.matches('{_SCHEME}.*(%|/[.][.]?(/|$))')"
            f" && !self.{alias}.matches('{_SCHEME}[^/]*@'))"
        ),
    )


_SCHEME = "^[A-Za-z][A-Za-z0-9+.-]*://"


def _is_plain_uri(uri: str) -> bool:
    return not (
        re.search(r"[?#\x00-\x1f\x7f]", uri)
        or re.search(_SCHEME + r".*(%|/[.][.]?(/|\Z))", uri)
        or re.search(_SCHEME + r"[^/]*@", uri)
    )


MAX_INT = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly."""

_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_RUN = r"^[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?$"
_METRIC = r"^[a-zA-Z][a-zA-Z0-9_]*$"
_MEMORY = (
    r"^([1-9][0-9]{8,12}|[1-9][0-9]{5,9}(k|Ki)|[1-9][0-9]{2,6}(M|Mi)"
    r"|([1-9][0-9]{0,3}(\.[0-9]{1,3})?|0\.[1-9][0-9]{0,2})(G|Gi)|[1-9](\.[0-9]{1,3})?(T|Ti))$"
)
_AMOUNT = r"^[1-9][0-9]{0,5}$"
_JOB_NAME = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
_LABEL = r"^([A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?)?$"
_ENTRYPOINT = r"^[A-Za-z_][A-Za-z0-9_]*([.][A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$"
_DIGEST = r"^[0-9a-f]{64}$"
_IDENTIFIER = r"^[A-Za-z_][A-Za-z0-9_]*$"
_LABEL_KEY = r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?$"
_CPU = r"^([1-9][0-9]{0,2}(\.[0-9]{1,3})?|0\.[1-9][0-9]{0,2}|[1-9][0-9]{1,5}m)$"
_IMAGE = r"^[a-z0-9]([-a-z0-9._:]*[a-z0-9])?(/[a-z0-9]([-a-z0-9._]*[a-z0-9])?)+@sha256:[0-9a-f]{64}$"
_VERSION = r"^[0-9]+\.[0-9]+\.[0-9]+$"
_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
_PREFIX = r"^(s3|file)://[^?#%@]+$"
_ANY_OR_NAME = r"^([*]|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$"
_QUEUE = (
    r"^([*]|([A-Za-z0-9]|[{]namespace[}])(([-_.A-Za-z0-9]|[{]namespace[}])*([A-Za-z0-9]|[{]namespace[}]))?)$"
)
_PATH = r"^[A-Za-z][-A-Za-z0-9_.\[\]]*$"
_REASON = r"^[A-Za-z][A-Za-z0-9]*$"
_LANGUAGE = r"^([a-z]{2,3}|unknown)$"
_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?Z$"

PATTERNS: dict[str, str] = {
    _NAME: "lower-case letters, digits and '-', with a letter or digit first and last",
    _RUN: "letters, digits, '-', '_' and '.', with a letter or digit first and last",
    _METRIC: "letters, digits and '_', with a letter first",
    _MEMORY: "memory from 100Mi to some terabytes, as a Kubernetes quantity such as 512Mi or 16Gi",
    _AMOUNT: "a whole number from 1 to 999999",
    _JOB_NAME: "lower-case letters, digits and '-', with a letter first and no '-' last",
    _LABEL: "letters, digits, '-', '_' and '.', with a letter or digit first and last",
    _ENTRYPOINT: "module:Class, such as energy:EnergyModel",
    _DIGEST: "64 hexadecimal digits in lower case, as sha256sum prints",
    _IDENTIFIER: "letters, digits and '_', with no digit first",
    _LABEL_KEY: "a Kubernetes label key: name or domain/name",
    _CPU: "a number of cores, from 10m to 999, such as 2 or 500m",
    _IMAGE: "registry/name@sha256: and 64 hexadecimal digits",
    _VERSION: "three numbers with dots between",
    _SUBDOMAIN: "lower-case letters, digits, '-' and '.', with a letter or digit first and last",
    _PREFIX: "an s3:// or file:// URI without query, fragment, user and percent escape",
    _ANY_OR_NAME: "'*', or a name of lower-case letters, digits and '-'",
    _QUEUE: "'*', or letters, digits, '-', '_', '.' and {namespace}, with no '-', '_' and '.' first and last",
    _PATH: "keys with dots between, and list items in brackets, such as training.optimizer.learningRate",
    _REASON: "letters and digits, with a letter first",
    _LANGUAGE: "a language code of two or three lower-case letters, or unknown",
    _TIME: "a time in UTC such as 2026-01-31T12:00:00Z",
}
"""Every pattern of the job file in words."""

Count = Annotated[int, Field(ge=1, le=MAX_INT)]
Index = Annotated[int, Field(ge=0, le=MAX_INT)]
Positive = Annotated[float, Field(gt=0, le=1e12)]
NonNegative = Annotated[float, Field(ge=0, le=1e12)]
Bound = Annotated[float, Field(ge=-1e12, le=1e12)]
Probability = Annotated[float, Field(ge=0, lt=1)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(gt=0, le=1)]
LearningRate = Annotated[float, Field(gt=0, le=1000)]
Name = Annotated[str, Field(min_length=1, max_length=40, pattern=_NAME)]
"""A DNS label of at most 40 characters, so that names derived from it stay within 63."""
Namespace = Annotated[str, Field(min_length=1, max_length=63, pattern=_NAME)]
RunName = Annotated[str, Field(min_length=1, max_length=63, pattern=_RUN)]
MetricName = Annotated[str, Field(min_length=1, max_length=40, pattern=_METRIC)]
Memory = Annotated[str, Field(min_length=1, max_length=32, pattern=_MEMORY)]
"""A positive amount: 0 would mean unlimited, and what exceeds 64 bits of bytes confuses schedulers."""
Amount = Annotated[str, Field(min_length=1, max_length=6, pattern=_AMOUNT)]
"""A number of devices."""
JobName = Annotated[str, Field(min_length=1, max_length=40, pattern=_JOB_NAME)]
"""As `Name`, and as services are named after it, it begins with a letter (RFC 1035)."""
LabelKey = Annotated[str, Field(min_length=1, max_length=317, pattern=_LABEL_KEY)]
LabelValue = Annotated[str, Field(max_length=63, pattern=_LABEL)]
Uri = Annotated[str, Field(min_length=1, max_length=1024)]
Text = Annotated[str, Field(max_length=4096)]
Entrypoint = Annotated[str, Field(min_length=3, max_length=200, pattern=_ENTRYPOINT)]
Digest = Annotated[str, Field(min_length=64, max_length=64, pattern=_DIGEST)]
Parameter = Annotated[str, Field(min_length=1, max_length=63, pattern=_IDENTIFIER)]
"""A name that Python code can have."""
Variable = Annotated[str, Field(min_length=1, max_length=256, pattern=_IDENTIFIER)]
"""Name of an environment variable."""
Cpu = Annotated[str, Field(min_length=1, max_length=16, pattern=_CPU)]
ParameterPath = Annotated[str, Field(min_length=1, max_length=200, pattern=_PATH)]
"""A path into a job's spec."""
Image = Annotated[str, Field(min_length=1, max_length=512, pattern=_IMAGE)]
Version = Annotated[str, Field(min_length=5, max_length=32, pattern=_VERSION)]
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=_SUBDOMAIN)]
"""Name of a Kubernetes object."""
AllowedNamespace = Annotated[str, Field(min_length=1, max_length=63, pattern=_ANY_OR_NAME)]
AllowedQueue = Annotated[str, Field(min_length=1, max_length=63, pattern=_QUEUE)]
PriorityClassName = Annotated[str, Field(min_length=1, max_length=63, pattern=_SUBDOMAIN)]
"""Name of a PriorityClass that fits into a label, by which Kueue and KubeRay are told of it."""
UriPrefix = Annotated[str, Field(min_length=1, max_length=1024, pattern=_PREFIX)]
Reason = Annotated[str, Field(min_length=1, max_length=64, pattern=_REASON)]
"""One CamelCase word that says why."""
Language = Annotated[str, Field(min_length=2, max_length=7, pattern=_LANGUAGE)]
"""An ISO 639 code, or that it is not known."""
Time = Annotated[str, Field(min_length=20, max_length=30, pattern=_TIME)]
