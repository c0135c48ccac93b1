"""What is generated for metrics, what it is compared with, and in whose features."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from raygen.spec.schema.base import Digest, Index, Rule, Share, Spec, Tagged, Text, Uri, plain_uri


class Sampling(Spec):
    """How a model is sampled; all but the number of samples is for models of text."""

    prompts: Annotated[tuple[Text, ...], Field(max_length=64)] = ()
    """Beginnings to continue, taken in turn. Default: an empty one."""
    max_tokens: Annotated[int, Field(ge=1, le=65_536)] = 200
    """Longest text after the prompt, in tokens. A text that the model ends is shorter."""
    temperature: Annotated[float, Field(ge=0, le=100)] = 0.8
    """Divides the logits; 0 takes the most likely token."""
    top_k: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Only this many of the most likely tokens. Default: all."""
    top_p: Share | None = None
    """Only the most likely tokens that together have this probability (nucleus sampling). Default: all."""
    min_p: Share | None = None
    """Only tokens with at least this share of the most likely token's probability. Default: all."""
    repetition_penalty: Annotated[float, Field(ge=1, le=10)] = 1.0
    """Divides positive logits, and multiplies negative ones, of tokens that are already in the text
    (Keskar et al. 2019)."""


class Extractor(Tagged):
    """The network in whose features images are compared, pinned by its hash: numbers of different ones do not compare."""

    type: Literal["Network", "ONNX", "Timm"]
    """Network: a safetensors file that says which of raygen's architectures it holds, as `raygen evaluate train-extractor` writes it. ONNX: an
    ONNX model. Timm: weights of a model of the package timm, as safetensors."""
    uri: Uri
    """Where its file is, as a path or URI; a relative path starts from the folder of the job file."""
    sha256: Digest
    """SHA-256 of the file; another one is refused."""
    model: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """Name of the model in timm, such as resnet18.a1_in1k."""

    belongs: ClassVar[dict[str, tuple[str, ...]]] = {"model": ("Timm",)}


Extractor.rules = (
    *Extractor.foreign_rules(),
    plain_uri("uri"),
    Rule(
        fields=("type", "model"),
        at="model",
        holds=lambda self: self.type != "Timm" or self.model is not None,
        rule="must be given with type Timm",
        remedy="Add the model's name in timm, for example model: resnet18.a1_in1k.",
        cel="self.type != 'Timm' || has(self.model)",
    ),
)


class Generation(Sampling):
    """What is generated at each evaluation, for metrics of what the model makes."""

    samples: Annotated[int, Field(ge=2, le=100_000)] = 1000
    """Images or texts each time. Metrics compare between equal numbers alone. Images are compared with as many real ones, where
    there are so many."""
    seed: Index | None = None
    """Seed of what is generated, the same at every step, so that steps compare. Default: training.seed."""
    reference: Literal["Train", "Validation"] = "Train"
    """The split that generated images are compared with: its first samples in the order of the seed for Train, from its start for
    Validation. They are not augmented."""
    extractor: Extractor | None = None
    """The network in whose features images are compared. Default: none, for text."""
