"""What is measured and shown while training, and which values a model must reach."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from raygen.spec.families.metrics import GENERATED, NEIGHBOURHOOD, OF_IMAGES, OF_TEXTS
from raygen.spec.schema.base import (
    Bound,
    Count,
    Digest,
    Index,
    MetricName,
    Rule,
    Share,
    Spec,
    Tagged,
    Text,
    Uri,
    exactly_one,
    plain_uri,
)

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
    ngram_length: Annotated[int, Field(ge=1, le=16)] | None = None
    """Tokens in an n-gram; of SelfBLEU in the longest. Default: 4."""

    list_key: ClassVar[str | None] = "name"
    belongs: ClassVar[dict[str, tuple[str, ...]]] = {
        "importance_samples": ("NegativeLogLikelihood",),
        "images": ("NegativeLogLikelihood",),
        "neighbours": NEIGHBOURHOOD,
        "ngram_length": OF_TEXTS,
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
    ngram_length: Annotated[int, Field(ge=1, le=16)] = 4


METRICS: tuple[str, ...] = get_args(Metric.model_fields["type"].annotation)
"""Every type of metric."""
ResolvedMetric = PlainMetric | NegativeLogLikelihood | NeighbourhoodMetric | NgramMetric


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
