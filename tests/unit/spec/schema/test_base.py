from __future__ import annotations

from typing import Any

import pydantic
import pytest
from hypothesis import given

from raygen.spec import TrainingJob, Transformer
from raygen.spec.runtime import RaygenRuntime
from raygen.spec.schema.base import PATTERNS, Rule, Spec
from raygen.spec.schema.fields import fields_of
from raygen.spec.schema.json_schema import objects
from raygen.spec.status import TrainingJobStatus
from raygen.spec.sweep.sweep import Sweep
from tests.budget import examples
from tests.unit.spec.cel import faults_by_cel, faults_by_python
from tests.unit.spec.documents import job_documents

KINDS = (TrainingJob, RaygenRuntime, TrainingJobStatus, Sweep)
MODELS = list(dict.fromkeys(model for kind in KINDS for model in (kind, *objects(kind))))
RULES = [(model, rule) for model in MODELS for rule in model.rules]


@examples(400)
@given(job_documents())
def test_rules_and_their_cel_find_the_same_faults(document: dict[str, Any]) -> None:
    assert faults_by_python(TrainingJob, document) == faults_by_cel(TrainingJob, document)


@pytest.mark.parametrize(
    ("model", "rule"), RULES, ids=lambda part: getattr(part, "__name__", getattr(part, "at", ""))
)
def test_rules_read_as_sentences_and_name_places_that_exist(model: type[Spec], rule: Rule) -> None:
    assert rule.rule[0].islower()
    assert not rule.rule.endswith(".")
    assert rule.remedy[0].isupper()
    assert rule.remedy.endswith(".")
    assert "{" not in rule.message.replace("{fraction", "")
    place: Any = model
    for key in rule.at.split(".") if rule.at else ():
        place = fields_of(place)[key].shape.model
    for path in rule.fields:
        inner: Any = model
        for name in path.split("."):
            inner = next(field for field in fields_of(inner).values() if field.name == name).shape.model


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_is_described_in_a_sentence(model: type[Spec]) -> None:
    assert (model.__doc__ or "").strip().endswith(".")
    for field in fields_of(model).values():
        assert field.description.endswith("."), field.key
        assert field.description[0].isupper() or field.description.startswith("torch."), field.key
        assert field.summary.count(".") <= 3


def test_every_pattern_has_words() -> None:
    shapes = [field.shape for model in MODELS for field in fields_of(model).values()]
    inner = [part for shape in shapes for part in (shape, shape.items, shape.keys) if part is not None]
    used = {shape.bounds["pattern"] for shape in inner if "pattern" in shape.bounds}
    assert used == set(PATTERNS)


def test_objects_made_in_python_keep_the_rules() -> None:
    with pytest.raises(pydantic.ValidationError, match=r"hiddenSize must be a multiple of heads \(3\)"):
        Transformer(layers=1, heads=3, hidden_size=8, context_length=4)


def test_objects_are_frozen() -> None:
    architecture = Transformer(layers=1, heads=2, hidden_size=8, context_length=4)
    with pytest.raises(pydantic.ValidationError):
        architecture.layers = 2  # type: ignore[misc]
