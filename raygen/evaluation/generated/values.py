"""Values of metrics of what a model makes, from features of images or tokens of texts.

Shapes: N real samples, M generated ones, D features, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from torch import Tensor

from raygen.evaluation.extractors import Embedded
from raygen.evaluation.images.diversity import mean_pairwise_distance, vendi_score
from raygen.evaluation.images.features import Neighbourhood, neighbourhood
from raygen.evaluation.images.frechet import FeatureSums, frechet_distance
from raygen.evaluation.images.kernel import kernel_distance
from raygen.evaluation.images.probabilities import classifier_score
from raygen.evaluation.intervals import ERROR
from raygen.evaluation.text.repetition import distinct_share, repeated_share, self_bleu
from raygen.spec import Metric
from raygen.spec.families.metrics import NEIGHBOURHOOD

NEIGHBOURS, NGRAM = 5, 4
"""Of a metric that is not resolved."""


def part_of(embedded: Embedded, chosen: Tensor) -> Embedded:
    """The embedding of some samples, by numbers (S,)."""
    probabilities = embedded.probabilities
    return Embedded(embedded.features[chosen], None if probabilities is None else probabilities[chosen])


def image_values(metrics: Iterable[Metric], real: Embedded, made: Embedded) -> dict[str, float]:
    """Values of metrics of generated images.

    Args:
        metrics: Which; those of other things are left out.
        real: What they are compared with.
        made: The generated images.

    Returns:
        Metric name -> value, and <name>_standard_error where there is one.

    Raises:
        ValueError: there are too few samples for a metric, a feature is not finite, or there are no probabilities for ClassifierScore.
            The message begins with the metric's name.
    """
    values: dict[str, float] = {}
    around: dict[int, Neighbourhood] = {}
    for metric in metrics:
        try:
            if metric.type in NEIGHBOURHOOD:
                k = metric.neighbours or NEIGHBOURS
                if k not in around:
                    around[k] = neighbourhood(real.features, made.features, k)
                values[metric.name] = float(getattr(around[k], metric.type.lower()))
            elif metric.type == "KernelDistance":
                distance = kernel_distance(real.features, made.features)
                values[metric.name] = distance.value
                if distance.standard_error is not None:
                    values[metric.name + ERROR] = distance.standard_error
            elif metric.type in _OF_BOTH:
                values[metric.name] = _OF_BOTH[metric.type](real, made)
        except ValueError as error:
            raise ValueError(f"{metric.name}: {error}") from error
    return values


def _frechet(real: Embedded, made: Embedded) -> float:
    return frechet_distance(FeatureSums.of(real.features), FeatureSums.of(made.features)).value


def _classifier(_: Embedded, made: Embedded) -> float:
    if made.probabilities is None:
        raise ValueError("the extractor is not a classifier, so that it has no probabilities of classes")
    return classifier_score(made.probabilities).value


_OF_BOTH: dict[str, Callable[[Embedded, Embedded], float]] = {
    "FrechetDistance": _frechet,
    "ClassifierScore": _classifier,
    "MeanPairwiseDistance": lambda _, made: mean_pairwise_distance(made.features),
    "VendiScore": lambda _, made: vendi_score(made.features),
}


def text_values(metrics: Iterable[Metric], texts: Sequence[Sequence[int]]) -> dict[str, float]:
    """Values of metrics of generated texts, over their tokens.

    Args:
        metrics: Which; those of other things are left out.
        texts: The tokens of each; empty ones are left out.

    Returns:
        Metric name -> value; NaN where no text is long enough for one.
    """
    written = [text for text in texts if len(text)]
    values = {}
    for metric in metrics:
        n = metric.ngram_length or NGRAM
        if metric.type == "RepeatedNgrams":
            shares = [repeated_share(text, n) for text in written if len(text) >= n]
            values[metric.name] = math.fsum(shares) / len(shares) if shares else math.nan
        elif metric.type in ("DistinctNgrams", "SelfBLEU"):
            try:
                values[metric.name] = (
                    distinct_share(written, n) if metric.type == "DistinctNgrams" else self_bleu(written, n)
                )
            except ValueError:
                values[metric.name] = math.nan
    return values
