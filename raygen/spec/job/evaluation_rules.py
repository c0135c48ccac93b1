"""Rules between a job's evaluation and the rest of it: each metric can be measured, and what is named is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from raygen.spec.families.metrics import GENERATED, OF_IMAGES, OF_TEXTS
from raygen.spec.families.table import FAMILIES
from raygen.spec.job.evaluation import METRICS, listed_in_cel
from raygen.spec.schema.base import Rule

_IS_GENERATED = listed_in_cel(GENERATED)
_NO_METRICS = (
    "(!has(self.evaluation) || !has(self.evaluation.metrics) || self.evaluation.metrics.size() == 0)"
)


def _has_metric(name: str) -> str:
    """CEL: a metric has this name."""
    return (
        "(has(self.evaluation) && has(self.evaluation.metrics)"
        f" && self.evaluation.metrics.exists(m, m.name == {name}))"
    )


def evaluation_rules(is_text: str, suits: Callable[[Mapping[str, Sequence[str]]], str]) -> tuple[Rule, ...]:
    """Rules of a job's spec.

    Args:
        is_text: CEL: the sources hold text.
        suits: Gives CEL that says of m that the model is of one of the families which a table has for m's type.
    """
    # Of metrics, those that are made for one kind of data come first.
    families = sorted(FAMILIES.values(), key=lambda family: len(family.contents))
    suits_metric = suits(
        {kind: [family.name for family in families if kind in family.metrics] for kind in METRICS}
    )
    return (
        *_measurable(is_text, suits_metric),
        *_named(),
    )


def _measurable(is_text: str, suits_metric: str) -> tuple[Rule, ...]:
    return (
        Rule(
            fields=("model.type", "evaluation.metrics"),
            at="evaluation.metrics",
            holds=lambda self: all(m.type in self.model.family.metrics for m in self.evaluation.metrics),
            rule="must suit the model ({self.model.type})",
            remedy="Choose metrics that the reference lists for this model.type, or remove them.",
            cel=f"{_NO_METRICS} || self.evaluation.metrics.all(m, {suits_metric})",
        ),
        Rule(
            fields=("model.vae.codebook", "evaluation.metrics"),
            at="evaluation.metrics",
            holds=lambda self: (
                self.model.vae is None
                or self.model.vae.codebook is None
                or all(m.type == "ValidationLoss" for m in self.evaluation.metrics)
            ),
            rule="must be ValidationLoss with model.vae.codebook, whose loss is not a bound on the likelihood",
            remedy="Remove the other metrics.",
            cel=(
                f"!has(self.model.vae) || !has(self.model.vae.codebook) || {_NO_METRICS}"
                " || self.evaluation.metrics.all(m, m.type == 'ValidationLoss')"
            ),
        ),
        Rule(
            fields=("data.validation", "evaluation.metrics"),
            at="evaluation.metrics",
            holds=lambda self: (
                self.data.validation is not None
                or all(metric.type in GENERATED for metric in self.evaluation.metrics)
            ),
            rule="needs data.validation",
            remedy="Give data.validation, for example {fraction: 0.1}, or remove the metrics of that split.",
            cel=f"has(self.data.validation) || {_NO_METRICS} || self.evaluation.metrics.all(m, m.type in {_IS_GENERATED})",
        ),
        Rule(
            fields=("data.validation", "evaluation.generation"),
            at="evaluation.generation.reference",
            holds=lambda self: (
                self.data.validation is not None
                or self.evaluation.generation is None
                or self.evaluation.generation.reference == "Train"
            ),
            rule="must be Train without data.validation",
            remedy="Remove reference, or give data.validation.",
            cel=(
                "has(self.data.validation) || !has(self.evaluation) || !has(self.evaluation.generation)"
                " || !has(self.evaluation.generation.reference) || self.evaluation.generation.reference == 'Train'"
            ),
        ),
        Rule(
            fields=("data.train.sources", "evaluation.metrics"),
            at="evaluation.metrics",
            holds=lambda self: (
                not any(
                    metric.type in (OF_IMAGES if self.data.kind == "text" else OF_TEXTS)
                    for metric in self.evaluation.metrics
                )
            ),
            rule="must be of what the sources hold, text or images",
            remedy="Remove the metrics of the other one.",
            cel=(
                f"{_NO_METRICS} || !self.evaluation.metrics.exists(m,"
                f" m.type in ({is_text} ? {listed_in_cel(OF_IMAGES)} : {listed_in_cel(OF_TEXTS)}))"
            ),
        ),
    )


def _named() -> tuple[Rule, ...]:
    return (
        Rule(
            fields=("training.early_stopping.metric", "evaluation.metrics"),
            at="training.earlyStopping.metric",
            holds=lambda self: (
                self.training.early_stopping is None
                or self.training.early_stopping.metric in {m.name for m in self.evaluation.metrics}
            ),
            rule="must be the name of a metric in evaluation.metrics",
            remedy="Name one of the metrics, or add one under this name.",
            cel="!has(self.training.earlyStopping) || " + _has_metric("self.training.earlyStopping.metric"),
        ),
        Rule(
            fields=("training.early_stopping", "evaluation.every_steps"),
            at="training.earlyStopping",
            holds=lambda self: (
                self.training.early_stopping is None or self.evaluation.every_steps is not None
            ),
            rule="needs evaluation.everySteps",
            remedy="Give evaluation.everySteps, so that there are evaluations to compare.",
            cel=(
                "!has(self.training.earlyStopping)"
                " || (has(self.evaluation) && has(self.evaluation.everySteps))"
            ),
        ),
        Rule(
            fields=("checkpoint.keep_best.metric", "evaluation.metrics"),
            at="checkpoint.keepBest.metric",
            holds=lambda self: (
                self.checkpoint.keep_best is None
                or self.checkpoint.keep_best.metric in {m.name for m in self.evaluation.metrics}
            ),
            rule="must be the name of a metric in evaluation.metrics",
            remedy="Name one of the metrics, or add one under this name.",
            cel=(
                "!has(self.checkpoint) || !has(self.checkpoint.keepBest) || "
                + _has_metric("self.checkpoint.keepBest.metric")
            ),
        ),
    )
