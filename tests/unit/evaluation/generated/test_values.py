"""Values by type of metric: those of the functions that compute them, and NaN where texts are too short."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from raygen.evaluation.extractors import Embedded
from raygen.evaluation.generated.values import image_values, part_of, text_values
from raygen.evaluation.images.diversity import mean_pairwise_distance, vendi_score
from raygen.evaluation.images.features import neighbourhood
from raygen.evaluation.images.frechet import FeatureSums, frechet_distance
from raygen.evaluation.images.kernel import kernel_distance
from raygen.evaluation.images.probabilities import classifier_score
from raygen.evaluation.text.repetition import distinct_share, repeated_share, self_bleu
from raygen.spec.families.metrics import GENERATED, OF_IMAGES
from raygen.spec.job.evaluation import Metric


def features(count: int, seed: int) -> Embedded:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(count, 6, generator=generator)
    return Embedded(values, torch.softmax(values[:, :3], dim=1))


REAL, MADE = features(60, 0), features(50, 1)


def metric(kind: str, name: str = "m", **settings: Any) -> Metric:
    return Metric.model_validate({"name": name, "type": kind, **settings})


def values(kind: str, **settings: Any) -> dict[str, float]:
    return image_values([metric(kind, **settings)], REAL, MADE)


def test_values_are_those_of_the_functions() -> None:
    real, made = REAL.features, MADE.features
    distance = frechet_distance(FeatureSums.of(real), FeatureSums.of(made)).value
    assert values("FrechetDistance") == {"m": distance}
    assert MADE.probabilities is not None
    assert values("ClassifierScore") == {"m": classifier_score(MADE.probabilities).value}
    assert values("MeanPairwiseDistance") == {"m": mean_pairwise_distance(made)}
    assert values("VendiScore") == {"m": vendi_score(made)}


@pytest.mark.parametrize("k", [None, 3])
def test_neighbours_are_those_of_the_metric(k: int | None) -> None:
    expected = neighbourhood(REAL.features, MADE.features, k or 5).values()
    settings = {} if k is None else {"neighbours": k}
    for kind in ("Precision", "Recall", "Density", "Coverage"):
        assert values(kind, **settings) == {"m": expected[kind.lower()]}


def test_a_kernel_distance_comes_with_its_standard_error_where_it_has_one() -> None:
    found = kernel_distance(REAL.features, MADE.features)
    expected = {"m": found.value}
    if found.standard_error is not None:
        expected["m_standard_error"] = found.standard_error
    assert values("KernelDistance") == expected
    many = features(3000, 2), features(3000, 3)
    both = image_values([metric("KernelDistance")], *many)
    assert both["m_standard_error"] == kernel_distance(many[0].features, many[1].features).standard_error


def test_several_metrics_keep_their_names_and_others_are_left_out() -> None:
    asked = [metric("Precision", "p"), metric("Precision", "near", neighbours=2), metric("VendiScore", "v")]
    found = image_values([*asked, metric("ValidationLoss", "loss"), metric("SelfBLEU", "bleu")], REAL, MADE)
    assert list(found) == ["p", "near", "v"]
    assert set(image_values([metric(kind, kind) for kind in GENERATED], REAL, MADE)) >= set(OF_IMAGES)


def test_what_cannot_be_measured_is_told_with_the_name_of_the_metric() -> None:
    few = part_of(MADE, torch.arange(5))
    with pytest.raises(ValueError, match=r"^near: sets of 60 and 5 samples are too small"):
        image_values([metric("Recall", "near")], REAL, few)
    without = Embedded(MADE.features, None)
    with pytest.raises(ValueError, match=r"^m: .*not a classifier"):
        image_values([metric("ClassifierScore")], REAL, without)
    broken = Embedded(MADE.features.clone().fill_(math.nan), None)
    with pytest.raises(ValueError, match=r"^m: "):
        image_values([metric("FrechetDistance")], REAL, broken)


def test_a_part_has_the_features_and_probabilities_of_its_samples() -> None:
    part = part_of(MADE, torch.tensor([4, 1]))
    assert torch.equal(part.features, MADE.features[[4, 1]])
    assert part.probabilities is not None
    assert MADE.probabilities is not None
    assert torch.equal(part.probabilities, MADE.probabilities[[4, 1]])
    assert part_of(Embedded(MADE.features, None), torch.tensor([0])).probabilities is None


TEXTS = [[1, 2, 3, 1, 2, 3, 4], [5, 6, 5, 6, 5, 6], [7], []]


def test_values_of_texts_are_those_of_the_functions() -> None:
    asked = [metric(kind, kind, ngramLength=2) for kind in ("DistinctNgrams", "RepeatedNgrams", "SelfBLEU")]
    written = TEXTS[:3]
    assert text_values([*asked, metric("VendiScore")], TEXTS) == {
        "DistinctNgrams": distinct_share(written, 2),
        # A text of one token has no pair that it could repeat.
        "RepeatedNgrams": pytest.approx((repeated_share(TEXTS[0], 2) + repeated_share(TEXTS[1], 2)) / 2),
        "SelfBLEU": self_bleu(written, 2),
    }


def test_n_is_4_where_the_metric_says_nothing() -> None:
    assert text_values([metric("DistinctNgrams")], TEXTS) == {"m": distinct_share(TEXTS, 4)}


@pytest.mark.parametrize("texts", [[], [[], []], [[1], []]])
def test_values_are_nan_where_no_text_is_long_enough(texts: list[list[int]]) -> None:
    asked = [metric(kind, kind) for kind in ("DistinctNgrams", "RepeatedNgrams", "SelfBLEU")]
    assert all(math.isnan(value) for value in text_values(asked, texts).values())
    assert len(text_values(asked, texts)) == 3
