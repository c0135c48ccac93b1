from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from raygen.spec import ResolvedJob, diff, parse, resolve
from tests.budget import examples
from tests.jobs import image_job_document, job_document
from tests.unit.spec.documents import valid_jobs


def resolved(**changes: Any) -> ResolvedJob:
    return resolve(parse(job_document(**changes)))


@pytest.mark.parametrize(
    ("activation", "hidden", "expected"),
    [("SwiGLU", 128, 344), ("SwiGLU", 48, 128), ("SwiGLU", 2, 8), ("GELU", 48, 192)],
)
def test_feed_forward_size(activation: str, hidden: int, expected: int) -> None:
    job = resolved(
        model__transformer__activation=activation,
        model__transformer__hiddenSize=hidden,
        model__transformer__heads=1,
    )
    assert job.spec.model.transformer is not None
    assert job.spec.model.transformer.feed_forward_size == expected
    assert job.spec.model.transformer.kv_heads == 1


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("SGD", {"momentum": 0.0, "nesterov": False}),
        ("Adam", {"betas": (0.9, 0.999), "epsilon": 1e-8}),
        ("AdamW", {"betas": (0.9, 0.95), "epsilon": 1e-8}),
        ("AdaGrad", {"epsilon": 1e-10}),
        ("Muon", {"betas": (0.9, 0.95), "epsilon": 1e-8, "momentum": 0.95, "nesterov": True, "matrix_learning_rate": 0.02}),
    ],
)  # fmt: skip
def test_optimizers(kind: str, expected: dict[str, Any]) -> None:
    optimizer = resolved(training__optimizer__type=kind).spec.training.optimizer
    names = ("betas", "epsilon", "momentum", "nesterov", "matrix_learning_rate")
    assert {
        name: getattr(optimizer, name) for name in names if getattr(optimizer, name) is not None
    } == expected


@pytest.mark.parametrize(
    ("kind", "expected"), [("Constant", None), ("Cosine", 1e-3), ("Linear", 0.0), ("WarmupStableDecay", 0.0)]
)
def test_final_learning_rate(kind: str, expected: float | None) -> None:
    schedule = resolved(training__schedule={"type": kind}).spec.training.schedule
    assert schedule.final_learning_rate == (pytest.approx(expected) if expected else expected)


def test_data_and_output() -> None:
    sources = [
        {"uri": "a", "format": "JsonLines"},
        {"uri": "b"},
        {"uri": "c", "format": "JsonLines", "field": "body"},
    ]
    job = resolved(
        data__train__sources=sources, data__validation={"sources": sources}, data__tokenizer__type="BPE"
    )
    assert [source.field for source in job.spec.data.train.sources] == ["text", None, "body"]
    assert job.spec.data.validation is not None
    assert job.spec.data.validation.sources == job.spec.data.train.sources
    assert job.spec.data.tokenizer.vocabulary_size == 4096
    assert job.spec.output.run == "tiny"


@examples(300)
@given(valid_jobs())
def test_resolving_keeps_what_was_set_and_is_done_once(document: dict[str, Any]) -> None:
    job = parse(document)
    once = resolve(job)
    assert resolve(once) == once
    assert resolve(parse(once.model_dump(mode="json"))) == once
    assert all(change.before is None or "sources" in change.path for change in diff(job, once))


@pytest.mark.parametrize(
    ("family", "changes", "expected"),
    [
        ("GAN", {}, {"normalisation": "Off", "gradient_penalty": None, "augmentation": None}),
        ("GAN", {"network": "DCGAN", "loss": "Wasserstein"}, {"normalisation": "Batch", "gradient_penalty": 10.0}),
        ("VAE", {"hiddenSizes": None}, {"hidden_sizes": (400,), "activation": "ReLU", "binarisation": "GreyLevels"}),
        ("VAE", {"network": "ConvResidual", "hiddenSizes": None, "likelihood": "Gaussian"}, {"channels": (32, 64, 128), "blocks": 1, "binarisation": None}),
    ],
)  # fmt: skip
def test_blocks_of_images(family: str, changes: dict[str, Any], expected: dict[str, Any]) -> None:
    document = image_job_document(family)
    document["spec"]["model"][family.lower()] |= changes
    block = resolve(parse(document)).spec.model.block
    assert {name: getattr(block, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("loss", "others"),
    [("NonSaturating", ["ModeCollapse", "DiscriminatorOverpowering"]), ("Wasserstein", ["ModeCollapse"])],
)
def test_the_usual_guards_follow_from_the_model(loss: str, others: list[str]) -> None:
    guards = resolve(parse(image_job_document("GAN", model__gan__loss=loss))).spec.training.guards
    assert [(guard.type, guard.action) for guard in guards] == [
        ("NonFiniteLoss", "Stop"),
        *((name, "Warn") for name in others),
    ]


def test_what_is_written_out_belongs_to_the_choice() -> None:
    guards = [{"type": kind, "action": "Warn"} for kind in ("NonFiniteLoss", "LossSpike")]
    first, spike = resolved(training__guards=guards).spec.training.guards
    assert (first.threshold, first.patience, first.after_steps, first.window) == (None,) * 4
    assert (spike.threshold, spike.patience, spike.after_steps, spike.window) == (10.0, 5, 0, 200)
    metrics = [{"name": "a", "type": "NegativeLogLikelihood"}, {"name": "b", "type": "ValidationLoss"}]
    document = image_job_document("VAE", evaluation__metrics=metrics)
    assert [m.importance_samples for m in resolve(parse(document)).spec.evaluation.metrics] == [100, None]
