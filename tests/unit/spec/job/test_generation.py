"""Rules of what is generated and measured: each refuses what it should, and its CEL finds the same."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.errors import ValidationError
from raygen.spec import TrainingJob, parse, resolve
from raygen.spec.families.metrics import GENERATED, OF_IMAGES, OF_TEXTS
from raygen.spec.job.evaluation import METRICS
from tests.budget import examples
from tests.jobs import image_job_document, job_document
from tests.unit.spec.cel import faults_by_cel, faults_by_python

EXTRACTOR = {"type": "Network", "uri": "a.safetensors", "sha256": "0" * 64}
TIMM = {**EXTRACTOR, "type": "Timm"}
LOSS = {"name": "loss", "type": "ValidationLoss"}


def metric(kind: str, **settings: Any) -> dict[str, Any]:
    return {"name": kind.lower(), "type": kind, **settings}


def text(metrics: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    return job_document(evaluation__metrics=metrics, evaluation__everySteps=10, **changes)


def gan(metrics: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    return image_job_document("GAN", evaluation__metrics=metrics, **changes)


def generation(**fields: Any) -> dict[str, Any]:
    return {"evaluation__generation": fields}


def faults(document: dict[str, Any]) -> set[tuple[str, str]]:
    """Of a job; and that CEL finds the same."""
    found = faults_by_python(TrainingJob, document)
    assert found == faults_by_cel(TrainingJob, document)
    return found


FRECHET, BLEU = metric("FrechetDistance"), metric("SelfBLEU")


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (text([BLEU]), "spec.evaluation.generation"),
        (gan([FRECHET]), "spec.evaluation.generation"),
        (gan([FRECHET], **generation()), "spec.evaluation.generation.extractor"),
        (gan([FRECHET], **generation(extractor=TIMM)), "spec.evaluation.generation.extractor.model"),
        (
            gan([FRECHET], **generation(extractor=EXTRACTOR | {"model": "resnet18"})),
            "spec.evaluation.generation.extractor.model",
        ),
        (
            gan([FRECHET], **generation(extractor=EXTRACTOR | {"uri": "https://u:p@a/b"})),
            "spec.evaluation.generation.extractor.uri",
        ),
        (text([FRECHET], **generation(extractor=EXTRACTOR)), "spec.evaluation.metrics"),
        (gan([BLEU], **generation()), "spec.evaluation.metrics"),
        (gan([LOSS]), "spec.evaluation.metrics"),
        (text([LOSS], data__validation=None), "spec.evaluation.metrics"),
        (
            gan([FRECHET], data__validation=None, **generation(extractor=EXTRACTOR, reference="Validation")),
            "spec.evaluation.generation.reference",
        ),
        (text([LOSS, LOSS]), "spec.evaluation.metrics"),
        (text([LOSS], evaluation__gates=[{"metric": "other", "atMost": 1}]), "spec.evaluation.gates"),
        (text([], evaluation__gates=[{"metric": "loss", "atMost": 1}]), "spec.evaluation.gates"),
        (text([LOSS], evaluation__gates=[{"metric": "loss"}]), "spec.evaluation.gates[0]"),
        (
            text([LOSS], evaluation__gates=[{"metric": "loss", "atMost": 1, "atLeast": 0}]),
            "spec.evaluation.gates[0]",
        ),
        (text([LOSS | {"ngramLength": 3}]), "spec.evaluation.metrics[0].ngramLength"),
        (text([LOSS | {"neighbours": 3}]), "spec.evaluation.metrics[0].neighbours"),
        (text([LOSS], checkpoint__keepBest={"metric": "selfbleu"}), "spec.checkpoint.keepBest.metric"),
        (
            text([LOSS], training__earlyStopping={"metric": "selfbleu", "patience": 1}),
            "spec.training.earlyStopping.metric",
        ),
    ],
)
def test_each_rule_refuses_what_it_should_and_so_does_its_cel(document: dict[str, Any], path: str) -> None:
    found = {place for place, _ in faults(document)}
    assert path in found
    assert found <= {path, "spec.evaluation.metrics"}


@pytest.mark.parametrize(
    "document",
    [
        text([BLEU], **generation(samples=2), data__validation=None),
        text([LOSS, BLEU], **generation(), checkpoint__keepBest={"metric": "selfbleu"}),
        text([BLEU], **generation(), evaluation__gates=[{"metric": "selfbleu", "atMost": 0.5}]),
        gan([FRECHET], **generation(extractor=EXTRACTOR), data__validation=None),
        gan([FRECHET], **generation(extractor=TIMM | {"model": "resnet18.a1_in1k"}, reference="Validation")),
        gan([], **generation(extractor=EXTRACTOR)),
    ],
)
def test_what_can_be_measured_is_taken(document: dict[str, Any]) -> None:
    assert faults(document) == set()


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"samples": 1}, "samples"),
        ({"samples": 100_001}, "samples"),
        ({"reference": "Test"}, "reference"),
        ({"extractor": EXTRACTOR | {"sha256": "abc"}}, "extractor.sha256"),
        ({"extractor": EXTRACTOR | {"type": "Pickle"}}, "extractor.type"),
        ({"temperature": -1}, "temperature"),
    ],
)
def test_values_out_of_bounds_are_told_with_their_place(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse(gan([], evaluation__generation=fields))
    assert f"spec.evaluation.generation.{path}" in {fault.path for fault in caught.value.faults}


@pytest.mark.parametrize("family", ["VAE", "GAN", "Custom", "Transformer"])
@pytest.mark.parametrize("kind", METRICS)
def test_every_metric_is_taken_of_the_families_that_have_it_and_of_no_other(family: str, kind: str) -> None:
    extra = generation(extractor=EXTRACTOR) if kind in OF_IMAGES else generation()
    changes = {} if kind not in GENERATED else extra
    document = (
        text([metric(kind)], **changes)
        if family == "Transformer"
        else image_job_document(family, evaluation__metrics=[metric(kind)], **changes)
    )
    found = faults(document)
    taken = {
        "Transformer": {*OF_TEXTS, "ValidationLoss", "BitsPerByte", "Perplexity"},
        "GAN": {*OF_IMAGES},
    }.get(family)
    if taken is not None:
        assert (found == set()) is (kind in taken)
    elif kind in GENERATED:
        assert (found == set()) is (kind in OF_IMAGES), "a custom model is asked for what its data holds"


KINDS = st.sampled_from(["ValidationLoss", "FrechetDistance", "Recall", "SelfBLEU", "BitsPerDim"])


@st.composite
def evaluations(draw: st.DrawFn) -> dict[str, Any]:
    documents = [job_document(), *(image_job_document(name) for name in ("VAE", "GAN", "Custom"))]
    document: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(documents)))
    names = st.sampled_from(["loss", "b"])
    bound = st.fixed_dictionaries({"metric": names}, optional={"atMost": st.just(1), "atLeast": st.just(0.5)})
    extractors = st.fixed_dictionaries(
        {
            "type": st.sampled_from(["Network", "ONNX", "Timm"]),
            "uri": st.just("a"),
            "sha256": st.just("0" * 64),
        },
        optional={"model": st.just("m")},
    )
    metrics = st.fixed_dictionaries(
        {"name": names, "type": KINDS}, optional={"ngramLength": st.just(2), "neighbours": st.just(2)}
    )
    generated = st.fixed_dictionaries(
        {}, optional={"extractor": extractors, "reference": st.sampled_from(["Train", "Validation"])}
    )
    optional = {
        "metrics": st.lists(metrics, max_size=3),
        "generation": generated,
        "gates": st.lists(bound, max_size=2),
        "everySteps": st.just(5),
    }
    document["spec"]["evaluation"] = draw(st.fixed_dictionaries({}, optional=optional))
    if draw(st.booleans()):
        document["spec"]["data"].pop("validation", None)
    if draw(st.booleans()):
        document["spec"]["checkpoint"]["keepBest"] = {"metric": draw(names)}
    return document


@examples(200)
@given(evaluations())
def test_rules_and_their_cel_find_the_same_faults(document: dict[str, Any]) -> None:
    faults(document)


def test_what_is_left_out_is_resolved_by_type() -> None:
    metrics = [metric("Recall"), FRECHET, metric("Coverage", neighbours=9)]
    job = resolve(parse(gan(metrics, **generation(extractor=EXTRACTOR))))
    recall, frechet, coverage = job.spec.evaluation.metrics
    assert (recall.neighbours, frechet.neighbours, coverage.neighbours) == (5, None, 9)
    job = resolve(parse(text([BLEU], **generation())))
    assert job.spec.evaluation.metrics[0].ngram_length == 4
    asked = job.spec.evaluation.generation
    assert asked is not None
    assert (asked.samples, asked.seed, asked.reference) == (1000, None, "Train")
