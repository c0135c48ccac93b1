"""Extractors' files for tests: small networks with random weights."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from raygen.evaluation.extractors.architectures import built
from raygen.evaluation.extractors.inputs import Inputs
from raygen.evaluation.extractors.network import Header, to_bytes

CLASSES = ("cat", "dog", "hen")


def random_images(count: int, channels: int = 1, height: int = 12, width: int = 12) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, height, width), dtype=torch.uint8, generator=generator)


def header(channels: int = 1, size: int = 12, **changes: object) -> Header:
    settings = {"channels": channels, "size": size, "classes": 3, "widths": [4, 8], "features": 20}
    mean = std = (0.5,) * channels
    inputs = Inputs(channels=1 if channels == 1 else 3, height=size, width=size, mean=mean, std=std)
    said = Header(name="pets", architecture="Convolutions", settings=settings, inputs=inputs, classes=CLASSES)
    return said.model_copy(update=changes)


def network_file(channels: int = 1, size: int = 12, **changes: object) -> bytes:
    said = header(channels, size)
    network = built(said.architecture, said.settings, "")
    generator = torch.Generator().manual_seed(1)
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.3, generator=generator)
    return to_bytes(network, header(channels, size, **changes))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
