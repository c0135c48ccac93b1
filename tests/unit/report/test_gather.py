"""What a report takes from the measurements of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from raygen.report.gather import gather
from raygen.run.measurements import TRAIN
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
