"""What a report takes from the measurements of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from raygen.report.gather import gather
from raygen.report.page import render
from raygen.run.measurements import TRAIN, MetricsWriter
from raygen.run.record import RunRecord
from tests.jobs import job_document
from tests.unit.training.runs import train


@pytest.mark.parametrize(("ratio", "charts"), [(0.004, 0), (0.3, 1)])
def test_waiting_for_data_is_a_figure_and_a_chart_where_it_matters(
    base: Path, ratio: float, charts: int
) -> None:
    train(base, job_document(evaluation=None, training__duration={"steps": 3}))
    run = RunRecord.open(str(base / "runs" / "tiny"))
    attempt = run.directory.claim()
    writer = run.directory.metrics_writer(attempt)
    for step in range(1, 201):
        writer.append(TRAIN, step, {"loss": 1.0, "data_wait_ratio": ratio})
    writer.flush()
    data = gather(run)
    (figure,) = [figure for figure in data.figures if figure.name == "waiting for data"]
    assert (figure.value, figure.unit) == (round(100 * ratio, 1), "%")
    assert len([chart for chart in data.charts if chart.title == "Waiting for data"]) == charts
    assert not [chart for chart in data.charts if "ratio" in chart.title]


@pytest.mark.parametrize(
    ("first", "ratio", "seconds", "advised"),
    [(0.3, 0.3, 1.0, True), (1.0, 0.09, 1.0, False), (0.3, 0.3, 0.01, False)],
    ids=["long", "the first samples alone", "a short run"],
)
def test_long_waiting_for_data_is_advised_on(
    base: Path, first: float, ratio: float, seconds: float, advised: bool
) -> None:
    train(base, job_document(evaluation=None, training__duration={"steps": 3}))
    run = RunRecord.open(str(base / "runs" / "tiny"))
    now = [0.0]
    attempt = run.directory.claim()
    writer = MetricsWriter(run.directory.storage, attempt.number, clock=lambda: now[0])
    for step in range(1, 51):
        now[0] = step * seconds
        writer.append(TRAIN, step, {"loss": 1.0, "data_wait_ratio": first if step <= 10 else ratio})
    writer.flush()
    data = gather(run)
    assert len(data.advice) == advised
    if advised:
        (sentence,) = data.advice
        assert sentence.startswith(
            "Training waited for data in 30% of the time of the last 40 steps. Prepare the data beforehand"
        )
        assert sentence in render(data)
