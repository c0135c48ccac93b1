"""What a driver must be told of an open run, since it opens neither data nor model; needs no PyTorch."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Facts:
    """What only the process that opened data and model knows of them; JSON values alone.

    Attributes:
        fingerprint: Of the data.
        samples_per_epoch: Samples in one pass over the training split.
        order: The hash of the order of samples (`raygen.data.order_hash.OrderRecord`).
        units_per_sample: Units of throughput in a sample.
        remarks: What was skipped or converted while reading, one object each.
        notices: The same as sentences.
        parameters: Trained parameters.
        files: What a run must keep to use its model later, by file name, in Base64.
        environment: Versions and device of that process (`environment.describe_environment`).
    """

    fingerprint: str
    samples_per_epoch: int
    order: dict[str, Any]
    units_per_sample: int
    remarks: list[dict[str, Any]]
    notices: list[str]
    parameters: int
    files: dict[str, str]
    environment: dict[str, str | int]


def encoded(files: Mapping[str, bytes]) -> dict[str, str]:
    """Files as JSON values."""
    return {name: base64.b64encode(content).decode() for name, content in files.items()}


def decoded(files: Mapping[str, str]) -> dict[str, bytes]:
    """What `encoded` made."""
    return {name: base64.b64decode(content) for name, content in files.items()}
