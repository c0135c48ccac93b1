"""The driver of a sweep, its log, and what can be replayed from it."""

from __future__ import annotations

import math
import random
from collections import Counter
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.errors import FencedError, InputError, OutputError, RunError
from raygen.spec.sweep.space import Space
from raygen.storage import LocalStorage
from raygen.sweeps.continuing import check_continues, warm_start
from raygen.sweeps.directory import SEGMENT_BYTES, Log, SweepDirectory
from raygen.sweeps.events import Began, Ended, Event, Leased, Proposed, Reported, Returned
from raygen.sweeps.history import History
from raygen.sweeps.record import SweepRecord, ranked
from raygen.sweeps.replay import replay, replayed
from raygen.sweeps.sweep import SilentWatcher
from raygen.training.engine.control import Control
from tests.budget import examples
from tests.sweeps import LAYERS, RATE, a_sweep
from tests.unit.sweeps.virtual import Killed, VirtualWorkers, drive, loss

SEARCHES = ("Grid", "Random", "Sobol", "TPE")
SCHEDULERS: tuple[dict[str, Any], ...] = (
    {"type": "Full"},
    {"type": "ASHA", "firstSteps": 10, "reduction": 2},
    {"type": "Hyperband", "firstSteps": 10, "reduction": 2},
    {"type": "Median", "firstSteps": 10, "leastTrials": 2},
)


def events_at(folder: Path) -> list[Event]:
    return SweepDirectory(LocalStorage(folder)).read()


def test_every_trial_is_trained_whole_and_the_best_is_the_least(tmp_path: Path) -> None:
    workers = VirtualWorkers(2, loss)
    result = drive(a_sweep(budget={"trials": 12}), tmp_path, workers)
    assert (result.state, result.reason, result.trials) == ("Succeeded", "BudgetUsedUp", 12)
    record = SweepRecord(str(tmp_path))
    losses = {one.number: one.reports[20]["loss"] for one in record.history.trials}
    (best,) = result.best
    assert best["metrics"]["loss"] == min(losses.values())
    assert best["trial"] == min(losses, key=losses.__getitem__)
    assert workers.trained == 12 * 20
    assert record.summary()["counts"] == {"Completed": 12}
    assert [one.number for one in ranked(record.history)] == sorted(losses, key=losses.__getitem__)


def test_trials_train_side_by_side_and_never_more_than_may(tmp_path: Path) -> None:
    most = 0

    class Watcher(SilentWatcher):
        def take(self, event: Event, history: History) -> None:
            nonlocal most
            most = max(most, history.running)

        def notice(self, text: str) -> None:
            raise AssertionError(text)

    drive(a_sweep(concurrency=4, budget={"trials": 9}), tmp_path, VirtualWorkers(4, loss), watcher=Watcher())
    assert most == 4


def test_a_trial_that_goes_on_at_once_does_not_leave_its_worker(tmp_path: Path) -> None:
    scheduler = {"type": "Median", "firstSteps": 10, "leastTrials": 50}
    workers = VirtualWorkers(1, loss)
    drive(a_sweep(scheduler=scheduler, budget={"trials": 3}), tmp_path, workers)
    assert workers.started == [0, 1, 2]
    assert Counter(type(event).__name__ for event in events_at(tmp_path))["Leased"] == 6


def test_successive_halving_trains_the_better_part_longer(tmp_path: Path) -> None:
    workers = VirtualWorkers(3, loss)
    sweep = a_sweep(scheduler=SCHEDULERS[1], concurrency=3, budget={"trials": 16})
    result = drive(sweep, tmp_path, workers)
    trials = SweepRecord(str(tmp_path)).history.trials
    whole = [one for one in trials if one.state == "Completed"]
    # Who is among the better half changes while others come, so a few more go on than half of them.
    assert 0 < len(whole) <= 12
    assert min(trials, key=lambda one: one.reports[10]["loss"]) in whole
    assert workers.trained == 16 * 10 + len(whole) * 10
    assert result.best[0]["metrics"]["loss"] == min(one.reports[20]["loss"] for one in whole)


@examples(15)
@given(
    st.sampled_from(SEARCHES),
    st.sampled_from(SCHEDULERS),
    st.integers(1, 8),
    st.integers(0, 2**16),
    st.lists(st.integers(1, 25), max_size=4),
)
def test_no_recorded_trial_is_lost_or_repeated_and_all_is_replayed(
    search: str, scheduler: dict[str, Any], concurrency: int, seed: int, kills: list[int]
) -> None:
    sweep = a_sweep(
        search={"type": search},
        scheduler=scheduler,
        concurrency=concurrency,
        seed=seed,
        budget={"trials": 10},
    )
    with TemporaryDirectory() as name:
        folder, saved = Path(name), dict[int, int]()
        logged: list[Event] = []
        for number, kill in enumerate([*kills, None]):
            workers = VirtualWorkers(
                concurrency, loss, seed=seed + number, losses=0.03, kill_at=kill, saved=saved
            )
            with suppress(Killed):
                drive(sweep, folder, workers)
            # What one driver has written the next one has, too, in the same order.
            written = events_at(folder)
            assert written[: len(logged)] == logged
            logged = written
        found = replayed(logged)
    assert not found.differences
    assert found.drivers == len(kills) + 1
    proposed = [event.trial for event in logged if isinstance(event, Proposed)]
    assert proposed == list(range(len(proposed)))
    ended = Counter(event.trial for event in logged if isinstance(event, Ended))
    assert set(ended.values()) <= {1}
    reported = Counter((event.trial, event.step) for event in logged if isinstance(event, Reported))
    assert set(reported.values()) == {1}
    assert found.proposals == len(proposed)
    assert len(proposed) == 10


def test_a_proposal_that_was_altered_in_the_log_is_found(tmp_path: Path) -> None:
    drive(
        a_sweep(search={"type": "TPE", "initialTrials": 3}, budget={"trials": 8}),
        tmp_path,
        VirtualWorkers(2, loss),
    )
    assert not replay(str(tmp_path)).differences
    events = events_at(tmp_path)
    at, old = next((n, e) for n, e in enumerate(events) if isinstance(e, Proposed) and e.trial == 5)
    assert isinstance(old, Proposed)
    events[at] = Proposed(5, {**old.values, RATE: 0.05}, old.source, old.at)
    (first, *_) = replayed(events).differences
    assert first.event == at + 1
    assert first.logged["values"][RATE] == 0.05
    assert first.replayed["values"] == old.values


def test_the_same_seed_gives_the_same_sweep_and_another_one_others(tmp_path: Path) -> None:
    def values(folder: str, seed: int, concurrency: int = 1) -> list[Any]:
        sweep = a_sweep(search={"type": "Sobol"}, seed=seed, concurrency=concurrency)
        drive(sweep, tmp_path / folder, VirtualWorkers(concurrency, loss))
        return [event.values for event in events_at(tmp_path / folder) if isinstance(event, Proposed)]

    assert values("one", 1) == values("two", 1) == values("three", 1, concurrency=4)
    assert values("four", 2) != values("one", 1)


def test_a_sweep_that_is_over_goes_on_when_more_trials_may_be_tried(tmp_path: Path) -> None:
    saved = dict[int, int]()
    drive(a_sweep(), tmp_path, VirtualWorkers(1, loss, saved=saved))
    again = drive(a_sweep(), tmp_path, VirtualWorkers(1, loss, saved=saved))
    assert again.trials == 4
    more = a_sweep(budget={"trials": 9}, concurrency=3)
    assert drive(more, tmp_path, VirtualWorkers(3, loss, saved=saved)).trials == 9
    wider = [{"path": RATE, "type": "Real", "low": 1e-5, "high": 1, "scale": "Log"}]
    wider.append({"path": LAYERS, "type": "Integer", "low": 1, "high": 6})
    sweep = a_sweep(parameters=wider, search={"type": "TPE", "initialTrials": 4}, budget={"trials": 14})
    assert drive(sweep, tmp_path, VirtualWorkers(1, loss, saved=saved)).trials == 14
    found = replay(str(tmp_path))
    assert (found.proposals, found.drivers, found.differences) == (14, 4, ())


def test_a_signal_stops_it_and_the_next_driver_goes_on(tmp_path: Path) -> None:
    control = Control()

    class Watcher(SilentWatcher):
        def take(self, event: Event, history: History) -> None:
            if isinstance(event, Reported) and event.trial == 2:
                control.stop("SIGTERM")

        def notice(self, text: str) -> None:
            raise AssertionError(text)

    saved = dict[int, int]()
    sweep = a_sweep(budget={"trials": 6}, concurrency=2)
    result = drive(sweep, tmp_path, VirtualWorkers(2, loss, saved=saved), control, Watcher())
    assert (result.state, result.reason) == ("Stopped", "SIGTERM")
    returned = [event for event in events_at(tmp_path) if isinstance(event, Returned)]
    assert {event.reason for event in returned} == {"Stopped"}
    workers = VirtualWorkers(2, loss, saved=saved)
    assert drive(sweep, tmp_path, workers).state == "Succeeded"
    # Trials go on where their checkpoints are: nothing is trained twice.
    first = sum(saved.values()) - workers.trained
    assert workers.trained + first == 6 * 20
    assert not replay(str(tmp_path)).differences


def test_what_cannot_be_judged_has_failed_with_its_cause_and_the_others_go_on(tmp_path: Path) -> None:
    def broken(spec: Any, step: int) -> dict[str, float]:
        layers = spec["model"]["transformer"]["layers"]
        return {"loss": math.nan} if layers == 3 else {"other": 1.0} if layers == 4 else loss(spec, step)

    parameters = [{"path": LAYERS, "type": "Integer", "low": 1, "high": 4}]
    sweep = a_sweep(parameters=parameters, search={"type": "Grid"}, budget={"trials": 9})
    result = drive(sweep, tmp_path, VirtualWorkers(1, broken))
    assert (result.reason, result.trials) == ("SpaceExhausted", 4)
    by_layers = {one.values[LAYERS]: one for one in SweepRecord(str(tmp_path)).history.trials}
    assert (by_layers[3].reason, by_layers[3].message) == ("NonFiniteMetric", "loss is nan after step 10")
    assert by_layers[4].reason == "NoObjective"
    assert "has not reported loss" in by_layers[4].message
    assert by_layers[1].state == by_layers[2].state == "Completed"
    assert SweepRecord(str(tmp_path)).summary()["failures"] == {"NoObjective": 1, "NonFiniteMetric": 1}


def test_values_that_make_no_job_fail_before_they_train(tmp_path: Path) -> None:
    parameters = [{"path": "model.transformer.heads", "type": "Choice", "values": [1, 3, 4]}]
    sweep = a_sweep(parameters=parameters, search={"type": "Grid"})
    workers = VirtualWorkers(1, loss)
    drive(sweep, tmp_path, workers)
    failed = [one for one in SweepRecord(str(tmp_path)).history.trials if one.state == "Failed"]
    assert [(one.values["model.transformer.heads"], one.reason) for one in failed] == [(3, "InvalidJob")]
    assert "must be a multiple of heads (3)" in failed[0].message
    assert failed[0].number not in workers.started


def test_too_many_failures_end_the_sweep_with_their_causes(tmp_path: Path) -> None:
    def broken(spec: Any, step: int) -> dict[str, float]:
        return {"loss": math.inf}

    with pytest.raises(
        RunError,
        match=r"3 of 3 trials have failed, and 2 may \(3 of NonFiniteMetric\); the last: loss is inf",
    ):
        drive(a_sweep(failedTrials=2, budget={"trials": 50}), tmp_path, VirtualWorkers(1, broken))


def test_a_worker_that_is_lost_again_and_again_fails_its_trial(tmp_path: Path) -> None:
    workers = VirtualWorkers(1, loss, losses=1.0)
    with pytest.raises(RunError, match=r"all 1 trials have failed \(1 of WorkerLost\)"):
        drive(a_sweep(budget={"trials": 1}), tmp_path, workers)
    (trial,) = SweepRecord(str(tmp_path)).history.trials
    assert (trial.state, trial.reason) == ("Failed", "WorkerLost")
    assert workers.started == [0, 0, 0]
    assert "3 times in a row" in trial.message


def test_budgets_of_time_and_money_end_it(tmp_path: Path) -> None:
    cost = {"limit": 0.05, "perCoreHour": 1.0}
    result = drive(a_sweep(budget={"cost": cost}), tmp_path / "cost", VirtualWorkers(1, loss))
    summary = SweepRecord(str(tmp_path / "cost")).summary()
    assert result.reason == "BudgetUsedUp"
    assert 0.05 <= summary["cost"] < 0.06
    drive(a_sweep(budget={"hours": 0.1}), tmp_path / "hours", VirtualWorkers(1, loss))
    assert 360 <= SweepRecord(str(tmp_path / "hours")).summary()["seconds"] < 400


def test_time_that_is_used_up_stops_trials_that_say_nothing(tmp_path: Path) -> None:
    """Their worker takes long to the next evaluation; the driver's clock goes on."""
    workers = VirtualWorkers(1, loss, steps=20_000, every=10_000)
    waits = workers.wait

    def wait(seconds: float) -> Any:
        if workers.slow and not workers.stopped:
            workers.now += 10
            return []
        return waits(0)

    workers.wait = wait  # type: ignore[method-assign]
    assert drive(a_sweep(budget={"hours": 0.1}), tmp_path, workers).reason == "BudgetUsedUp"
    assert 360 <= SweepRecord(str(tmp_path)).summary()["seconds"] < 400
    assert not replay(str(tmp_path)).differences


def test_failures_are_counted_while_values_make_no_job(tmp_path: Path) -> None:
    parameters = [{"path": "model.transformer.heads", "type": "Integer", "low": 1, "high": 16}]
    sweep = a_sweep(parameters=parameters, failedTrials=2, budget={"trials": 60}, seed=3)
    with pytest.raises(RunError, match=r"3 of \d+ trials have failed, and 2 may"):
        drive(sweep, tmp_path, VirtualWorkers(1, loss))


def test_trials_of_an_earlier_sweep_are_known_and_no_trials_of_this_one(tmp_path: Path) -> None:
    first = a_sweep(budget={"trials": 6})
    drive(first, tmp_path / "first", VirtualWorkers(1, loss))
    sweep = a_sweep(
        warmStart=[str(tmp_path / "first")], search={"type": "TPE", "initialTrials": 3}, budget={"trials": 2}
    )
    known = warm_start(sweep, Space(sweep), pytest.fail)
    result = drive(sweep, tmp_path / "second", VirtualWorkers(1, loss), known=known)
    record = SweepRecord(str(tmp_path / "second"))
    assert (result.trials, record.summary()["trials"], record.summary()["known"]) == (2, 2, 6)
    assert {one["trial"] for one in result.best} <= {6, 7}
    assert record.trial(0)["run"] is None
    assert not replay(str(tmp_path / "second")).differences
    with pytest.raises(InputError, match="another warmStart"):
        check_continues(events_at(tmp_path / "second"), first, "there")


def test_several_objectives_have_a_front_and_constraints_bound_it(tmp_path: Path) -> None:
    def two(spec: Any, step: int) -> dict[str, float]:
        layers, rate = spec["model"]["transformer"]["layers"], spec["training"]["optimizer"]["learningRate"]
        return {"loss": rate * layers, "speed": rate / layers, "size": float(layers)}

    metrics = [{"name": name, "type": "ValidationLoss"} for name in ("loss", "speed", "size")]
    sweep = a_sweep(
        template__spec__evaluation__metrics=metrics,
        objectives=[{"metric": "loss", "goal": "Minimize"}, {"metric": "speed", "goal": "Maximize"}],
        constraints=[{"metric": "size", "atMost": 3}],
        budget={"trials": 30},
    )
    result = drive(sweep, tmp_path, VirtualWorkers(1, two))
    trials = SweepRecord(str(tmp_path)).history.trials
    allowed = [one for one in trials if one.reports[20]["size"] <= 3]
    front = {
        one.number
        for one in allowed
        if not any(
            other.reports[20]["loss"] <= one.reports[20]["loss"]
            and other.reports[20]["speed"] >= one.reports[20]["speed"]
            and other.reports[20] != one.reports[20]
            for other in allowed
        )
    }
    assert len(front) > 1
    assert {one["trial"] for one in result.best} <= front
    assert SweepRecord(str(tmp_path)).summary()["front"] == len(front)


def test_an_older_driver_that_still_lives_stops_and_its_words_count_for_nothing(tmp_path: Path) -> None:
    directory = SweepDirectory(LocalStorage(tmp_path))
    now = 0.0
    old = Log(directory, directory.claim({}), clock=lambda: now)
    old.write([Began(1, 0, 1, {}, 0.0), Proposed(0, {}, "Random", 1.0)])
    read = directory.read()
    new = Log(directory, directory.claim({}))
    # Within the second in which it does not look.
    old.write([Leased(0, None, 2.0)])
    new.write([Began(2, len(read), 1, None, 3.0), Leased(0, 5, 4.0)])
    assert directory.read() == [*read, Began(2, 2, 1, None, 3.0), Leased(0, 5, 4.0)]
    now = 2.0
    with pytest.raises(FencedError, match="another driver has taken over"):
        old.write([Returned(0, 5, "Decision", 5.0)])


def test_a_long_log_has_several_segments_and_reads_as_one(tmp_path: Path) -> None:
    directory = SweepDirectory(LocalStorage(tmp_path))
    log = Log(directory, directory.claim({}))
    events: list[Event] = [Began(1, 0, 1, {}, 0.0)]
    events += [Proposed(n, {"a": "x" * 1000}, "Random", float(n)) for n in range(700)]
    for start in range(0, len(events), 50):
        log.write(events[start : start + 50])
    assert directory.read() == events
    sizes = [entry.size for entry in directory.storage.list("log/")]
    assert len(sizes) > 5
    assert all(SEGMENT_BYTES <= size < SEGMENT_BYTES + 60_000 for size in sizes[:-1])


def test_a_damaged_log_is_told_with_its_line(tmp_path: Path) -> None:
    directory = SweepDirectory(LocalStorage(tmp_path))
    directory.storage.write(
        "log/0001-000001.jsonl", b'{"event":"Leased","trial":0,"until":1,"at":0}\n{"event":"Exploded"}\n'
    )
    with pytest.raises(OutputError, match="line 2 is not an event"):
        directory.read()


def test_a_killed_sweep_comes_to_the_same_end_as_a_calm_one(tmp_path: Path) -> None:
    """With one worker and a search that does not look at what trials have come to."""
    sweep = a_sweep(search={"type": "Sobol"}, scheduler=SCHEDULERS[1], budget={"trials": 12})
    calm = drive(sweep, tmp_path / "calm", VirtualWorkers(1, loss))
    saved, draw = dict[int, int](), random.Random(5)
    for _ in range(100):
        try:
            killed = drive(
                sweep, tmp_path / "killed", VirtualWorkers(1, loss, kill_at=draw.randint(2, 9), saved=saved)
            )
        except Killed:
            continue
        break
    assert [one["values"] for one in killed.best] == [one["values"] for one in calm.best]
    assert not replay(str(tmp_path / "killed")).differences
