"""What is measured and shown while training, and which values a model must reach."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from raygen.spec.families.metrics import GENERATED, NEIGHBOURHOOD, OF_IMAGES, OF_TEXTS
from raygen.spec.job.generation import Generation, Sampling
from raygen.spec.schema.base import Bound, Count, MetricName, Rule, Spec, Tagged, exactly_one

ACTIVE_VARIANCE = 0.01
"""A latent variable is active if its posterior mean varies by more than this (Burda et al. 2016, section 5.2)."""


class Metric(Tagged):
    """A number measured on the validation split, or on what the model makes."""

    name: MetricName
    """Name under which it is logged; other fields refer to it."""
    type: Literal[
        "ValidationLoss",
        "BitsPerByte",
        "Perplexity",
        "NegativeLogLikelihood",
        "BitsPerDim",
        "ActiveUnits",
        "FrechetDistance",
        "KernelDistance",
        "Precision",
        "Recall",
        "Density",
        "Coverage",
        "ClassifierScore",
        "MeanPairwiseDistance",
        "VendiScore",
        "DistinctNgrams",
        "RepeatedNgrams",
        "SelfBLEU",
    ]
    """ValidationLoss: mean loss over the whole validation split, in nats: per token for text, in windows of
    contextLength that do not overlap; per image for images, where that of a VAE is the negative ELBO. BitsPerByte: the same per byte of text, in bits, which does not
    depend on the tokenizer. Perplexity: exp(loss). NegativeLogLikelihood: of a VAE, in nats per image, by
    importance sampling (Burda et al. 2016, eq. 8), with a standard error over the images. BitsPerDim: the loss
    in bits per pixel and channel. ActiveUnits: latent variables whose posterior mean varies by more than 0.01
    over the split (the same, section 5.2). FrechetDistance, KernelDistance (with a standard error), Precision, Recall, Density, Coverage,
    ClassifierScore, MeanPairwiseDistance, VendiScore: of generated images, in the features of `generation.extractor`.
    DistinctNgrams, RepeatedNgrams, SelfBLEU: of generated texts, over their tokens."""
    importance_samples: Annotated[int, Field(ge=1, le=5000)] | None = None
    """Draws per image of NegativeLogLikelihood. Default: 100."""
    images: Count | None = None
    """Length of NegativeLogLikelihood's part of the split, from its start, in images. Default: all."""
    neighbours: Annotated[int, Field(ge=1, le=100)] | None = None
    """Nearest neighbours that make the ball around a sample. Default: 5."""
    n: Annotated[int, Field(ge=1, le=16)] | None = None
    """Length of an n-gram, in tokens; of SelfBLEU the longest. Default: 4."""

    list_key: ClassVar[str | None] = "name"
    belongs: ClassVar[dict[str, tuple[str, ...]]] = {
        "importance_samples": ("NegativeLogLikelihood",),
        "images": ("NegativeLogLikelihood",),
        "neighbours": NEIGHBOURHOOD,
        "n": OF_TEXTS,
    }


Metric.rules = Metric.foreign_rules()


class PlainMetric(Metric):
    """Resolved: a metric without settings."""

    type: Literal[
        "ValidationLoss",
        "BitsPerByte",
        "Perplexity",
        "BitsPerDim",
        "ActiveUnits",
        "FrechetDistance",
        "KernelDistance",
        "ClassifierScore",
        "MeanPairwiseDistance",
        "VendiScore",
    ]


class NegativeLogLikelihood(Metric):
    """Resolved: the likelihood by importance sampling; of all images, where `images` is None."""

    type: Literal["NegativeLogLikelihood"]
    importance_samples: Annotated[int, Field(ge=1, le=5000)] = 100


class NeighbourhoodMetric(Metric):
    """Resolved: how generated samples lie among real ones."""

    type: Literal["Precision", "Recall", "Density", "Coverage"]
    neighbours: Annotated[int, Field(ge=1, le=100)] = 5


class NgramMetric(Metric):
    """Resolved: how generated texts repeat themselves and each other."""

    type: Literal["DistinctNgrams", "RepeatedNgrams", "SelfBLEU"]
    n: Annotated[int, Field(ge=1, le=16)] = 4


METRICS: tuple[str, ...] = get_args(Metric.model_fields["type"].annotation)
"""Every type of metric."""
ResolvedMetric = PlainMetric | NegativeLogLikelihood | NeighbourhoodMetric | NgramMetric


class Samples(Sampling):
    """Samples that are generated while the model trains, from a fixed seed, so that steps are comparable."""

    every_steps: Count
    """Distance between samples, in steps. The last step always gives some."""
    count: Annotated[int, Field(ge=1, le=64)] = 4
    """Samples each time."""


def listed_in_cel(types: tuple[str, ...]) -> str:
    """A list in CEL."""
    return "[" + ", ".join(f"'{name}'" for name in types) + "]"


class Gate(Spec):
    """A value that a metric must reach at the last evaluation, or the run fails with the reason GateFailed; its checkpoints stay."""

    metric: MetricName
    """Name of the metric in `metrics`."""
    at_least: Bound | None = None
    """Smallest value that passes."""
    at_most: Bound | None = None
    """Largest value that passes."""

    rules: ClassVar[tuple[Rule, ...]] = (exactly_one(("at_least", "at_most")),)


class Evaluation(Spec):
    """What is measured and shown while training."""

    every_steps: Count | None = None
    """Distance between evaluations, in steps. The last step is always evaluated. Each measures what `metrics` names; without
    any, nothing is evaluated. Default: only the last."""
    metrics: Annotated[tuple[Metric, ...], Field(max_length=32)] = ()
    """What each evaluation measures on the validation split: metrics, each under a name of its own. Default: nothing."""
    samples: Samples | None = None
    """Texts to write while training. Default: none."""
    generation: Generation | None = None
    """What is generated for metrics of what the model makes. Default: nothing."""
    gates: Annotated[tuple[Gate, ...], Field(max_length=32)] = ()
    """Values that metrics must reach at the end. Default: none."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            fields=("metrics",),
            at="metrics",
            holds=lambda self: len({metric.name for metric in self.metrics}) == len(self.metrics),
            rule="must have names that differ",
            remedy="Rename one of the metrics.",
            cel="!has(self.metrics) || self.metrics.all(a, self.metrics.exists_one(b, a.name == b.name))",
        ),
        Rule(
            fields=("metrics", "generation"),
            at="generation",
            holds=lambda self: (
                self.generation is not None or not any(metric.type in GENERATED for metric in self.metrics)
            ),
            rule="must be given with metrics of what the model makes",
            remedy="Add generation, for example {samples: 1000}; metrics of images need its extractor too.",
            cel=f"has(self.generation) || !has(self.metrics) || !self.metrics.exists(m, m.type in {listed_in_cel(GENERATED)})",
        ),
        Rule(
            fields=("metrics", "generation"),
            at="generation.extractor",
            holds=lambda self: (
                self.generation is None
                or self.generation.extractor is not None
                or not any(metric.type in OF_IMAGES for metric in self.metrics)
            ),
            rule="must be given with metrics of generated images",
            remedy="Add extractor with type, uri and sha256; `raygen evaluate train-extractor` makes one from labelled images.",
            cel=(
                "!has(self.generation) || has(self.generation.extractor) || !has(self.metrics)"
                f" || !self.metrics.exists(m, m.type in {listed_in_cel(OF_IMAGES)})"
            ),
        ),
        Rule(
            fields=("metrics", "gates"),
            at="gates",
            holds=lambda self: (
                {gate.metric for gate in self.gates} <= {metric.name for metric in self.metrics}
            ),
            rule="must name metrics that are in metrics",
            remedy="Name one of the metrics, or add one under this name.",
            cel=(
                "!has(self.gates) || self.gates.all(g, has(self.metrics)"
                " && self.metrics.exists(m, m.name == g.metric))"
            ),
        ),
    )


class ResolvedEvaluation(Evaluation):
    """Evaluation with every default written out."""

    metrics: tuple[Annotated[ResolvedMetric, Field(discriminator="type")], ...] = ()
