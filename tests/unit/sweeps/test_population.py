"""PBT and PB2, driven in virtual time: who descends from whom, what it is good for, and that the log says all of it."""

from __future__ import annotations

import statistics
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.spec import parse
from raygen.sweeps.events import Ended, Leased, Proposed, document_of, event_of
from raygen.sweeps.record import SweepRecord
from raygen.sweeps.replay import replayed
from raygen.sweeps.scheduling.population import EXPLOITED
from tests.budget import examples
from tests.sweeps import RATE
from tests.unit.sweeps.moving import DROPOUT, EVERY, STEPS, events_at, moving_loss, population_sweep, workers
from tests.unit.sweeps.virtual import Killed, drive

KINDS = ("PBT", "PB2")


def best_loss(kind: str, folder: Path, seed: int) -> tuple[float, int]:
    """What a sweep came to, and how many steps were trained for it."""
    sweep = population_sweep(kind, seed=seed, **({} if kind in KINDS else {"budget": {"trials": 10}}))
    training = workers(8, seed=seed)
    result = drive(sweep, folder, training)
    loss: float = result.best[0]["metrics"]["loss"]
    return loss, training.trained


@pytest.mark.parametrize("kind", KINDS)
def test_a_population_beats_as_much_training_without_one(tmp_path: Path, kind: str) -> None:
    gains = []
    for seed in range(4):
        alone, spent = best_loss("Full", tmp_path / f"full {seed}", seed)
        together, steps = best_loss(kind, tmp_path / f"{kind} {seed}", seed)
        assert steps <= spent == 10 * STEPS
        gains.append(alone - together)
    # Of 100 that the best values would come to.
    assert statistics.median(gains) > 5
    assert min(gains) > -1


@pytest.mark.parametrize("kind", KINDS)
def test_each_child_goes_on_with_the_training_of_a_better_one(tmp_path: Path, kind: str) -> None:
    drive(population_sweep(kind), tmp_path, workers(4))
    record = SweepRecord(str(tmp_path))
    history = record.history
    children = [one for one in history.trials if one.parent is not None]
    assert len(children) >= 6
    assert {one.source for one in children} == {kind}
    for child in children:
        parent, replaced = history.trials[child.parent or 0], history.trials[child.replaces or 0]
        assert (replaced.state, replaced.reason) == ("Stopped", EXPLOITED)
        assert f"trial {parent.number}, whose training goes on" in replaced.message
        assert child.parent_step in parent.reports
        assert parent.reports[child.parent_step]["loss"] < replaced.reports[replaced.step]["loss"]
        assert child.values != parent.values
    # All places are held to the end.
    assert sum(one.state == "Completed" for one in history.trials) == 8
    assert len(children) == sum(one.reason == EXPLOITED for one in history.trials)
    deepest = max(history.trials, key=lambda one: len(history.lineage(one)))
    line = history.lineage(deepest)
    assert len(line) >= 3
    job = record.job(deepest.number)
    assert [one.at_step for one in job.spec.training.changes] == [one.parent_step for one in line[1:]]
    document = job.model_dump(mode="json", exclude_none=True)["spec"]
    for step in range(EVERY, deepest.step + 1, EVERY):
        assert moving_loss(document, step) == history.owner(deepest, step).reports[step]
    assert record.trial(deepest.number)["lineage"] == [
        {"trial": one.number, "fromStep": one.parent_step} for one in line
    ]


@given(
    kind=st.sampled_from(KINDS),
    concurrency=st.integers(1, 8),
    seed=st.integers(0, 10**6),
    kills=st.lists(st.integers(1, 60), max_size=3),
    faults=st.sampled_from([(0.0, 0.0), (0.05, 0.5)]),
    trials=st.sampled_from([8, 12, 60]),
)
@examples(12)
def test_the_log_gives_the_same_decisions_whatever_happened(
    kind: str, concurrency: int, seed: int, kills: list[int], faults: tuple[float, float], trials: int
) -> None:
    sweep = population_sweep(kind, trials, seed=seed, failedTrials=100)
    saved: dict[int, int] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        for kill in [*kills, None]:
            options: dict[str, Any] = {"losses": faults[0], "pruned": faults[1], "saved": saved}
            try:
                drive(sweep, folder, workers(concurrency, seed=seed, kill_at=kill, **options))
            except Killed:
                continue
        events = events_at(folder)
        result = replayed(events)
        assert result.differences == ()
        history = SweepRecord(name).history
    begun = [event for event in events if isinstance(event, Proposed)]
    assert [event.trial for event in begun] == list(range(len(begun)))
    assert len(begun) <= trials
    replaced = [event.replaces for event in begun if event.replaces is not None]
    assert len(set(replaced)) == len(replaced), "one place was taken twice"
    for event in begun:
        if event.parent is not None:
            assert event.parent < event.trial
            assert event.parent_step % EVERY == 0
            assert event.parent_step > history.trials[event.parent].parent_step
    for trial in history.trials:
        assert trial.has_ended
        line = history.lineage(trial)
        assert [one.parent_step for one in line] == sorted({one.parent_step for one in line})
        assert all(step > trial.parent_step for step in trial.reports)
    ends = [event for event in events if isinstance(event, Ended)]
    assert len(ends) == len(begun)
    assert sum(one.state == "Completed" for one in history.trials) + history.failed >= 8
    if faults == (0.0, 0.0):
        assert sum(one.state == "Completed" for one in history.trials) == 8


def test_logs_from_before_there_were_parents_are_read() -> None:
    old = {"event": "Proposed", "trial": 3, "values": {RATE: 0.1}, "source": "Random", "at": 1.0}
    event = event_of(old)
    assert event == Proposed(3, {RATE: 0.1}, "Random", 1.0)
    assert event_of(document_of(event)) == event


def test_a_place_whose_trial_fails_is_taken_by_a_child_of_the_best(tmp_path: Path) -> None:
    def breaks(spec: Any, step: int) -> dict[str, float]:
        rate = spec["training"]["optimizer"]["learningRate"]
        return {"loss": float("nan")} if rate > 0.03 and step >= 20 else moving_loss(spec, step)

    training = workers(8)
    training.metrics = breaks
    drive(population_sweep(seed=1), tmp_path, training)
    history = SweepRecord(str(tmp_path)).history
    failed = [one.number for one in history.trials if one.state == "Failed"]
    assert failed
    assert {one.replaces for one in history.trials} >= set(failed)
    assert sum(one.state == "Completed" for one in history.trials) == 8


def test_without_trials_to_spare_all_members_train_to_the_end(tmp_path: Path) -> None:
    result = drive(population_sweep(trials=8), tmp_path, workers(8))
    assert (result.trials, result.reason) == (8, "BudgetUsedUp")
    history = SweepRecord(str(tmp_path)).history
    assert {one.state for one in history.trials} == {"Completed"}


def test_a_population_that_is_trained_ends_its_sweep(tmp_path: Path) -> None:
    result = drive(population_sweep(budget={"hours": 100}), tmp_path, workers(8))
    assert result.reason == "PopulationTrained"
    assert replayed(events_at(tmp_path)).differences == ()


def test_with_fewer_workers_than_members_all_come_as_far_before_one_goes_on(tmp_path: Path) -> None:
    drive(population_sweep(), tmp_path, workers(2))
    leased = [event for event in events_at(tmp_path) if isinstance(event, Leased)]
    assert [event.until for event in leased[:8]] == [EVERY] * 8
    steps: dict[int, int] = {}
    for event in leased:
        steps[event.trial] = STEPS if event.until is None else event.until
    assert set(steps.values()) <= {*range(EVERY, STEPS + 1, EVERY)}


def test_linked_and_listed_values_change_with_the_others(tmp_path: Path) -> None:
    decay = "training.optimizer.weightDecay"
    sweep = population_sweep(
        parameters=[
            {"path": RATE, "type": "Choice", "values": [1e-4, 1e-3, 1e-2, 1e-1]},
            {"path": DROPOUT, "type": "Real", "low": 0, "high": 0.5},
            {"path": decay, "type": "Linked", "of": RATE, "factor": 10},
        ]
    )
    drive(sweep, tmp_path, workers(8))
    record = SweepRecord(str(tmp_path))
    changed = [
        change.values
        for one in record.history.trials
        for change in record.job(one.number).spec.training.changes
    ]
    assert any(RATE in values for values in changed)
    for values in changed:
        assert (RATE in values) == (decay in values)
        assert RATE not in values or values[decay] == pytest.approx(10 * values[RATE])
    for one in record.history.trials:
        assert one.values[RATE] in (1e-4, 1e-3, 1e-2, 1e-1)
        parse(record.job(one.number).model_dump(mode="json", exclude_unset=True))
