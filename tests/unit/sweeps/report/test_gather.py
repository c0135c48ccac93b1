"""The page of a sweep, from its log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from raygen.report.sweep import SweepPage, render_sweep
from raygen.run.directory import RunDirectory
from raygen.storage import LocalStorage
from raygen.sweeps.events import Event, Reported
from raygen.sweeps.record import SweepRecord
from raygen.sweeps.report.gather import gather
from tests.sweeps import LAYERS, RATE
from tests.unit.evaluation.reports import HOSTILE, png
from tests.unit.report.test_page import Page, check_inert
from tests.unit.sweeps.report.logs import (
    DECAY,
    MATRIX_RATE,
    OPTIMIZER,
    PARAMETERS,
    PLAIN,
    TWO,
    drawn_trials,
    page_of,
    stopped,
    the_sweep,
    trial,
    write_text_samples,
    written,
)

SECTIONS = {
    *("best", "parameters", "history", "coordinates", "importance", "slices", "curves"),
    *("samples", "failures", "trials", "template"),
}


def sections(page: Page) -> set[str]:
    return {attributes.get("id", "") for attributes in page.all("section")}


def values_of(events: Sequence[Event]) -> dict[int, dict[str, float]]:
    """What each trial reported last."""
    return {one.trial: dict(one.values) for one in events if isinstance(one, Reported)}


@pytest.fixture
def forty(tmp_path: Path) -> tuple[SweepRecord, SweepPage]:
    record = written(tmp_path / "rates", the_sweep(), drawn_trials(40))
    return record, gather(record)


def test_a_page_says_what_the_sweep_is_and_what_came_of_it(forty: tuple[SweepRecord, SweepPage]) -> None:
    record, gathered = forty
    page = check_inert(render_sweep(gathered))
    assert sections(page) == SECTIONS
    completed = [one for one in record.history.trials if one.state == "Completed"]
    best = min(completed, key=lambda one: one.reports[20]["loss"])
    states = Counter(one.state for one in record.history.trials)
    for said in (
        "rates", "Succeeded", "all 40 trials of the budget have begun", "loss (minimize)", "40 of 40 trials",
        f"the best: trial {best.number}", f"trials/t{best.number:04d}", "0.0001 to 0.1, logarithmic",
        "training.optimizer.type is Muon", f"{states['Completed']} completed, {states['Failed']} failed, {states['Stopped']} stopped",
    ):  # fmt: skip
        assert said in page.text, said
    assert [row["trial"] for row in gathered.best] == [best.number]
    assert gathered.best[0]["loss"] == best.reports[20]["loss"]
    assert gathered.best[0]["learningRate"] == best.values[RATE]
    assert next(iter(gathered.trials))["trial"] == best.number
    assert gathered.trials[-1]["state"] == "Failed"
    assert len(gathered.trials) == 40


def test_every_picture_is_described(forty: tuple[SweepRecord, SweepPage]) -> None:
    page = check_inert(render_sweep(forty[1]))
    described = [one["aria-labelledby"].split() for one in page.all("svg") if "aria-labelledby" in one]
    identities = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identities) == len(set(identities))
    assert len(described) == 2 + 1 + len(PARAMETERS) + 1
    assert {name for names in described for name in names} <= set(identities)


def test_the_history_has_each_trial_and_the_best_so_far(forty: tuple[SweepRecord, SweepPage]) -> None:
    record, gathered = forty
    by_number, by_time = gathered.history
    states = Counter(one.state for one in record.history.trials)
    points = {one.name: one.path.count("M") for one in by_number.clouds}
    assert points == {
        "completed": states["Completed"],
        "stopped early": states["Stopped"],
        "failed": states["Failed"],
    }
    assert len({one.look for one in by_number.clouds}) == 3
    course, least = [], float("inf")
    for one in record.history.trials:
        if one.state == "Completed" and one.reports[20]["loss"] < least:
            least = one.reports[20]["loss"]
            course.append(least)
    (line,) = by_number.bundles
    assert line.name == "best so far"
    assert line.path.count("V") == len(course)
    assert f"to {least:.4g} after {len(course) - 1} changes" in by_number.summary
    assert by_time.across == "minutes at work"
    assert {one.name for one in by_time.clouds} == {"completed", "stopped early"}


def test_parallel_coordinates_have_the_best_on_top_and_a_lane_for_what_takes_no_part(
    forty: tuple[SweepRecord, SweepPage],
) -> None:
    record, gathered = forty
    (drawn,) = gathered.coordinates
    judged = [one for one in record.history.trials if one.state != "Failed"]
    assert {one.title for one in drawn.scales} == {
        *(str(one["path"]) for one in PARAMETERS),
        "loss: less is better",
    }
    assert sum(path.count("M") for _, _, path in drawn.levels) == len(judged)
    name, level, path = drawn.levels[-1]
    assert (name, level) == ("best 5 %", 0)
    assert path.count("M") == len(judged) // 20 + 1
    assert drawn.lane
    assert "not used" in check_inert(render_sweep(gathered)).text


def test_slices_are_of_trials_in_which_a_parameter_takes_part(forty: tuple[SweepRecord, SweepPage]) -> None:
    record, gathered = forty
    judged = [one for one in record.history.trials if one.state != "Failed"]
    slices = {one.across: one for one in gathered.slices}
    assert slices.keys() == {one["path"] for one in PARAMETERS}
    for path, plot in slices.items():
        took_part = [one for one in judged if path in one.values]
        assert sum(one.path.count("M") for one in plot.clouds) == len(took_part)
        assert f"for {len(took_part)} trials" in plot.summary
    assert len([one for one in judged if MATRIX_RATE in one.values]) < len(judged)
    assert [text for _, text in slices[OPTIMIZER].x] == ["AdamW", "Muon"]
    assert [text for _, text in slices[RATE].x] == ["1e-4", "0.001", "0.01", "0.1"]
    assert "0.10" in [text for _, text in slices[DECAY].x]


def test_learning_curves_tell_what_became_of_a_trial_by_more_than_a_colour(
    forty: tuple[SweepRecord, SweepPage],
) -> None:
    record, gathered = forty
    (plot,) = gathered.curves
    states = Counter(one.state for one in record.history.trials)
    lines = {one.name: one.path.count("M") for one in plot.bundles}
    best = gathered.best[0]["trial"]
    assert lines == {
        "completed": states["Completed"] - 1,
        "stopped early": states["Stopped"],
        "failed": states["Failed"],
        f"the best, trial {best}": 1,
    }
    assert len({(one.look, one.ends) for one in plot.bundles}) == 4


def test_failures_are_counted_by_cause_with_what_to_do(tmp_path: Path) -> None:
    events = [
        *trial(0, PLAIN, {20: {"loss": 1.0, "size": 1.0}}),
        *trial(1, PLAIN, {}, "Failed", "OutOfMemoryError", "no room"),
        *trial(2, PLAIN, {}, "Failed", "NonFiniteMetric", "loss is nan after step 10"),
        *trial(3, PLAIN, {}, "Failed", "OutOfMemoryError", "no room again"),
        *trial(4, PLAIN, {}, "Failed", "KeyError", "'x'"),
    ]
    rows = gather(written(tmp_path / "rates", the_sweep(), events)).failures
    assert [(row["cause"], row["trials"]) for row in rows] == [
        ("OutOfMemoryError", 2),
        ("KeyError", 1),
        ("NonFiniteMetric", 1),
    ]
    assert rows[0]["message"] == "no room again"
    assert "microBatchSize" in str(rows[0]["what to do"])
    assert "--trial 4 --as-job" in str(rows[1]["what to do"])
    assert "learning rates" in str(rows[2]["what to do"])


def test_several_objectives_have_their_front_and_a_part_each(tmp_path: Path) -> None:
    record = written(tmp_path / "rates", the_sweep(objectives=TWO), drawn_trials(60))
    gathered = gather(record)
    last = values_of(record.events)
    whole = {one.number: last[one.number] for one in record.history.trials if one.state == "Completed"}
    front = {
        number
        for number, own in whole.items()
        if not any(
            other["loss"] <= own["loss"] and other["size"] >= own["size"] and other != own
            for other in whole.values()
        )
    }
    assert {row["trial"] for row in gathered.best} == front
    plot, *others = gathered.history
    assert plot.title == "size against loss"
    assert next(one for one in plot.clouds if one.name == "the best").path.count("M") == len(front)
    assert plot.bundles[0].name == "Pareto front"
    assert [one.title for one in others] == ["loss of each trial", "size of each trial"]
    assert [one.objective for one in gathered.importance] == ["loss", "size"]
    assert [one.weights[0].title for one in gathered.importance] == [RATE, LAYERS]
    assert [one.title for one in gathered.coordinates] == ["Coloured by loss", "Coloured by size"]
    assert {one.title for one in gathered.samples} >= {
        f"Trial {max(front, key=lambda number: whole[number]['size'])}, the best in size"
    } or len(gathered.samples) == 1
    figures = {one.name: one for one in gathered.figures}
    assert figures["size"].value == max(own["size"] for own in whole.values())
    assert f"of {len(front)} on the front" in figures["loss"].note
    check_inert(render_sweep(gathered))


def test_a_sweep_in_which_all_failed_or_nothing_began_has_a_page(tmp_path: Path) -> None:
    failed = [event for n in range(4) for event in trial(n, PLAIN, {}, "Failed", "DataError", "no data")]
    gathered = gather(written(tmp_path / "failed", the_sweep(budget={"trials": 4}), failed))
    page = check_inert(render_sweep(gathered))
    assert (gathered.state, gathered.explanation) == ("Failed", "All 4 trials have failed.")
    assert "No trial has reported its objectives yet." in page.text
    assert sections(page) == {"parameters", "history", "importance", "failures", "trials", "template"}
    empty = gather(written(tmp_path / "empty", the_sweep(), []))
    assert empty.state == "Stopped"
    assert "trials 0" in check_inert(render_sweep(empty)).text


def test_what_is_one_trial_alone_is_drawn(tmp_path: Path) -> None:
    events = trial(0, PLAIN, {20: {"loss": 1.0, "size": 1.0}}, None)
    gathered = gather(written(tmp_path / "rates", the_sweep(), events))
    assert (gathered.state, gathered.coordinates, gathered.curves) == ("Running", [], [])
    check_inert(render_sweep(gathered))


@pytest.mark.parametrize(
    ("events", "changes", "state", "said"),
    [
        ([*trial(0, PLAIN, {10: {"loss": 1.0}}, None)], {}, "Running", "1 trial train"),
        ([*trial(0, PLAIN, {10: {"loss": 1.0}}, None), stopped(0, 10)], {}, "Stopped", "nothing trains"),
        ([*trial(0, PLAIN, {20: {"loss": 1.0}})], {}, "Stopped", "nothing trains"),
        ([*trial(0, PLAIN, {20: {"loss": 1.0}})], {"budget": {"trials": 1}}, "Succeeded", "all 1 trials"),
        (
            [*trial(0, PLAIN, {20: {"loss": 1.0}}), *trial(1, PLAIN, {}, None), stopped(1, 0)],
            {"budget": {"hours": 0.1}},
            "Succeeded",
            "at work for 0.1 hours",
        ),
        (
            [*trial(0, {LAYERS: 2}, {20: {"loss": 1.0}})],
            {
                "parameters": [{"path": LAYERS, "type": "Choice", "values": [2]}],
                "search": {"type": "Grid"},
            },
            "Succeeded",
            "no other values",
        ),
        (
            [*trial(0, PLAIN, {20: {"loss": 1.0}}), *trial(1, PLAIN, {}, "Failed", "DataError", "")],
            {"failedTrials": 0},
            "Failed",
            "1 of 2 trials have failed, and 0 may",
        ),
    ],
)  # fmt: skip
def test_the_state_follows_from_the_log(
    tmp_path: Path, events: list[Event], changes: dict[str, object], state: str, said: str
) -> None:
    gathered = gather(written(tmp_path / "rates", the_sweep(**changes), events))
    assert gathered.state == state
    assert said in gathered.explanation
    assert bool(gathered.remedy) == (state != "Succeeded")


def test_trials_that_break_a_constraint_or_come_from_elsewhere_are_told_apart(tmp_path: Path) -> None:
    events = [
        *trial(0, PLAIN, {20: {"loss": 9.0, "size": 1.0}}, source="WarmStart"),
        *trial(1, PLAIN, {20: {"loss": 1.0, "size": 5.0}}),
        *trial(2, PLAIN, {20: {"loss": 2.0, "size": 1.0}}),
    ]
    constraints = [{"metric": "size", "atMost": 2}]
    gathered = gather(written(tmp_path / "rates", the_sweep(constraints=constraints), events))
    assert {one.name: one.path.count("M") for one in gathered.history[0].clouds} == {
        "of an earlier sweep": 1,
        "breaks a constraint": 1,
        "completed": 1,
    }
    assert [row["trial"] for row in gathered.best] == [2]
    assert [row["trial"] for row in gathered.trials] == [2, 1]
    assert ("Constraint", "size at most 2") in gathered.facts


def test_samples_are_those_of_the_best(tmp_path: Path) -> None:
    events = [
        *trial(0, PLAIN, {20: {"loss": 2.0, "size": 1.0}}),
        *trial(1, PLAIN, {20: {"loss": 1.0, "size": 1.0}}),
    ]
    record = written(tmp_path / "rates", the_sweep(), events)
    assert "Its run has none" in page_of(record).text
    write_text_samples(tmp_path / "rates", 0, ["of another trial"])
    write_text_samples(tmp_path / "rates", 1, ["first words", HOSTILE])
    run = RunDirectory(LocalStorage(tmp_path / "rates" / "trials"), "t0001")
    run.write_sample(20, "image-000.png", png())
    page = page_of(record)
    assert "Trial 1, the best in loss" in page.text
    assert "first words" in page.text
    assert "of another trial" not in page.text
    assert [one["alt"] for one in page.all("img")] == ["Sample 1 after 20 steps"]
    run.write_sample(30, "texts.jsonl", b"{broken")
    assert "The samples of its run cannot be read." in page_of(record).text


def test_foreign_text_changes_nothing_but_text(tmp_path: Path) -> None:
    # What JSON cannot hold a log does not have.
    hostile = HOSTILE.encode("utf-8", "replace").decode()
    parameters = [
        *PARAMETERS[:2],
        {"path": "data.train.sources", "type": "Choice", "values": [[{"uri": hostile}], [{"uri": "b"}]]},
    ]
    values = {RATE: 1e-2, LAYERS: 2, "data.train.sources": [{"uri": hostile}]}
    other = {**values, "data.train.sources": [{"uri": "b"}]}
    events = [
        *trial(0, values, {10: {"loss": 1.0}, 20: {"loss": 0.5}}),
        *trial(1, other, {10: {"loss": 2.0}, 20: {"loss": 1.5}}),
        *trial(2, values, {}, "Failed", "ModelError", f"<script>alert(1)</script>{hostile * 100}"),
        *trial(3, values, {}, "Failed", hostile, hostile),
    ]
    record = written(tmp_path / "rates", the_sweep(parameters=parameters), events)
    html = render_sweep(gather(record))
    page = check_inert(html)
    assert "<script" not in html
    assert "<script>alert(1)</script>" in page.text
    assert str(7 * 191) not in page.text
    assert len(html) < 150_000
