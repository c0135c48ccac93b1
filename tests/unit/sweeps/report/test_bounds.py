"""The page of a sweep at its bounds: many trials, extreme values, spaces that were changed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from raygen.errors import OutputError
from raygen.report.page import MAX_ROWS
from raygen.report.sweep import render_sweep
from raygen.sweeps.events import Proposed
from raygen.sweeps.record import SweepRecord
from raygen.sweeps.report.curves import MOST_CURVES
from raygen.sweeps.report.gather import gather, write_report
from tests.sweeps import LAYERS, RATE
from tests.unit.report.test_page import check_inert
from tests.unit.sweeps.report.logs import (
    PARAMETERS,
    PLAIN,
    TWO,
    drawn_trial,
    drawn_trials,
    page_of,
    the_sweep,
    trial,
    written,
)


def test_the_same_log_gives_the_same_page_wherever_it_is(tmp_path: Path) -> None:
    first = written(tmp_path / "rates", the_sweep(), drawn_trials(40))
    second = written(tmp_path / "elsewhere", the_sweep(), drawn_trials(40))
    assert render_sweep(gather(first)) == render_sweep(gather(SweepRecord(str(tmp_path / "rates"))))
    assert render_sweep(gather(first)) == render_sweep(gather(second))


def test_ten_thousand_trials_fit_into_two_megabytes(tmp_path: Path) -> None:
    sweep = the_sweep(budget={"trials": 10_000}, objectives=TWO)
    where = write_report(written(tmp_path / "rates", sweep, drawn_trials(10_000)))
    html = Path(where).read_text(encoding="utf-8")
    assert len(html.encode()) < 2_000_000
    page = check_inert(html)
    assert f"The best {MAX_ROWS} of 10000." in page.text
    assert "trials are drawn, the best" in page.text
    curves = [one for one in page.all("path") if one.get("class", "").startswith("curve")]
    assert max(one["d"].count("M") for one in curves) <= MOST_CURVES


def test_values_that_diverge_do_not_hide_the_others(tmp_path: Path) -> None:
    draw = random.Random(1)
    events = [event for number in range(30) for event in drawn_trial(number, draw)]
    events += trial(30, PLAIN, {20: {"loss": 1e9, "size": 1.0}})
    events += trial(31, PLAIN, {20: {"loss": 1e200, "size": 1.0}})
    plot = gather(written(tmp_path / "rates", the_sweep(), events)).history[0]
    assert "outside the picture" in plot.note
    assert float(plot.y[-1][1]) < 20


@pytest.mark.parametrize("values", [[1e308, -1e308], [1e308], [0.0, 0.0], [5e-324, 0.0], [1e99, -1e99]])
def test_extreme_values_have_a_page(tmp_path: Path, values: list[float]) -> None:
    events = []
    for number, value in enumerate(values):
        reports = {10: {"loss": value, "size": value}, 20: {"loss": value, "size": -value}}
        events += trial(number, PLAIN, reports)
    page = page_of(written(tmp_path / "rates", the_sweep(objectives=TWO), events))
    assert "nan" not in " ".join(one["d"] for one in page.all("path"))
    assert "inf" not in " ".join(one["d"] for one in page.all("path"))


def test_a_page_can_be_written_elsewhere(tmp_path: Path) -> None:
    record = written(tmp_path / "rates", the_sweep(), drawn_trials(3))
    assert write_report(record) == f"{tmp_path / 'rates'}/report.html"
    target = tmp_path / "page.html"
    assert write_report(record, target) == str(target)
    assert target.read_bytes() == (tmp_path / "rates" / "report.html").read_bytes()
    with pytest.raises(OutputError, match="cannot be written"):
        write_report(record, tmp_path / "nowhere" / "page.html")


def test_values_from_before_the_space_was_changed_are_drawn(tmp_path: Path) -> None:
    now = [{**PARAMETERS[0], "high": 1e-2}, {"path": LAYERS, "type": "Choice", "values": [2, 4]}]
    events = [
        *trial(0, {RATE: 0.09, LAYERS: 3}, {20: {"loss": 1.0}}),
        *trial(1, {RATE: 1e-3, LAYERS: 2}, {20: {"loss": 2.0}}),
    ]
    assert isinstance(events[0], Proposed)
    gathered = gather(written(tmp_path / "rates", the_sweep(parameters=now), events))
    slices = {one.across: one for one in gathered.slices}
    assert [text for _, text in slices[LAYERS].x] == ["2", "4", "3"]
    assert all(sum(one.path.count("M") for one in plot.clouds) == 2 for plot in slices.values())


def test_a_trial_that_was_whole_after_fewer_steps_can_be_the_first(tmp_path: Path) -> None:
    events = [
        *trial(0, PLAIN, {40: {"loss": 2.0, "size": 1.0}}),
        *trial(1, PLAIN, {20: {"loss": 1.0, "size": 1.0}}),
        *trial(2, PLAIN, {60: {"loss": 0.5, "size": 1.0}}, "Stopped", "WorseThanMedian"),
    ]
    gathered = gather(written(tmp_path / "rates", the_sweep(), events))
    assert [row["trial"] for row in gathered.trials] == [1, 0, 2]
    assert [row["trial"] for row in gathered.best] == [1]
    assert [row["why"] for row in gathered.trials] == ["Completed", "Completed", "WorseThanMedian"]
