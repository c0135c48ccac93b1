from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from raygen.spec import TrainingJob, diff, may_change, parse, resolve
from tests.budget import examples
from tests.jobs import job_document
from tests.unit.spec.documents import valid_jobs


def resolved(**changes: Any) -> TrainingJob:
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
    assert parse(once.model_dump(mode="json")) == once
    assert all(change.before is None or "sources" in change.path for change in diff(job, once))


def test_diff_names_every_value_in_the_order_of_the_format() -> None:
    before = parse(job_document())
    after = parse(
        job_document(
            training__seed=2, training__ema={"decay": 0.9}, model__transformer__layers=3, scale={"workers": 2}
        )
    )
    assert [str(change) for change in diff(before, after)] == [
        "spec.model.transformer.layers: 2 in the run, 3 now",
        "spec.training.seed: 1 in the run, 2 now",
        "spec.scale.workers: 1 in the run, 2 now",
        "spec.training.ema.decay: null in the run, 0.9 now",
    ]
    assert diff(before, before) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"training__duration": {"epochs": 2}},
        {"training__microBatchSize": 2},
        {"training__compile": "Never"},
        {"training__earlyStopping": {"metric": "loss", "patience": 2}},
        {"evaluation__everySteps": 7},
        {"checkpoint__keepBest": {"metric": "loss"}},
        {"scale__workers": 2},
        {"tracking": {"wandb": {}}},
        {"output__uri": "elsewhere"},
        {"data__train__sources": [{"uri": "moved.txt"}]},
    ],
)
def test_what_may_change_between_attempts(changes: dict[str, Any]) -> None:
    found = diff(resolved(), resolved(**changes))
    assert found
    assert all(may_change(change.path) for change in found)


def test_labels_may_change_but_not_the_name() -> None:
    before, labelled, renamed = job_document(), job_document(), job_document()
    labelled["metadata"]["labels"] = {"a.b/c": "x"}
    renamed["metadata"]["name"] = "other"
    assert [may_change(change.path) for change in diff(parse(before), parse(labelled))] == [True]
    assert [may_change(change.path) for change in diff(parse(before), parse(renamed))] == [False]


@pytest.mark.parametrize(
    "changes",
    [
        {"model__transformer__layers": 3},
        {"training__optimizer__learningRate": 0.5},
        {"training__schedule": {"type": "Cosine"}},
        {"training__globalBatchSize": 8},
        {"training__seed": 2},
        {"training__precision": "BFloat16"},
        {"training__ema": {"decay": 0.9}},
        {"data__tokenizer__type": "Byte"},
    ],
)
def test_what_may_not(changes: dict[str, Any]) -> None:
    assert not any(may_change(change.path) for change in diff(resolved(), resolved(**changes)))


def test_paths_are_compared_by_whole_keys() -> None:
    assert may_change("spec.scale.workers")
    assert not may_change("spec.scaleFactor")
    assert not may_change("spec")


def test_a_longer_duration_changes_nothing_else() -> None:
    schedule = {"type": "WarmupStableDecay"}
    longer = resolved(training__schedule=schedule, training__duration={"steps": 99})
    assert [c.path for c in diff(resolved(training__schedule=schedule), longer)] == [
        "spec.training.duration.steps"
    ]
