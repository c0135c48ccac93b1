"""Evaluates the part of the Common Expression Language that the rules use, as Kubernetes does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from raygen.errors import ValidationError
from raygen.spec.schema.base import Kind, Rule, Spec
from raygen.spec.schema.faults import Location, spelled
from raygen.spec.schema.fields import fields_of
from raygen.spec.schema.validate import parse_kind

_TOKEN = re.compile(r"\s*(\d+\.\d+|\d+|'(?:[^'\\]|\\.)*'|\|\||&&|==|!=|<=|>=|[A-Za-z_]\w*|.)")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "in": lambda a, b: a in b,
}
Scope = dict[str, Any]
Code = Callable[[Scope], Any]


def evaluate(source: str, subject: dict[str, Any]) -> bool:
    """The value of an expression over `self`. A field that is not there is an error, as in Kubernetes."""
    value = _parsed(source)({"self": subject})
    assert isinstance(value, bool)
    return value


@cache
def _parsed(source: str) -> Code:
    parser = _Parser([match[1] for match in _TOKEN.finditer(source)])
    code = parser.ternary()
    assert parser.peek() == "", f"not understood: {parser.rest()}"
    return code


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0

    def peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def rest(self) -> str:
        return " ".join(self._tokens[self._at :])

    def _next(self, wanted: str | None = None) -> str:
        token = self.peek()
        assert wanted in (None, token), f"{wanted!r} expected before: {self.rest()}"
        self._at += 1
        return token

    def ternary(self) -> Code:
        condition = self._any()
        if self.peek() != "?":
            return condition
        self._next("?")
        left = self.ternary()
        self._next(":")
        right = self.ternary()
        return lambda s: left(s) if condition(s) else right(s)

    def _any(self) -> Code:
        parts = [self._all()]
        while self.peek() == "||":
            self._next()
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else lambda s: any(part(s) for part in parts)

    def _all(self) -> Code:
        parts = [self._relation()]
        while self.peek() == "&&":
            self._next()
            parts.append(self._relation())
        return parts[0] if len(parts) == 1 else lambda s: all(part(s) for part in parts)

    def _relation(self) -> Code:
        left = self._sum()
        while self.peek() in _COMPARE:
            left = _binary(_COMPARE[self._next()], left, self._sum())
        return left

    def _sum(self) -> Code:
        left = self._product()
        while self.peek() in ("+", "-"):
            operation = {"+": lambda a, b: a + b, "-": lambda a, b: a - b}[self._next()]
            left = _binary(operation, left, self._product())
        return left

    def _product(self) -> Code:
        left = self._unary()
        while self.peek() in ("%", "/", "*"):
            operations = {"%": lambda a, b: a % b, "/": lambda a, b: a // b, "*": lambda a, b: a * b}
            operation = operations[self._next()]
            left = _binary(operation, left, self._unary())
        return left

    def _unary(self) -> Code:
        if self.peek() == "!":
            self._next()
            inner = self._unary()
            return lambda s: not inner(s)
        return self._member()

    def _member(self) -> Code:
        value = self._primary()
        while self.peek() in (".", "["):
            if self._next() == "[":
                value = _item(value, self.ternary())
                self._next("]")
                continue
            name = self._next()
            value = self._call(value, name) if self.peek() == "(" else _field(value, name)
        return value

    def _call(self, target: Code, name: str) -> Code:
        self._next("(")
        if name == "size":
            self._next(")")
            return lambda s: len(target(s))
        if name == "matches":
            pattern = self.ternary()
            self._next(")")
            return lambda s: re.search(pattern(s), target(s)) is not None
        if name == "split":
            separator = self.ternary()
            self._next(")")
            return lambda s: target(s).split(separator(s))
        variable = self._next()
        self._next(",")
        body = self.ternary()
        self._next(")")
        each: Code = lambda s: [(item, body(s | {variable: item})) for item in target(s)]  # noqa: E731
        macros: dict[str, Code] = {
            "all": lambda s: all(holds for _, holds in each(s)),
            "exists": lambda s: any(holds for _, holds in each(s)),
            "exists_one": lambda s: sum(holds for _, holds in each(s)) == 1,
            "filter": lambda s: [item for item, holds in each(s) if holds],
        }
        return macros[name]

    def _primary(self) -> Code:
        word = self._next()
        if word == "(":
            inner = self.ternary()
            self._next(")")
            return inner
        if word == "[":
            items = []
            while self.peek() != "]":
                items.append(self.ternary())
                if self.peek() == ",":
                    self._next()
            self._next("]")
            return lambda s: [item(s) for item in items]
        if word == "has":
            return self._has()
        if word in ("double", "int") and self.peek() == "(":
            self._next("(")
            converted = self.ternary()
            self._next(")")
            kind = {"double": float, "int": int}[word]
            return lambda s: kind(converted(s))
        if word[0] == "'":
            text = re.sub(r"\\(.)", r"\1", word[1:-1])
            return lambda s: text
        if word in ("true", "false"):
            return lambda s: word == "true"
        if word[0].isdigit():
            number = float(word) if "." in word else int(word)
            return lambda s: number
        return lambda s: s[word]

    def _has(self) -> Code:
        self._next("(")
        path: list[str | int] = [self._next()]
        while self.peek() in (".", "["):
            if self._next() == "[":
                path.append(int(self._next()))
                self._next("]")
            else:
                path.append(self._next())
        self._next(")")

        def found(scope: Scope) -> bool:
            holder: Any = scope
            for name in path[:-1]:
                holder = holder[name]
            return path[-1] in holder

        return found


def _binary(operation: Callable[[Any, Any], Any], left: Code, right: Code) -> Code:
    return lambda s: operation(left(s), right(s))


def _item(value: Code, key: Code) -> Code:
    return lambda s: value(s)[key(s)]


def _field(value: Code, name: str) -> Code:
    return lambda s: value(s)[name]


def applied(
    model: type[Spec], value: dict[str, Any], location: Location
) -> Iterator[tuple[Location, dict[str, Any], Rule]]:
    """Every rule that an object and those in it have, with the object's place and content."""
    for rule in model.rules:
        yield location, value, rule
    for key, field in fields_of(model).items():
        below = (*location, key)
        if key in value and field.shape.model is not None:
            yield from applied(field.shape.model, value[key], below)
        elif key in value and field.shape.items is not None and field.shape.items.model is not None:
            for number, item in enumerate(value[key]):
                yield from applied(field.shape.items.model, item, (*below, number))


def without_nulls(value: Any) -> Any:
    """As the Kubernetes API server prunes them."""
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


def faults_by_cel(kind: type[Spec], document: dict[str, Any]) -> set[tuple[str, str]]:
    """What the CEL of all rules finds in a document: places and remedies."""
    return {
        (spelled((*location, *(rule.at.split(".") if rule.at else ()))), rule.remedy)
        for location, value, rule in applied(kind, without_nulls(document), ())
        if not evaluate(rule.cel, value)
    }


def faults_by_python(kind: type[Kind], document: dict[str, Any]) -> set[tuple[str, str]]:
    """What parsing finds in it."""
    try:
        parse_kind(kind, document)
    except ValidationError as error:
        return {(fault.path, fault.remedy) for fault in error.faults}
    return set()
