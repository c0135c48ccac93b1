"""The autoregressive Transformer."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from raygen.spec.families.family import Block, Family
from raygen.spec.families.metrics import OF_TEXTS
from raygen.spec.schema.base import Positive, Probability, Rule, given

SWIGLU_MULTIPLE = 8
"""Widths are rounded up to this, so that matrix kernels have whole tiles."""


class Transformer(Block):
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

    family: ClassVar[Family] = Family(
        name="Transformer",
        summary="Architecture of a Transformer",
        module="raygen.models.transformer.family",
        contents=("text",),
        metrics=("ValidationLoss", "BitsPerByte", "Perplexity", *OF_TEXTS),
        guards=("NonFiniteLoss", "LossSpike", "TextRepetition"),
        usual_guards=("NonFiniteLoss", "LossSpike"),
        smooths_labels=True,
        loss_unit="nats",
    )
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

    @property
    def tokens(self) -> int:
        """Length of a sample, in tokens."""
        return self.context_length

    def resolved(self) -> ResolvedTransformer:
        """As many heads for keys and values as for queries, and a feed-forward layer that costs what four times the width
        costs without a gate.
        """
        width = 4 * self.hidden_size
        if self.activation == "SwiGLU":
            # Three matrices instead of two: 8/3 of the width costs what 4 times the width costs without a gate.
            width = -(-8 * self.hidden_size // (3 * SWIGLU_MULTIPLE)) * SWIGLU_MULTIPLE
        defaults = {"kv_heads": self.heads, "feed_forward_size": width}
        return ResolvedTransformer.model_validate(defaults | given(self))

    def notices(self) -> tuple[str, ...]:
        """Of dropout."""
        notice = (
            "dropout: masks are drawn for a micro-batch and not for a sample, so losses depend"
            " on scale.workers and training.microBatchSize; with 0 they do not"
        )
        return (notice,) if self.dropout > 0 else ()


class ResolvedTransformer(Transformer):
    """A Transformer with every default written out."""

    kv_heads: Annotated[int, Field(ge=1, le=1024)]
    feed_forward_size: Annotated[int, Field(ge=1, le=4_194_304)]
