from __future__ import annotations

from typing import Any

import pytest

from raygen.spec import notices, parse, resolve
from tests.jobs import image_job_document, job_document


def told(document: dict[str, Any]) -> list[str]:
    return notices(resolve(parse(document)))


@pytest.mark.parametrize(
    "changes",
    [{"scale": {"workers": 2}}, {"training__microBatchSize": 1}],
    ids=["workers", "micro-batches"],
)
def test_what_depends_on_how_a_batch_is_spread_is_named(changes: dict[str, Any]) -> None:
    (batch_norm,) = told(image_job_document("GAN", model__gan__network="DCGAN", **changes))
    assert batch_norm.startswith("spec.model.gan.normalisation")
    (dropout,) = told(job_document(model__transformer__dropout=0.1, **changes))
    assert dropout.startswith("spec.model.transformer.dropout")
    later = [{"atStep": 5, "values": {"model.transformer.dropout": 0.1}}]
    assert told(job_document(training__changes=later, **changes)) == [dropout]


@pytest.mark.parametrize("family", ["VAE", "GAN"])
def test_what_does_not_depend_on_it_is_not_named(family: str) -> None:
    assert told(image_job_document(family, scale={"workers": 3})) == []


def test_one_forward_pass_on_one_worker_needs_no_notice() -> None:
    assert told(image_job_document("GAN", model__gan__network="DCGAN")) == []
    assert told(job_document(model__transformer__dropout=0.1)) == []


@pytest.mark.parametrize(
    ("document", "known"),
    [
        (job_document(evaluation__metrics=None), ["ValidationLoss", "BitsPerByte", "SelfBLEU"]),
        (image_job_document("GAN", evaluation__everySteps=5), ["FrechetDistance", "KernelDistance"]),
    ],
    ids=["of text", "of what a GAN makes"],
)  # fmt: skip
def test_evaluations_of_nothing_are_told(document: dict[str, Any], known: list[str]) -> None:
    (notice,) = told(document)
    assert notice.startswith("spec.evaluation.everySteps: nothing is evaluated")
    offered = notice.partition("Add metrics (")[2].removesuffix("), or remove everySteps.").split(", ")
    assert set(known) <= set(offered)


def test_a_job_without_evaluations_needs_no_notice() -> None:
    assert told(job_document(evaluation=None)) == []
