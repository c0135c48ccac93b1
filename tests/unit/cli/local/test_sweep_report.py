"""`raygen sweep report`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from raygen.cli.main import main
from tests.unit.sweeps.report.logs import drawn_trials, the_sweep, written


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    written(tmp_path / "rates", the_sweep(), drawn_trials(5))
    return tmp_path / "rates"


def test_a_report_is_written_into_the_directory_and_its_place_is_printed(
    sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", "report", str(sweep)]) == 0
    where = capsys.readouterr().out.strip()
    assert where == str(sweep / "report.html")
    assert "rates, sweep · raygen" in Path(where).read_text(encoding="utf-8")


def test_a_report_is_written_to_a_file_and_its_place_printed_as_json(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "page.html"
    assert main(["sweep", "report", str(sweep), "--output", str(target), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"report": str(target)}
    assert target.exists()
    assert not (sweep / "report.html").exists()


def test_where_there_is_no_sweep_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "report", str(tmp_path / "nowhere"), "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["what"] == "there is no sweep"
    assert "sweeps/NAME" in error["remedy"]
    assert not (tmp_path / "nowhere").exists()


def test_a_file_that_cannot_be_written_is_an_error_with_a_remedy(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["sweep", "report", str(sweep), "--output", str(tmp_path / "no" / "page.html"), "--json"]) == 2
    )
    error = json.loads(capsys.readouterr().out)["error"]
    assert "cannot be written" in error["what"]
    assert "folder that exists" in error["remedy"]
