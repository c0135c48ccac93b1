"""What a safetensors file says beside the tensors, and the digest of both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import torch
from torch import Tensor

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


def digest_of(tensors: Mapping[str, Tensor], said: Mapping[str, object]) -> str:
    """SHA-256 of what is said of tensors, as JSON, and of their names, types, shapes and bytes."""
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\0{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
