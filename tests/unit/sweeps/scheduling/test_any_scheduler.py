"""What holds of all schedulers, whatever happens: decisions follow from the history alone, and sweeps come to their end."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.spec.sweep.sweep import Constraint
from raygen.sweeps.events import Leased
from raygen.sweeps.scheduling.opening import open_scheduler
from raygen.sweeps.scheduling.protocol import Decision, Train
from tests.budget import examples
from tests.unit.sweeps.scheduling.setting import (
    history_of,
    next_of,
    power_laws,
    promotable,
    simulation,
    spec_of,
)
from tests.unit.sweeps.simulated import Faults, Simulation

LENGTHS = {(54, 2): (2, 6, 18, 54), (50, 7): (7, 21, 50), (10, 20): (10,)}
KINDS = ("Full", "ASHA", "Hyperband", "Median")

circumstances = st.fixed_dictionaries(
    {
        "trials": st.integers(1, 30),
        "concurrency": st.integers(1, 8),
        "seed": st.integers(0, 10**6),
        "length": st.sampled_from(sorted(LENGTHS)),
        "faults": st.sampled_from(
            [Faults(), Faults(0.15, 0.03, 0.05), Faults(0.0, 0.2, 0.0), Faults(0.4, 0.0, 0.2)]
        ),
        "coarse": st.booleans(),
        "constrained": st.booleans(),
    }
)


class Witness:
    """Looks at each decision of a sweep before it is carried out."""

    def __init__(self, kind: str, length: tuple[int, int]) -> None:
        self.spec = spec_of({"type": kind}, *length)
        self.kind, self.steps, self.lengths = kind, length[0], LENGTHS[length]
        # One that sees all of it, over all drivers.
        self.steady = open_scheduler(self.spec)

    def __call__(self, swept: Simulation, decision: Decision | None, may_begin: bool) -> None:
        history = swept.history
        assert open_scheduler(self.spec).decide(history, may_begin=may_begin) == decision
        assert self.steady.decide(history, may_begin=may_begin) == decision
        if decision is None:
            assert not may_begin
            if self.kind in ("Full", "Median"):
                assert all(one.has_ended or one.state == "Running" for one in history.trials)
        elif decision.trial is not None:
            trial = history.trials[decision.trial]
            assert trial.state == "Waiting"
            if isinstance(decision, Train) and decision.until is not None:
                assert trial.step <= decision.until < self.steps
        else:
            assert may_begin
        if self.kind in ("ASHA", "Hyperband"):
            self._check_promotion(swept, decision)

    def _check_promotion(self, swept: Simulation, decision: Decision | None) -> None:
        """Each rung promotes of its best n / reduction, the best of the highest one, and a new trial begins only where none may go on."""
        first: dict[int, int] = {}
        for event in swept.events:
            if isinstance(event, Leased):
                first.setdefault(event.trial, event.until or self.steps)
        history = swept.history
        may: list[tuple[int, int, int | None]] = []
        for length in sorted(set(first.values())):
            bracket = [history.trials[number] for number, one in first.items() if one == length]
            lengths = self.lengths[self.lengths.index(length) :]
            found = promotable(history, bracket, lengths, 3)
            may += [(one, number, next_of(lengths, one)) for number, one in found.items()]
        between = [
            number
            for number, length in first.items()
            if history.trials[number].state == "Waiting"
            and max(history.trials[number].step, *history.trials[number].reports, 0)
            not in self.lengths[self.lengths.index(length) : -1]
        ]
        if decision is None or decision.trial is None:
            assert not may
            assert not between
        elif decision.trial in between:
            assert decision.trial == min(between)
        else:
            assert isinstance(decision, Train)
            highest = max(length for length, _, _ in may)
            assert (highest, decision.trial, decision.until) in may


def check(kind: str, case: dict[str, Any]) -> None:
    steps, every = case["length"]
    curves = power_laws(case["seed"], case["trials"], steps)
    draw = random.Random(case["seed"])
    sizes = [draw.choice([1.0, 3.0]) for _ in curves]
    swept = simulation(
        {"type": kind},
        curves,
        steps,
        every,
        concurrency=case["concurrency"],
        seed=case["seed"],
        faults=case["faults"],
        constraints=(Constraint(metric="size", at_most=2),) if case["constrained"] else (),
        decided=Witness(kind, case["length"]),
    )
    metrics = swept.objective
    places = 0 if case["coarse"] else 9
    swept.objective = lambda values, step: {
        "loss": round(metrics(values, step)["loss"], places),
        "size": sizes[values["curve"]],
    }
    history = swept.run().history
    assert len(history.trials) == case["trials"]
    assert history.running == 0
    assert max(one.step for one in history.trials) <= steps
    for one in history.trials:
        assert one.state != "Completed" or one.step == steps
    again = history_of(swept.events)
    assert [(one.state, one.step) for one in again.trials] == [
        (one.state, one.step) for one in history.trials
    ]


@pytest.mark.parametrize("kind", KINDS)
@given(case=circumstances)
@examples(15)
def test_decisions_follow_from_the_history_alone_and_every_sweep_ends(
    kind: str, case: dict[str, Any]
) -> None:
    check(kind, case)


@given(case=circumstances)
@examples(4)
def test_the_same_holds_of_forecasts(case: dict[str, Any]) -> None:
    check("FreezeThaw", {**case, "trials": min(case["trials"], 8)})
