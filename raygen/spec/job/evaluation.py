"""What is measured and shown while training."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from raygen.spec.schema.base import Count, MetricName, Rule, Share, Spec, Tagged, Text

ACTIVE_VARIANCE = 0.01
"""A latent variable is active if its posterior mean varies by more than this (Burda et al. 2016, section 5.2)."""


class Metric(Tagged):
    """A number measured on the validation split."""

    name: MetricName
    """Name under which it is logged; other fields refer to it."""
    type: Literal[
        "ValidationLoss", "BitsPerByte", "Perplexity", "NegativeLogLikelihood", "BitsPerDim", "ActiveUnits"
    ]
    """ValidationLoss: mean loss over the whole validation split, in nats: per token for text, in windows of
    contextLength that do not overlap; per image for images, where that of a VAE is the negative ELBO. BitsPerByte: the same per byte of text, in bits, which does not
    depend on the tokenizer. Perplexity: exp(loss). NegativeLogLikelihood: of a VAE, in nats per image, by
    importance sampling (Burda et al. 2016, eq. 8), with a standard error over the images. BitsPerDim: the loss
    in bits per pixel and channel. ActiveUnits: latent variables whose posterior mean varies by more than 0.01
    over the split (the same, section 5.2)."""
    importance_samples: Annotated[int, Field(ge=1, le=5000)] | None = None
    """Draws per image of NegativeLogLikelihood. Default: 100."""
    images: Count | None = None
    """Length of NegativeLogLikelihood's part of the split, from its start, in images. Default: all."""

    list_key: ClassVar[str | None] = "name"
    belongs: ClassVar[dict[str, tuple[str, ...]]] = {
        "importance_samples": ("NegativeLogLikelihood",),
        "images": ("NegativeLogLikelihood",),
    }


Metric.rules = Metric.foreign_rules()


class PlainMetric(Metric):
    """Resolved: a metric without settings."""

    type: Literal["ValidationLoss", "BitsPerByte", "Perplexity", "BitsPerDim", "ActiveUnits"]


class NegativeLogLikelihood(Metric):
    """Resolved: the likelihood by importance sampling; of all images, where `images` is None."""

    type: Literal["NegativeLogLikelihood"]
    importance_samples: Annotated[int, Field(ge=1, le=5000)] = 100


METRICS: tuple[str, ...] = get_args(Metric.model_fields["type"].annotation)
"""Every type of metric."""
ResolvedMetric = PlainMetric | NegativeLogLikelihood


class Samples(Spec):
    """Samples that are generated while the model trains, from a fixed seed, so that steps are comparable."""

    every_steps: Count
    """Distance between samples, in steps. The last step always gives some."""
    count: Annotated[int, Field(ge=1, le=64)] = 4
    """Samples each time."""
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


class Evaluation(Spec):
    """What is measured and shown while training."""

    every_steps: Count | None = None
    """Distance between evaluations, in steps. The last step is always evaluated. Each measures what `metrics` names; without
    any, nothing is evaluated. Default: only the last."""
    metrics: Annotated[tuple[Metric, ...], Field(max_length=32)] = ()
    """What each evaluation measures on the validation split: metrics, each under a name of its own. Default: nothing."""
    samples: Samples | None = None
    """Texts to write while training. Default: none."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            fields=("metrics",),
            at="metrics",
            holds=lambda self: len({metric.name for metric in self.metrics}) == len(self.metrics),
            rule="must have names that differ",
            remedy="Rename one of the metrics.",
            cel="!has(self.metrics) || self.metrics.all(a, self.metrics.exists_one(b, a.name == b.name))",
        ),
    )


class ResolvedEvaluation(Evaluation):
    """Evaluation with every default written out."""

    metrics: tuple[Annotated[ResolvedMetric, Field(discriminator="type")], ...] = ()
