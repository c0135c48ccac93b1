from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.errors import GuardError, RollBackError
from raygen.spec.families.table import FAMILIES
from raygen.spec.job import guards as spec
from raygen.spec.job.guards import GUARDS, NonFiniteLoss
from raygen.spec.job.training import ResolvedTraining
from raygen.training.engine.guards import REMEDIES, Finding, Guards, Watch, repetition
from tests.budget import examples


def watch(kind: str, **settings: Any) -> Watch:
    return Watch(getattr(spec, kind)(type=kind, action="Warn", **settings))


def found(one: Watch, courses: dict[str, list[float]]) -> list[Finding]:
    names, rows = list(courses), zip(*courses.values(), strict=True)
    looked = [one.step(n, dict(zip(names, row, strict=True))) for n, row in enumerate(rows, start=1)]
    return [finding for finding in looked if finding is not None]


@examples(100)
@given(st.integers(0, 10**6), st.floats(0.001, 100), st.floats(0.0, 0.2), st.floats(0, 5))
def test_noise_around_a_falling_course_is_no_spike(
    seed: int, scale: float, noise: float, fall: float
) -> None:
    noisy = random.Random(seed)
    course = [scale * (1 + fall * math.exp(-n / 100)) * (1 + noise * noisy.gauss(0, 1)) for n in range(1500)]
    assert found(watch("LossSpike"), {"loss": course}) == []


@examples(60)
@given(st.integers(0, 10**6), st.integers(100, 400), st.floats(0.001, 0.05))
def test_a_lasting_rise_is_a_spike_within_patience(seed: int, start: int, noise: float) -> None:
    noisy = random.Random(seed)
    course = [1 + noise * noisy.gauss(0, 1) for _ in range(start)] + [4.0] * 20
    (finding,) = found(watch("LossSpike"), {"loss": course})
    assert (finding.since, finding.step) == (start + 1, start + 5)
    assert f"at step {start + 5}" in finding.message


def test_a_single_outlier_is_no_spike() -> None:
    course = [1.0 + n % 7 / 100 for n in range(300)]
    course[250] = 50.0
    assert found(watch("LossSpike"), {"loss": course}) == []
    assert len(found(watch("LossSpike", patience=1), {"loss": course})) == 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "name", ["loss", "discriminator_loss", "gradient_norm", "discriminator_gradient_norm"]
)
def test_a_loss_that_is_no_number_is_found_at_once(name: str, value: float) -> None:
    courses = {"loss": [1.0, 1.0, 1.0], name: [1.0, 1.0, value]}
    (finding,) = found(watch("NonFiniteLoss"), courses)
    assert finding.step == 3
    assert finding.document()["value"] is None


@pytest.mark.parametrize(
    ("kind", "name", "well", "ill"),
    [
        ("ModeCollapse", "diversity", 0.6, 0.01),
        ("PosteriorCollapse", "active_units", 3.0, 0.0),
        ("DiscriminatorOverpowering", "discriminator_accuracy", 0.9, 1.0),
    ],
)
def test_a_lasting_collapse_is_found_once_each_time(kind: str, name: str, well: float, ill: float) -> None:
    assert found(watch(kind), {name: [ill] * 400 + [well] * 800}) == []
    course = [well] * 600 + [ill] * 150 + [well] + [ill] * 300 + [well] + [ill] * 250
    first, second = found(watch(kind), {name: course})
    assert (first.since, first.step) == (752, 951)
    assert (second.since, second.step) == (1053, 1252)
    assert found(watch(kind), {"loss": [1.0] * 900}) == []


def test_repetition_is_the_share_of_grams_that_came_before() -> None:
    assert repetition("a b c d e f g h i j k") == 0
    assert repetition("na " * 40) == pytest.approx(36 / 37)
    assert repetition("aaaaaaaaaaaa") == pytest.approx(8 / 9)
    assert repetition("") == repetition("abc") == 0
    finding = watch("TextRepetition").texts(7, ["na " * 40, "la " * 50])
    assert finding is not None
    assert finding.step == 7
    assert watch("TextRepetition").texts(7, ["to be or not to be that is the question here"]) is None


def guards(action: str, rolled_back: int = 0, **settings: Any) -> tuple[Guards, list[str]]:
    notices: list[str] = []
    training = ResolvedTraining.model_validate(
        {
            "duration": {"steps": 1},
            "global_batch_size": 1,
            "optimizer": {"type": "SGD", "learning_rate": 1.0},
            "schedule": {"type": "Constant"},
            "guards": (NonFiniteLoss(type="NonFiniteLoss", action=action),),
            "roll_back": {"limit": 2, **settings},
        }
    )
    return Guards(training, rolled_back, notices.append), notices


def test_actions() -> None:
    watched, notices = guards("Warn")
    watched.step(1, {"loss": math.nan})
    watched.step(2, {"loss": math.nan})
    assert [finding.step for finding in watched.findings] == [1]
    assert "NonFiniteLoss: the loss became nan at step 1." in notices[0]
    with pytest.raises(GuardError, match="at step 3") as stopped:
        guards("Stop")[0].step(3, {"loss": math.inf})
    assert stopped.value.kind == "NonFiniteLoss"
    assert "learningRate" in stopped.value.remedy
    sent_back, _ = guards("RollBack", rolled_back=1)
    with pytest.raises(RollBackError):
        sent_back.step(3, {"loss": math.inf})
    assert sent_back.findings[-1].since == 3
    with pytest.raises(GuardError, match="gone back 2 times") as last:
        guards("RollBack", rolled_back=2)[0].step(3, {"loss": math.inf})
    assert not isinstance(last.value, RollBackError)


def test_every_guard_has_defaults_a_remedy_and_families() -> None:
    assert set(GUARDS) == REMEDIES.keys() == {kind for family in FAMILIES.values() for kind in family.guards}
    for kind in GUARDS:
        assert watch(kind).guard.type == kind
    for family in FAMILIES.values():
        assert set(family.usual_guards) <= set(family.guards)
