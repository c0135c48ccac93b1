"""A run on Ray's workers that is steered from the process that started it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

import raygen
from raygen.run.directory import RunDirectory
from raygen.storage import open_storage
from tests.jobs import job_document, write_text


@pytest.fixture
def base(tmp_path: Path) -> Path:
    write_text(tmp_path / "text.txt")
    return tmp_path


def test_workers_report_pause_and_stop_at_the_step_that_was_asked_for(base: Path) -> None:
    heard: list[int] = []
    notices: list[str] = []

    class Resumes(raygen.Observer):
        def notice(self, message: str) -> None:
            notices.append(message)
            if message.startswith("paused"):
                control.resume()

    def report(step: int, values: Mapping[str, float]) -> None:
        heard.append(step)
        assert values["loss"] > 0
        if step == 5:
            control.pause()
        if step == 10:
            control.stop_at(13)

    control = raygen.Control(report=report)
    document = job_document(evaluation__everySteps=5, scale={"workers": 2, "cpusPerWorker": 1})
    result = raygen.train(
        document, base=base, output=str(base / "runs"), device="cpu", control=control, observer=Resumes()
    )
    assert (result.state, result.reason, result.step) == ("Stopped", "StopAt", 13)
    assert heard == [5, 10]
    assert [message for message in notices if message.startswith("paused")] == ["paused after step 5"]
    directory = RunDirectory(open_storage(str(base / "runs")), "tiny")
    assert [line.step for line in directory.read_metrics().lines if line.kind == "train"] == list(
        range(1, 14)
    )
