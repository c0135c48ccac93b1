"""What a sweep with a population (PBT, PB2) may say."""

from __future__ import annotations

import re
from typing import Any

import pytest

from raygen.jobfile import load_kind
from raygen.spec.sweep.space import Space
from raygen.spec.sweep.sweep import Sweep
from tests.copies import ROOT
from tests.sweeps import LAYERS, RATE, sweep_document
from tests.unit.spec.sweep.test_sweep import CHOICE, faults_of


def population(*parameters: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A sweep with a population, whose trials have checkpoints where its members decide."""
    parameters = parameters or ({"path": RATE, "type": "Real", "low": 1e-3, "high": 1e-1},)
    scheduler = {"type": "PBT", "firstSteps": 10}
    return sweep_document(
        **{"scheduler": scheduler, "parameters": [*parameters], "budget": {"trials": 40}, **changes}
    )


FAULTS = [
    (
        population(template__spec__checkpoint=None),
        r"template.spec.checkpoint.everySteps: must be given with PBT and PB2, .* checkpoints. Give checkpoint.everySteps",
    ),
    (
        population(template__spec__checkpoint={"everySeconds": 9}),
        "checkpoint.everySteps: must be given with PBT",
    ),
    (
        population(template__spec__checkpoint__everySteps=4),
        "scheduler.firstSteps: 10 must be a multiple of template.spec.checkpoint.everySteps",
    ),
    (
        population(template__spec__evaluation__everySteps=4),
        "scheduler.firstSteps: 10 must be a multiple of template.spec.evaluation.everySteps",
    ),
    (population(scheduler={"type": "PB2"}), "scheduler.firstSteps: must be given with type PBT or PB2"),
    (population(budget={"trials": 7}), "budget.trials: 7 must be at least scheduler.population"),
    (
        population(scheduler={"type": "ASHA", "quantile": 0.25}),
        "scheduler.quantile: 0.25 belongs to type PBT or PB2",
    ),
    (
        population(scheduler={"type": "PBT", "firstSteps": 10, "quantile": 0.6}),
        "scheduler.quantile: 0.6 must be a number above 0 and up to 0.5",
    ),
    (
        population(
            objectives=[{"metric": "loss", "goal": "Minimize"}, {"entryPoint": "a:b", "goal": "Maximize"}]
        ),
        "scheduler.type: .* must be Full with several objectives",
    ),
    (
        population(template__spec__training__duration={"steps": 10 * 129 + 1}),
        "scheduler.firstSteps: 10 must leave at most 128 decisions",
    ),
    (
        population(template__spec__training__changes=[{"atStep": 5, "values": {RATE: 0.1}}]),
        "template.spec.training.changes: .* cannot be given with PBT and PB2",
    ),
    (
        population({"path": LAYERS, "type": "Integer", "low": 1, "high": 4}),
        r"parameters\[0\].path: .*layers\" cannot change while a trial trains.*Give the template the value",
    ),
    (population(CHOICE), r"parameters\[0\].path: .*type\" cannot change while a trial trains"),
    (
        population({"path": "training.gradientClipNorm", "type": "Choice", "values": [1, None]}),
        r"parameters\[0\].values\[1\]: null must be a number",
    ),
    (
        population(
            {"path": "training.optimizer.momentum", "type": "Real", "low": 0, "high": 0.9},
            template__spec__training__optimizer={"type": "SGD", "learningRate": 0.1},
        ),
        r"parameters\[0\].low: 0.* must be a value that training.optimizer.momentum may change to",
    ),
    (
        population({"path": RATE, "type": "Choice", "values": [0.1, 0.01]}),
        "scheduler.population: 8 must be at most the number of points in the space, 2",
    ),
    (
        population(
            {"path": RATE, "type": "Choice", "values": [0.1, 0.01]},
            {
                "path": "training.optimizer.weightDecay",
                "type": "Real",
                "low": 0.1,
                "high": 1,
                "when": {"path": RATE, "values": [0.1]},
            },
        ),
        r"parameters\[1\].when: cannot be given with PBT and PB2. Remove when.",
    ),
]


def test_a_population_is_valid() -> None:
    assert faults_of(population()) == []
    example = load_kind(Sweep, ROOT / "examples/08-population-gpt.yaml").value
    assert Space(example).domains[0].path == RATE
    parameters = ("training.optimizer.betas[1]", "training.ema.decay", "model.transformer.dropout")
    document = population(
        *({"path": path, "type": "Real", "low": 0.1, "high": 0.9} for path in parameters),
        template__spec__training__ema={},
        template__spec__training__optimizer={"type": "AdamW", "learningRate": 0.1, "betas": [0.9, 0.9]},
    )
    assert faults_of(document) == []


@pytest.mark.parametrize(("document", "said"), FAULTS)
def test_what_is_wrong_is_told_with_its_place_and_a_remedy(document: dict[str, Any], said: str) -> None:
    found = faults_of(document)
    assert any(re.search(said, fault) for fault in found), found
