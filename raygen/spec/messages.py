"""Faults of single values in our own words: what must hold, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic_core import ErrorDetails

from raygen.spec.faults import Fault, shown, spelled

Location = tuple[str | int, ...]

HOMES = {
    "learningRate": "spec.training.optimizer",
    "steps": "spec.training.duration",
    "epochs": "spec.training.duration",
    "seed": "spec.training",
    "batchSize": "spec.training as globalBatchSize",
    "layers": "spec.model.transformer",
    "contextLength": "spec.model.transformer",
}
"""Keys that people look for, and where they belong."""

_PLAIN = {
    "bool_type": ("must be true or false", "Write true or false, without quotes."),
    "dict_type": ("must be a mapping of keys to values", "Write `key: value` lines below it."),
    "model_type": ("must be a mapping of keys to values", "Write `key: value` lines below it."),
    "model_attributes_type": ("must be a mapping of keys to values", "Write `key: value` lines below it."),
    "finite_number": ("must be a finite number", "Give a finite number."),
    "float_type": ("must be a number", "Write a number, without quotes."),
    "int_type": ("must be a whole number", "Write a whole number, without quotes or decimals."),
    "int_from_float": ("must be a whole number", "Write a whole number, without decimals."),
    "string_type": ("must be text", "Put the value in quotes."),
    "tuple_type": ("must be a list", "Write a list: [a, b]."),
    "list_type": ("must be a list", "Write a list: [a, b]."),
    "json_invalid": ("cannot be read", "Correct the value."),
}

_BOUNDS = {
    "greater_than": ("must be above {gt}", "Give a larger number."),
    "greater_than_equal": ("must be at least {ge}", "Give a larger number."),
    "less_than": ("must be below {lt}", "Give a smaller number."),
    "less_than_equal": ("must be at most {le}", "Give a smaller number."),
    "string_too_short": ("must have at least {min_length} character(s)", "Give a longer text."),
    "string_too_long": ("must have at most {max_length} characters", "Give a shorter text."),
    "too_short": ("must have at least {min_length} item(s)", "Add an item."),
    "too_long": ("must have at most {max_length} items", "Remove items."),
    "string_pattern_mismatch": ("must match {pattern}", "Use only the characters that the pattern allows."),
    "multiple_of": ("must be a multiple of {multiple_of}", "Round it."),
}


def explain(found: ErrorDetails, location: Location, value: Any, siblings: Mapping[str, str]) -> Fault:
    """One of pydantic's errors as a fault.

    Args:
        found: The error.
        location: Where, in the document.
        value: What the document has there.
        siblings: The keys that may stand there, with descriptions.
    """
    key = str(location[-1]) if location else ""
    kind, context = found["type"], found.get("ctx", {})
    path, text = spelled(location), shown(value, key)
    if kind == "extra_forbidden":
        return Fault(path, text, "is not a known key", _unknown(key, list(siblings)))
    if kind == "missing":
        about = siblings.get(key, "")
        return Fault(path, "", "is missing", f"Add {key}" + (f": {_lowered(about)}." if about else "."))
    if kind == "literal_error":
        allowed = [
            word.strip().strip("'") for word in str(context["expected"]).replace(" or ", ", ").split(",")
        ]
        return Fault(path, text, f"must be one of: {', '.join(allowed)}", _choose(value, allowed))
    if kind in _BOUNDS:
        rule, remedy = _BOUNDS[kind]
        return Fault(path, text, rule.format(**context), remedy)
    rule, remedy = _PLAIN.get(kind, ("is not of the right kind", "See docs/reference/trainingjob.md."))
    if value is None:
        return Fault(path, "null", rule, f"Give {key or 'it'} a value, or remove the key.")
    return Fault(path, text, rule, remedy)


def _unknown(key: str, known: list[str]) -> str:
    plain = {k.lower(): k for k in known}
    close = plain.get(key.lower().replace("_", "").replace("-", ""))
    if close is None:
        matches = difflib.get_close_matches(key.lower(), list(plain), n=1, cutoff=0.6)
        close = plain[matches[0]] if matches else None
    if close is not None:
        return f"Did you mean {close}?"
    if key in HOMES:
        return f"It belongs under {HOMES[key]}."
    return f"Remove it; known keys here: {', '.join(known[:12])}." if known else "Remove it."


def _choose(value: Any, allowed: list[str]) -> str:
    matches = difflib.get_close_matches(str(value).lower(), [a.lower() for a in allowed], n=1, cutoff=0.5)
    if matches:
        return f"Did you mean {next(a for a in allowed if a.lower() == matches[0])}?"
    return f"Write {allowed[0]}." if len(allowed) == 1 else "Choose one of them."


def _lowered(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:] if sentence[1:2].islower() else sentence
