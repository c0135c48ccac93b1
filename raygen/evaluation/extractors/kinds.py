"""What kinds of files an extractor may be opened from, and what each has to be told."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from raygen.evaluation.extractors.inputs import Inputs

FORMAT = "raygen.extractor/1"
"""The key under which a file's metadata says as JSON what its network is, and the version of that."""


@dataclass(frozen=True)
class Network:
    """A safetensors file whose header names a registered architecture and its settings, as `train_extractor` makes it."""


class Onnx(BaseModel):
    """An ONNX file. What is not given here is taken from its metadata, JSON of the same fields under `raygen.extractor/1`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = None
    """What metrics call it."""
    inputs: Inputs | None = None
    """What its input (N, C, H, W) holds."""
    features: str | None = None
    """The output with the features; by default the only one, or the first."""
    logits: str | None = None
    """The output with the logits of classes, if there is one."""
    probabilities: str | None = None
    """The output with their probabilities, in place of logits."""
    classes: tuple[str, ...] = ()
    """Their names."""


@dataclass(frozen=True)
class Timm:
    """Weights of one of timm's models, as a safetensors file; features are what its classifier gets.

    Attributes:
        model: As timm calls it, with or without a tag: `resnet18.a1_in1k`. The tag decides mean, deviation and size of the inputs.
    """

    model: str


Kind = Network | Onnx | Timm
