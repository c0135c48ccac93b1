from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.errors import ValidationError
from raygen.jobfile import load
from raygen.spec import TrainingJob, parse
from raygen.spec.schema.json_schema import json_schema, objects
from tests.budget import examples
from tests.jobs import EXAMPLES, image_job_document, job_document
from tests.unit.spec.documents import job_documents, mutated

SCHEMA = json_schema(TrainingJob)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
RULE_REMEDIES = {rule.remedy for model in [TrainingJob, *objects(TrainingJob)] for rule in model.rules}


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_fit_and_name_it(path: Path) -> None:
    VALIDATOR.validate(load(path).raw)
    assert path.read_text(encoding="utf-8").startswith(
        "# yaml-language-server: $schema=../schemas/trainingjob.json\n"
    )


def test_there_are_examples() -> None:
    assert EXAMPLES


def properties(node: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for part in (node, *node.get("$defs", {}).values()):
        yield from part["properties"].items()


def test_every_property_has_a_title_and_a_description() -> None:
    for key, described in properties(SCHEMA):
        assert described["title"] == key
        assert described["description"].endswith(".")


def test_units_bounds_defaults_and_choices_are_there() -> None:
    transformer = SCHEMA["$defs"]["Transformer"]["properties"]
    assert transformer["contextLength"]["x-unit"] == "tokens"
    assert (transformer["layers"]["minimum"], transformer["layers"]["maximum"]) == (1, 1024)
    assert transformer["dropout"]["exclusiveMaximum"] == 1
    assert transformer["activation"]["enum"] == ["SwiGLU", "GELU"]
    assert transformer["activation"]["default"] == "SwiGLU"


def test_the_networks_of_a_model_have_an_optimizer_each() -> None:
    gan = image_job_document("GAN")
    assert VALIDATOR.is_valid(gan)
    for network in ("generator", "discriminator"):
        lacking = image_job_document("GAN", **{f"training__optimizers__{network}": None})
        assert not VALIDATOR.is_valid(lacking)
    assert not VALIDATOR.is_valid(image_job_document("GAN", training__optimizers__critic={}))


def test_unions_are_conditional() -> None:
    assert VALIDATOR.is_valid(job_document())
    assert VALIDATOR.is_valid(job_document(training__optimizer__betas=[0.9, 0.9]))
    for wrong in (
        {"training__optimizer__momentum": 0.9},
        {"training__duration": {"steps": 1, "tokens": 1}},
        {"model__transformer": None},
        {"data__tokenizer__vocabularySize": 300},
        {"data__train__sources": [{"uri": "x", "field": "text"}]},
        {"training__optimiser": {}},
    ):
        assert not VALIDATOR.is_valid(job_document(**wrong)), wrong


@examples(300)
@given(st.one_of(job_documents(), mutated(job_documents())))
def test_schema_and_models_agree_on_fields(document: Any) -> None:
    """The schema knows all about fields and a part of the rules."""
    remedies = _remedies(document)
    if VALIDATOR.is_valid(document):
        assert remedies <= RULE_REMEDIES
    else:
        assert remedies


def _remedies(document: Any) -> set[str]:
    try:
        parse(document)
    except ValidationError as error:
        return {fault.remedy for fault in error.faults}
    return set()
