from __future__ import annotations

import copy
from typing import Any

import pytest

from raygen.errors import ValidationError
from raygen.jobfile import override
from raygen.spec import parse
from tests.jobs import job_document


@pytest.mark.parametrize(
    ("assignment", "path", "value"),
    [
        ("training.seed=3", ("spec", "training", "seed"), 3),
        ("spec.training.seed=3", ("spec", "training", "seed"), 3),
        ("training.optimizer.learningRate=3e-4", ("spec", "training", "optimizer", "learningRate"), 3e-4),
        ("training.optimizer.betas=[0.8, 0.9]", ("spec", "training", "optimizer", "betas"), [0.8, 0.9]),
        ("training.ema.decay=0.9", ("spec", "training", "ema", "decay"), 0.9),
        ("training.schedule={type: Cosine}", ("spec", "training", "schedule"), {"type": "Cosine"}),
        ("training.earlyStopping=", ("spec", "training", "earlyStopping"), None),
        ("data.train.sources[0].uri=a=b", ("spec", "data", "train", "sources", 0, "uri"), "a=b"),
        ("data.train.sources.0.uri=x", ("spec", "data", "train", "sources", 0, "uri"), "x"),
        ("data.train.sources[1].uri=x", ("spec", "data", "train", "sources", 1, "uri"), "x"),
        ("data.train.sources[1]={uri: x}", ("spec", "data", "train", "sources", 1, "uri"), "x"),
        (
            "evaluation.metrics[loss].type=Perplexity",
            ("spec", "evaluation", "metrics", 0, "type"),
            "Perplexity",
        ),
        (
            "evaluation.metrics.loss.type=Perplexity",
            ("spec", "evaluation", "metrics", 0, "type"),
            "Perplexity",
        ),
        ("metadata.name=other", ("metadata", "name"), "other"),
        ("metadata.labels.app.kubernetes.io/name=x", ("metadata", "labels", "app.kubernetes.io/name"), "x"),
        ('metadata.labels["a.b/c"]=x', ("metadata", "labels", "a.b/c"), "x"),
        ("output.run=2026-11-24", ("spec", "output", "run"), "2026-11-24"),
    ],
)
def test_values_are_set(assignment: str, path: tuple[str | int, ...], value: Any) -> None:
    raw = job_document()
    before = copy.deepcopy(raw)
    found: Any = override(raw, [assignment])
    parse(found)
    for part in path:
        found = found[part]
    assert found == value
    assert raw == before


def test_later_ones_win() -> None:
    assert override(job_document(), ["training.seed=3", "training.seed=4"])["spec"]["training"]["seed"] == 4


@pytest.mark.parametrize(
    ("assignment", "path", "words"),
    [
        ("training.optimiser.type=SGD", "spec.training.optimiser", "Did you mean optimizer?"),
        ("seed=3", "spec.seed", "It belongs under spec.training or spec.evaluation.generation."),
        ("training.seed.x=3", "training.seed.x", "leads nowhere at x"),
        ("evaluation.metrics[los].type=x", "evaluation.metrics[los].type", "Did you mean loss?"),
        ("evaluation.metrics[zzz].type=x", "evaluation.metrics[zzz].type", "The names are loss."),
        ("data.train.sources[b].uri=x", "data.train.sources[b].uri", "Give the item's position"),
        ("data.train.sources[7].uri=x", "data.train.sources[7].uri", "Use at most [1]"),
        ("training.seed", "training.seed", "must have the form path=value"),
        ("=3", "=3", "must have the form path=value"),
        ("", "--set", "must have the form path=value"),
        ("training..seed=3", "training..seed", "must have the form path=value"),
        ("training.seed=[", "training.seed", "is not YAML"),
        ("training.seed=&a [*a]", "training.seed", "inside what it repeats"),
        ("training.seed={a: 1, a: 2}", "training.seed", "is there twice"),
        ("training.seed=\ud800", "training.seed", "is not text"),
    ],
)
def test_paths_that_lead_nowhere(assignment: str, path: str, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        override(job_document(), [assignment])
    (fault,) = caught.value.faults
    assert caught.value.where == "--set"
    assert fault.path == path
    assert words in str(fault)
    str(fault).encode()


def test_all_faults_are_found_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        override(job_document(), ["a", "training.seed=2", "seed=1"])
    assert len(caught.value.faults) == 2


@pytest.mark.parametrize("raw", [None, [], "x"])
def test_a_file_without_a_job(raw: Any) -> None:
    with pytest.raises(ValidationError, match="needs a file that holds a job"):
        override(raw, ["training.seed=1"])


def test_parts_of_another_kind_are_left_alone() -> None:
    with pytest.raises(ValidationError, match="leads nowhere at seed"):
        override({"spec": {"training": [1]}}, ["training.seed=1"])
