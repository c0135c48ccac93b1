"""What the header of a safetensors file says beside the tensors."""

from __future__ import annotations

import json

PREFIX = 8
"""Bytes before a safetensors header, that say how long it is."""


def metadata_of(content: bytes) -> dict[str, str]:
    """The texts that a safetensors file holds by name; none if it has no such part.

    Raises:
        ValueError: the header is not JSON, or holds other values than texts there.
    """
    length = int.from_bytes(content[:PREFIX], "little")
    header = json.loads(content[PREFIX : PREFIX + length])
    found = header.get("__metadata__", {}) if isinstance(header, dict) else None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ValueError("the header holds no texts by name")
    return found
