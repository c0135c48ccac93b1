"""What a sweep file may say."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.errors import ValidationError
from raygen.jobfile import loads_kind
from raygen.spec.kinds import SWEEPS
from raygen.spec.names import GROUP, VERSION
from raygen.spec.schema.base import Spec
from raygen.spec.schema.crd import definition
from raygen.spec.schema.fields import fields_of
from raygen.spec.schema.json_schema import json_schema
from raygen.spec.schema.validate import parse_kind
from raygen.spec.sweep.parameters import Parameter
from raygen.spec.sweep.space import Space
from raygen.spec.sweep.sweep import Sweep
from tests.budget import examples
from tests.jobs import set_path
from tests.sweeps import LAYERS, PARAMETERS, RATE, a_sweep, sweep_document
from tests.unit.spec.cel import faults_by_cel, faults_by_python, without_nulls

TYPE = "training.optimizer.type"
CHOICE = {"path": TYPE, "type": "Choice", "values": ["AdamW", "Muon"]}


def faults_of(document: dict[str, Any]) -> list[str]:
    """Every fault of a sweep and its space, as it is printed."""
    try:
        Space(parse_kind(Sweep, document))
    except ValidationError as error:
        return [str(fault).strip() for fault in error.faults]
    return []


def with_parameter(**changes: Any) -> dict[str, Any]:
    """A sweep over one parameter."""
    return sweep_document(parameters=[{"path": RATE, "type": "Real", "low": 0.1, "high": 1, **changes}])


def test_a_sweep_is_valid_and_its_defaults_are_those_of_the_reference() -> None:
    spec = a_sweep().spec
    assert spec.scheduler.type == "Full"
    assert (spec.concurrency, spec.failed_trials, spec.seed) == (1, 5, 0)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (
            with_parameter(path="training.optimizer.learninRate"),
            r"spec.parameters\[0\].path: .* leads nowhere in the template",
        ),
        (
            with_parameter(path="output.uri", type="Choice", values=["a"], low=None, high=None),
            "where a job runs",
        ),
        (
            with_parameter(low=None),
            r"spec.parameters\[0\].low: must be given with type Real or Integer. Add low.",
        ),
        (with_parameter(low=2), "high: 1 must be above low"),
        (with_parameter(low=0, scale="Log"), "low: 0 must be above 0 with scale Log"),
        (with_parameter(high=2000), r"high: 2000.* must be a number above 0 and up to 1000"),
        (with_parameter(path=LAYERS), "must be a whole number.*Use type: Integer"),
        (with_parameter(path=TYPE), "must be one of SGD.*Use type: Choice"),
        (with_parameter(step=2), "step: 2 belongs to type Integer"),
        (
            sweep_document(parameters=[{**CHOICE, "values": ["AdamW", "Adamant"]}]),
            r'values\[1\]: "Adamant" must be one of',
        ),
        (sweep_document(parameters=[CHOICE, CHOICE]), "parameters: .* must have paths that differ"),
        (sweep_document(parameters=[]), "parameters: .* must be a list of 1 to 64 items"),
        (
            with_parameter(when={"path": LAYERS, "values": [1]}),
            "must be the path of a parameter of type Choice",
        ),
        (
            sweep_document(
                parameters=[
                    CHOICE,
                    {
                        "path": RATE,
                        "type": "Real",
                        "low": 0.1,
                        "high": 1,
                        "when": {"path": TYPE, "values": ["SGD"]},
                    },
                ]
            ),
            r'when.values\[0\]: "SGD" is not a value that training.optimizer.type takes: "AdamW", "Muon"',
        ),
        (
            sweep_document(
                parameters=[
                    {**CHOICE, "when": {"path": "training.compile", "values": [True]}},
                    {
                        "path": "training.compile",
                        "type": "Choice",
                        "values": [True, False],
                        "when": {"path": TYPE, "values": ["Muon"]},
                    },
                ]
            ),
            "must not depend, over other conditions, on itself",
        ),
        (
            sweep_document(parameters=[CHOICE, {"path": RATE, "type": "Linked", "of": "training.seed"}]),
            r"parameters\[1\].of: .* must be the path of a parameter that is not Linked itself",
        ),
        (
            sweep_document(parameters=[CHOICE, {"path": RATE, "type": "Linked", "of": TYPE, "factor": 2}]),
            "belongs to numbers",
        ),
        (
            sweep_document(objectives=[{"metric": "perplexity", "goal": "Minimize"}]),
            "objectives: .* must name metrics",
        ),
        (sweep_document(objectives=[{"goal": "Minimize"}]), "must have exactly one of metric, entryPoint"),
        (sweep_document(constraints=[{"metric": "bpb", "atMost": 1}]), "constraints: .* must name metrics"),
        (sweep_document(budget={}), "must have one of trials, hours, gpuHours, cost"),
        (
            sweep_document(scheduler={"type": "ASHA"}, template__spec__evaluation__everySteps=None),
            "evaluation.everySteps",
        ),
        (
            sweep_document(scheduler={"type": "ASHA"}, template__spec__training__duration={"epochs": 1}),
            "duration.steps: must be given with a scheduler",
        ),
        (
            sweep_document(template__spec__output={"uri": "elsewhere"}),
            "template.spec.output: .* cannot be given",
        ),
        (sweep_document(startingPoints=[{"values": {"training.seed": 3}}]), "not a parameter. Name one of"),
        (sweep_document(startingPoints=[{"values": {RATE: 7.0}}]), "lies outside of the parameter's values"),
        (sweep_document(search={"type": "TPE", "population": 7}), "population: 7 belongs to type NSGAII"),
        (sweep_document(template__spec__training__seed="x"), "template.spec.training.seed"),
        (
            sweep_document(budget={"gpuHours": 1}),
            "budget.gpuHours: .* needs a template whose trials have GPUs",
        ),
        (sweep_document(budget={"cost": {"limit": 5}}), "budget.cost: .* must have a price"),
        (
            sweep_document(objectives=[{"metric": "loss", "goal": "Minimize"}] * 2),
            "must have names that differ",
        ),
        (
            sweep_document(parameters=[PARAMETERS[0], {**PARAMETERS[0], "path": f"spec.{RATE}"}]),
            "that the parameter training.optimizer.learningRate sets as well",
        ),
        (
            sweep_document(
                parameters=[
                    PARAMETERS[0],
                    {"path": "training.optimizer", "type": "Choice", "values": [{"type": "SGD"}]},
                ]
            ),
            "or a part of one, that the parameter",
        ),
        (
            sweep_document(
                parameters=[{"path": "evaluation.metrics[0].name", "type": "Choice", "values": ["loss", "a"]}]
            ),
            "is what trials are compared by",
        ),
        (
            sweep_document(
                scheduler={"type": "ASHA"},
                parameters=[{"path": "evaluation.everySteps", "type": "Integer", "low": 5, "high": 10}],
            ),
            "is what trials are compared by",
        ),
        (
            sweep_document(
                startingPoints=[{}], template__spec__training__optimizer={"type": "AdamW", "learningRate": 5}
            ),
            "leaves training.optimizer.learningRate to the template, whose value 5",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_a_remedy(document: dict[str, Any], said: str) -> None:
    found = faults_of(document)
    assert any(re.search(said, fault) for fault in found), found


@pytest.mark.parametrize(
    ("objectives", "said"),
    [
        (["judge:loss"], "must not have a function with the name of a metric"),
        (["a:score", "b:score"], "must have names that differ"),
    ],
)
def test_names_of_objectives_are_theirs_alone(objectives: list[str], said: str) -> None:
    document = sweep_document(objectives=[{"entryPoint": one, "goal": "Minimize"} for one in objectives])
    assert any(said in one for one in faults_of(document))


def test_a_value_is_listed_once() -> None:
    document = sweep_document(parameters=[{"path": LAYERS, "type": "Choice", "values": [1, 2, 1.0]}])
    with pytest.raises(ValidationError) as caught:
        Space(parse_kind(Sweep, document))
    assert [(one.path, one.rule) for one in caught.value.faults] == [
        ("spec.parameters[0].values[2]", "is there already")
    ]


def test_a_grid_of_very_many_points_is_refused_without_making_them() -> None:
    parameters = [
        {"path": path, "type": "Real", "low": 0.1, "high": 0.9, "points": 1000}
        for path in (RATE, "training.optimizer.weightDecay", "model.transformer.dropout")
    ]
    (found,) = faults_of(sweep_document(parameters=parameters, search={"type": "Grid"}))
    assert "has 1,000,000,000 points, more than 100,000" in found


def test_a_space_without_a_valid_job_is_refused_with_the_fault_of_one() -> None:
    parameters = [{"path": "model.transformer.heads", "type": "Choice", "values": [3, 5, 7]}]
    (found,) = faults_of(sweep_document(parameters=parameters))
    assert "spec.parameters: make no valid job in any of the places looked at" in found
    assert "must be divisible" in found or "hiddenSize" in found


def test_a_space_is_searched_for_a_valid_job_before_it_is_refused() -> None:
    sizes = {"path": "model.transformer.hiddenSize", "type": "Integer", "low": 17, "high": 64}
    transformer = {"layers": 1, "heads": 16, "hiddenSize": 32, "contextLength": 16}
    assert faults_of(sweep_document(parameters=[sizes], template__spec__model__transformer=transformer)) == []


def test_lines_of_a_file_stand_in_its_faults() -> None:
    with pytest.raises(ValidationError, match=r"line 3: metadata\.name"):
        loads_kind(
            Sweep, "apiVersion: raygen.io/v1alpha1\nkind: Sweep\nmetadata: {name: A B}\n", "sweep.yaml"
        )


def test_it_can_be_served_by_a_cluster_and_completed_by_an_editor() -> None:
    schema = definition(SWEEPS, GROUP, VERSION)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    parameters = schema["properties"]["spec"]["properties"]["parameters"]
    assert parameters["x-kubernetes-list-map-keys"] == ["path"]
    values = parameters["items"]["properties"]["values"]
    assert values["items"] == {"x-kubernetes-preserve-unknown-fields": True}
    assert json_schema(Sweep)["$defs"]["Parameter"]["properties"]["values"]["items"] == {}


scalars = st.sampled_from(
    [None, 0, 1, 2, 7.5, -1, "Log", "Linear", "Real", "Integer", "Choice", "Linked", RATE, TYPE]
)
fields = st.sampled_from(sorted(fields_of(Parameter)))
spec_fields = st.sampled_from(
    [
        ("scheduler", {"type": "ASHA"}),
        ("scheduler", {"type": "Median", "reduction": 2}),
        ("scheduler", {"type": "PBT", "firstSteps": 10}),
        ("scheduler", {"type": "PB2", "firstSteps": 7, "population": 3}),
        ("scheduler", {"type": "PB2", "quantile": 0.5}),
        ("scheduler", {"type": "Full", "population": 3}),
        ("budget", {"trials": 2}),
        ("search", {"type": "CMAES"}),
        ("search", {"type": "NSGAII", "population": 4}),
        ("budget", {}),
        ("budget", {"hours": 1}),
        ("objectives", [{"metric": "loss", "goal": "Minimize"}, {"entryPoint": "a:b", "goal": "Maximize"}]),
        ("objectives", [{"metric": "other", "goal": "Minimize"}]),
        ("objectives", [{"metric": "loss", "entryPoint": "a:b", "goal": "Minimize"}]),
        ("constraints", [{"metric": "other", "atMost": 1, "atLeast": 0}]),
        ("parameters", [{"path": RATE, "type": "Linked", "of": RATE}] * 2),
        ("template.spec.suspend", False),
        ("template.spec.scheduling", {"queueName": "q"}),
        ("template.spec.output", {"run": "r"}),
        ("scheduling", {}),
        ("trialsPerWorker", 4),
    ]
)


template_fields = st.sampled_from(
    [
        ("training.duration", {"steps": 20}),
        ("training.duration", {"steps": 20_000}),
        ("training.duration", {"epochs": 1}),
        ("training.changes", [{"atStep": 5, "values": {RATE: 0.1}}]),
        ("training.changes", []),
        ("checkpoint", {"everySteps": 3}),
        ("checkpoint", {"everySeconds": 3}),
        ("checkpoint", None),
    ]
)


def damaged(
    changed: list[tuple[str, Any]], others: list[tuple[str, Any]], template: tuple[str, Any]
) -> dict[str, Any]:
    """A sweep with these values in its first parameter, its spec and its template, most of them wrong."""
    document = sweep_document()
    for key, value in changed:
        document["spec"]["parameters"][0][key] = value
    for key, value in others:
        set_path(document["spec"], key.split("."), copy.deepcopy(value))
    set_path(document["spec"]["template"]["spec"], template[0].split("."), copy.deepcopy(template[1]))
    pruned: dict[str, Any] = without_nulls(document)
    return pruned


@examples(300)
@given(st.lists(st.tuples(fields, scalars), max_size=4), st.lists(spec_fields, max_size=3), template_fields)
def test_rules_and_their_cel_find_the_same_faults(
    changed: list[tuple[str, Any]], others: list[tuple[str, Any]], template: tuple[str, Any]
) -> None:
    pruned = damaged(changed, others, template)
    found = faults_by_python(Sweep, pruned)
    if any(remedy not in _remedies(Sweep) for _, remedy in found):
        # A value by itself is wrong: what rules say then is another test's.
        return
    assert found == faults_by_cel(Sweep, pruned)


def _remedies(model: type[Spec]) -> set[str]:
    found = {rule.remedy for rule in model.rules}
    for field in fields_of(model).values():
        inner = field.shape.model or (field.shape.items.model if field.shape.items is not None else None)
        found |= _remedies(inner) if inner is not None else set()
    return found
