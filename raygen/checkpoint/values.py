"""The values beside the tensors: JSON that loads as exactly what was saved."""

from __future__ import annotations

import json
import math
from typing import Any

from raygen.errors import CheckpointError


def encode_values(values: dict[str, Any]) -> bytes:
    """JSON of `values`, refusing whatever JSON would change.

    Floats and integers of any size round-trip exactly. Tuples, keys that are no strings, NaN and
    infinities do not, and are refused.

    Raises:
        CheckpointError: Naming the first value that would not load as it is.
    """
    _check(values, "values")
    return json.dumps(values, indent=1).encode()


def decode_values(data: bytes) -> dict[str, Any]:
    """Reads what `encode_values` wrote.

    Raises:
        CheckpointError: If it is anything else; its text follows a file name.
    """
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CheckpointError("is not JSON") from error
    if not isinstance(values, dict):
        raise CheckpointError("does not hold a JSON object")
    return values


def _check(value: object, path: str) -> None:
    if isinstance(value, dict):
        for key, child in value.items():
            if not isinstance(key, str):
                raise _refused(path, f"has the key {key!r}, which is not a string")
            _check(child, f"{path}.{key}")
    elif isinstance(value, list):
        for index, child in enumerate(value):
            _check(child, f"{path}[{index}]")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise _refused(path, f"is {value}")
    elif value is not None and not isinstance(value, str | int):
        raise _refused(path, f"is a {type(value).__name__}")


def _refused(path: str, fault: str) -> CheckpointError:
    return CheckpointError(
        f"{path} {fault}, which JSON cannot keep as it is",
        remedy="Convert it to dicts with string keys, lists, strings, finite numbers, booleans or None.",
    )
