"""What an amount of memory means, as a job and Kubernetes write it."""

from __future__ import annotations

import re
from fractions import Fraction

from pydantic import TypeAdapter, ValidationError

from raygen.spec.schema.base import Memory

_MEMORY: TypeAdapter[str] = TypeAdapter(Memory)
_FACTORS = {
    **{unit: 1000**power for power, unit in enumerate(("", "k", "M", "G", "T"))},
    **{unit: 1024**power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti"), start=1)},
}


def memory_bytes(quantity: str) -> int:
    """Bytes of a Kubernetes quantity such as 512Mi or 16Gi, within the bounds of `Memory`; parts of one are cut off.

    Raises:
        ValueError: it is no such quantity.
    """
    try:
        _MEMORY.validate_python(quantity)
    except ValidationError as error:
        raise ValueError(f"{quantity!r} is not an amount of memory such as 512Mi or 16Gi") from error
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", quantity).groups()  # type: ignore[union-attr]
    return int(Fraction(number) * _FACTORS[unit])
