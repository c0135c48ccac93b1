"""What is measured and shown while training, and what is kept."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from raygen.spec.base import Count, MetricName, Positive, Rule, Spec, Text

Probability1 = Annotated[float, Field(gt=0, le=1)]

LOWER_IS_BETTER: dict[str, bool] = {"ValidationLoss": True, "BitsPerByte": True, "Perplexity": True}


class Metric(Spec):
    """A number measured on the validation split."""

    name: MetricName
    """Name under which it is logged; other fields refer to it."""
    type: Literal["ValidationLoss", "BitsPerByte", "Perplexity"]
    """ValidationLoss: mean loss per token, in nats, over the whole validation split in windows of contextLength that do not
    overlap. BitsPerByte: the same per byte of text, in bits, which does not depend on the tokenizer. Perplexity: exp(loss)."""


class Samples(Spec):
    """Texts that the model writes while it trains, from a fixed seed, so that steps compare."""

    every_steps: Count
    """Steps between samples; the last step always gives some."""
    count: Annotated[int, Field(ge=1, le=64)] = 4
    """Texts each time."""
    prompts: Annotated[tuple[Text, ...], Field(max_length=64)] = ()
    """Beginnings to continue, taken in turn. Default: an empty one."""
    max_tokens: Annotated[int, Field(ge=1, le=65_536)] = 200
    """Length of each text, in tokens after the prompt."""
    temperature: Annotated[float, Field(ge=0, le=100)] = 0.8
    """Divides the logits; 0 takes the most likely token."""
    top_k: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Only the k most likely tokens. Default: all."""
    top_p: Probability1 | None = None
    """Only the most likely tokens that together have this probability (nucleus sampling). Default: all."""
    min_p: Probability1 | None = None
    """Only tokens with at least this share of the most likely token's probability. Default: all."""
    repetition_penalty: Annotated[float, Field(ge=1, le=10)] = 1.0
    """Divides positive logits, and multiplies negative ones, of tokens that are already in the text (Keskar et al. 2019)."""


class Evaluation(Spec):
    """What is measured and shown while training."""

    every_steps: Count | None = None
    """Steps between evaluations; the last step is always evaluated. Default: only the last."""
    metrics: Annotated[tuple[Metric, ...], Field(max_length=32)] = ()
    """Metrics, each under a name of its own."""
    samples: Samples | None = None
    """Texts to write while training."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            fields=("metrics",),
            at="metrics",
            holds=lambda self: len({metric.name for metric in self.metrics}) == len(self.metrics),
            rule="must have names that differ",
            remedy="Rename one of the metrics.",
            cel="self.metrics.all(a, self.metrics.exists_one(b, a.name == b.name))",
        ),
    )


class KeepBest(Spec):
    """Keeps the checkpoint with the best value of a metric, beside the newest ones."""

    metric: MetricName
    """Name of the metric in `evaluation.metrics`."""


class Checkpoint(Spec):
    """When the state of training is saved."""

    every_steps: Count | None = None
    """Steps between checkpoints; the last step always gives one. Default: only time counts."""
    every_seconds: Positive | None = 300.0
    """Most seconds between checkpoints."""
    keep: Annotated[int, Field(ge=2, le=1000)] = 3
    """Newest checkpoints to keep; at least two, so that a damaged one never is the only one."""
    keep_best: KeepBest | None = None
    """Keep the best one too."""


class Output(Spec):
    """Where the run directory is."""

    uri: Annotated[str, Field(min_length=1, max_length=1024)] = "runs/"
    """Folder of all runs, as a path or file:// URI; relative to the working directory."""
    run: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?$")] | None = None
    """The run's name: the folder inside `uri`. The same name continues the run. Default: the job's name."""


class Tracking(Spec):
    """Services that show metrics while they come in, besides the run directory's own TensorBoard files."""

    wandb: Wandb | None = None
    """Weights & Biases; needs the extra `wandb`."""
    mlflow: MLflow | None = None
    """MLflow; needs the extra `mlflow`."""


class Wandb(Spec):
    """Weights & Biases. Address, key and mode come from its own environment variables."""

    project: Annotated[str, Field(min_length=1, max_length=128)] = "raygen"
    """Project to log to."""


class MLflow(Spec):
    """MLflow. Address and credentials come from its own environment variables."""

    experiment: Annotated[str, Field(min_length=1, max_length=128)] = "raygen"
    """Experiment to log to."""


Tracking.model_rebuild()
