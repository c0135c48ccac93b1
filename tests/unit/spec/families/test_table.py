from __future__ import annotations

import typing

import pytest
from pydantic.alias_generators import to_camel

from raygen.spec import Model, Optimizers, TrainingJob, parse
from raygen.spec.families.table import FAMILIES, FIELDS, NETWORKS
from raygen.spec.job.evaluation import METRICS
from raygen.spec.job.guards import GUARDS
from raygen.spec.schema.fields import fields_of
from tests.jobs import image_job_document, job_document

JOBS: dict[str, TrainingJob] = {
    "Transformer": parse(job_document()),
    "GAN": parse(image_job_document("GAN")),
    "VAE": parse(image_job_document("VAE")),
}


def test_the_names_are_those_that_a_job_file_takes() -> None:
    assert tuple(FAMILIES) == typing.get_args(Model.model_fields["type"].annotation)
    assert fields_of(Model).keys() == {"type", *FIELDS.values()}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_names_what_there_is(name: str) -> None:
    family = FAMILIES[name]
    assert set(family.metrics) <= set(METRICS)
    assert set(family.usual_guards) <= set(family.guards) <= set(GUARDS)
    assert family.usual_guards[0] == "NonFiniteLoss"


def test_networks_are_fields_of_the_optimizers_and_the_first_one_leads() -> None:
    assert fields_of(Optimizers).keys() == {to_camel(name) for name in NETWORKS}
    assert all(len(set(one.networks)) == len(one.networks) != 1 for one in FAMILIES.values())
    gan = parse(image_job_document("GAN", training__optimizers__generator__learningRate=0.5))
    assert gan.spec.leading_optimizer is gan.spec.training.optimizer_of("generator")
    assert gan.spec.leading_optimizer.learning_rate == 0.5
    assert JOBS["VAE"].spec.leading_optimizer is JOBS["VAE"].spec.training.optimizer


@pytest.mark.parametrize("name", JOBS)
def test_the_block_of_a_job_is_its_familys(name: str) -> None:
    model = JOBS[name].spec.model
    assert model.block is getattr(model, FIELDS[name])
    assert model.block.family is model.family is FAMILIES[name]
    assert model.resolved().resolved() == model.resolved()


def test_a_model_without_its_block_says_so() -> None:
    with pytest.raises(ValueError, match="the job has no block gan"):
        _ = Model.model_construct(type="GAN").block


def test_every_metric_and_guard_suits_a_family() -> None:
    assert {metric for family in FAMILIES.values() for metric in family.metrics} == set(METRICS)
    assert {guard for family in FAMILIES.values() for guard in family.guards} == set(GUARDS)
