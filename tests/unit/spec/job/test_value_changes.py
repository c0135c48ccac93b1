"""Numbers of a job that change while it trains: which may, within which bounds, and what is said of others."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.errors import ValidationError
from raygen.spec import TrainingJob, in_force, parse, resolve
from raygen.spec.job.value_changes import CHANGEABLE_VALUES, within
from tests.budget import examples
from tests.jobs import image_job_document, job_document, set_path
from tests.unit.spec.cel import faults_by_cel, faults_by_python

RATE = "training.optimizer.learningRate"
ADAM = {"type": "Adam", "learningRate": 1e-3}


def jobs() -> dict[str, dict[str, Any]]:
    """A job of each family, and of each part that numbers may be in."""
    wasserstein = {"model__gan__loss": "Wasserstein", "model__gan__augmentation": {"type": "Adaptive"}}
    codebook = {"network": "ConvResidual", "latentSize": 4, "likelihood": "Bernoulli", "codebook": {}}
    return {
        "Transformer": job_document(training__ema={}, training__schedule={"type": "Linear"}),
        "Muon": job_document(training__optimizer={"type": "Muon", "learningRate": 0.1}),
        "SGD": job_document(training__optimizer={"type": "SGD", "learningRate": 0.1}),
        "Momentum": job_document(training__optimizer={"type": "SGD", "learningRate": 0.1, "momentum": 0.9}),
        "VAE": image_job_document("VAE"),
        "Importance": image_job_document("VAE", model__vae__importanceSamples=3),
        "Codebook": image_job_document("VAE", model__vae=codebook),
        "GAN": image_job_document("GAN"),
        "Wasserstein": image_job_document("GAN", **wasserstein),
        "GAN by two": image_job_document(
            "GAN", training__optimizers={"generator": ADAM, "discriminator": {**ADAM, "type": "SGD"}}
        ),
        "GAN by Muon": image_job_document(
            "GAN",
            training__optimizers={key: {**ADAM, "type": "Muon"} for key in ("generator", "discriminator")},
        ),
        "Custom": image_job_document("Custom"),
    }


JOBS = jobs()


def faults_of(document: dict[str, Any]) -> set[tuple[str, str]]:
    return faults_by_python(TrainingJob, document)


def changing(document: dict[str, Any], *changes: tuple[int, dict[str, float]]) -> dict[str, Any]:
    document = copy.deepcopy(document)
    document["spec"]["training"]["changes"] = [{"atStep": at, "values": values} for at, values in changes]
    return document


@examples(300)
@given(
    st.sampled_from(sorted(JOBS)),
    st.lists(
        st.tuples(
            st.sampled_from([1, 5, 10, 25]),
            st.dictionaries(
                st.sampled_from([*CHANGEABLE_VALUES, "training.seed"]),
                st.sampled_from([0, 0.5, 1, 7, 2000, -1]),
                min_size=1,
                max_size=2,
            ),
        ),
        max_size=3,
    ),
)
def test_rules_and_their_cel_find_the_same_faults(
    name: str, changes: list[tuple[int, dict[str, float]]]
) -> None:
    document = changing(JOBS[name], *changes)
    assert faults_of(document) == faults_by_cel(TrainingJob, document)


@pytest.mark.parametrize("path", CHANGEABLE_VALUES)
def test_every_number_of_the_table_is_one_that_some_job_has(path: str) -> None:
    value = next(one for one in (0.5, 0.25) if within(path, one))
    having = [
        name for name, document in JOBS.items() if not faults_of(changing(document, (5, {path: value})))
    ]
    assert having
    for name in having:
        job = in_force(resolve(parse(changing(JOBS[name], (5, {path: value})))), 6)
        found: Any = job.model_dump(mode="json")["spec"]
        for part in re.findall(r"\w+", path):
            found = found[int(part)] if part.isdecimal() else found[part]
        # A last rate is at most the peak.
        assert found == value or path.endswith("finalLearningRate")


@pytest.mark.parametrize(
    ("job", "changes", "said"),
    [
        (
            "Transformer",
            [(5, {"model.transformer.layers": 3})],
            r"spec.training.changes\[0\].values: .* must name numbers that may change while a job trains. Name",
        ),
        (
            "Transformer",
            [(5, {RATE: 0})],
            r"changes\[0\].values: .* above 0 and at most 1000.* for .*learningRate",
        ),
        (
            "Transformer",
            [(5, {"model.vae.beta": 1})],
            r"changes: .* must name numbers that this job's model and",
        ),
        ("SGD", [(5, {"training.optimizer.momentum": 0.9})], "an SGD needs a momentum above 0"),
        (
            "Transformer",
            [(5, {RATE: 1}), (5, {RATE: 0.1})],
            "changes: .* must have each atStep once. Put what",
        ),
        (
            "Transformer",
            [(20, {RATE: 1})],
            r"changes: .* must come before the last step \(20\). Lower atStep",
        ),
        ("Transformer", [(0, {RATE: 1})], r"changes\[0\].atStep: 0 must be a whole number"),
        ("Transformer", [(5, {})], r"changes\[0\].values: .* must be a map"),
        ("Importance", [(5, {"model.vae.beta": 0.5})], "changes: .* must name numbers that this job's model"),
    ],
)
def test_what_cannot_change_is_refused_with_its_place_and_a_remedy(
    job: str, changes: list[tuple[int, dict[str, float]]], said: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        parse(changing(JOBS[job], *changes))
    assert re.search(said, str(refused.value)), str(refused.value)


def test_the_newest_change_before_a_step_is_in_force() -> None:
    changes = [(12, {RATE: 3e-3}), (4, {RATE: 1e-3, "training.gradientClipNorm": 1.0})]
    job = resolve(parse(changing(JOBS["Transformer"], *changes)))

    def at(step: int) -> tuple[float, float | None]:
        training = in_force(job, step).spec.training
        return training.optimizer_of("model").learning_rate, training.gradient_clip_norm

    assert [at(step) for step in (1, 4, 5, 12, 13, 20)] == [
        (1e-2, None),
        (1e-2, None),
        (1e-3, 1.0),
        (1e-3, 1.0),
        (3e-3, 1.0),
        (3e-3, 1.0),
    ]
    document = job_document()
    set_path(document["spec"], ["training", "duration"], {"epochs": 1})
    assert faults_of(changing(document, (10**6, {RATE: 1}))) == set()
