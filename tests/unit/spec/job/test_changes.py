from __future__ import annotations

from typing import Any

import pytest

from raygen.spec import TrainingJob, diff, may_change, parse, resolve
from tests.jobs import job_document


def resolved(**changes: Any) -> TrainingJob:
    return resolve(parse(job_document(**changes)))


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
