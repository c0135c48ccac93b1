"""The model: its family, and one block with that family's architecture."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from raygen.spec.families.custom import Custom
from raygen.spec.families.gan import GAN
from raygen.spec.families.vae import VAE
from raygen.spec.schema.base import Positive, Probability, Rule, Spec


class Transformer(Spec):
    """An autoregressive Transformer: pre-norm decoder, RMSNorm, rotary positions, tied embeddings."""

    layers: Annotated[int, Field(ge=1, le=1024)]
    """Decoder blocks."""
    heads: Annotated[int, Field(ge=1, le=1024)]
    """Attention heads for queries in every block."""
    kv_heads: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Attention heads for keys and values (grouped-query attention). Default: as many as `heads`."""
    hidden_size: Annotated[int, Field(ge=1, le=1_048_576)]
    """Width of the residual stream, in channels."""
    feed_forward_size: Annotated[int, Field(ge=1, le=4_194_304)] | None = None
    """Width inside the feed-forward layer, in channels. Default: 4 x hiddenSize for GELU; for SwiGLU
    8/3 x hiddenSize rounded up to a multiple of 8, which costs the same number of parameters."""
    context_length: Annotated[int, Field(ge=1, le=16_777_216)]
    """Longest sequence that the model sees, in tokens."""
    activation: Literal["SwiGLU", "GELU"] = "SwiGLU"
    """Non-linearity of the feed-forward layer."""
    qk_norm: bool = False
    """Normalise queries and keys per head (RMSNorm with a learned scale), which allows larger learning
    rates."""
    rope_theta: Positive = 10_000.0
    """Base of the rotary position frequencies."""
    tie_embeddings: bool = True
    """Use the token embedding as the output layer too."""
    dropout: Probability = 0.0
    """Share of activations dropped in training, after the embedding, attention and feed-forward layers."""
    norm_epsilon: Annotated[float, Field(gt=0, le=1)] = 1e-5
    """Added to the mean square in RMSNorm."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            fields=("heads", "hidden_size"),
            at="hiddenSize",
            holds=lambda self: self.hidden_size % self.heads == 0,
            rule="must be a multiple of heads ({self.heads})",
            remedy="Choose hiddenSize = heads x the size of one head; 64 is usual.",
            cel="self.hiddenSize % self.heads == 0",
        ),
        Rule(
            fields=("heads", "hidden_size"),
            at="hiddenSize",
            holds=lambda self: (
                self.hidden_size % self.heads != 0 or (self.hidden_size // self.heads) % 2 == 0
            ),
            rule="must give heads ({self.heads}) of an even size, since rotary positions turn channels in pairs",
            remedy="Choose hiddenSize = heads x an even number.",
            cel="self.hiddenSize % self.heads != 0 || (self.hiddenSize / self.heads) % 2 == 0",
        ),
        Rule(
            fields=("heads", "kv_heads"),
            at="kvHeads",
            holds=lambda self: self.kv_heads is None or self.heads % self.kv_heads == 0,
            rule="must divide heads ({self.heads})",
            remedy="Choose a divisor of heads, so that every key-value head serves as many query heads.",
            cel="!has(self.kvHeads) || self.heads % self.kvHeads == 0",
        ),
    )


def _block(kind: str, name: str) -> Rule:
    return Rule(
        fields=("type", name),
        at=name,
        holds=lambda self: (self.type == kind) == (getattr(self, name) is not None),
        rule=f"must be given exactly when type is {kind}",
        remedy="Give the block that has the name of the type, and no other.",
        cel=f"(self.type == '{kind}') == has(self.{name})",
    )


class Model(Spec):
    """What is trained."""

    type: Literal["Custom", "GAN", "Transformer", "VAE"]
    """Model family; the block of the same name holds its architecture."""
    custom: Custom | None = None
    """A family of your own; given exactly when `type` is Custom."""
    gan: GAN | None = None
    """Architecture and loss of a GAN; given exactly when `type` is GAN."""
    transformer: Transformer | None = None
    """Architecture of a Transformer; given exactly when `type` is Transformer."""
    vae: VAE | None = None
    """Architecture and bound of a VAE; given exactly when `type` is VAE."""

    rules: ClassVar[tuple[Rule, ...]] = (
        _block("Custom", "custom"),
        _block("GAN", "gan"),
        _block("Transformer", "transformer"),
        _block("VAE", "vae"),
    )
