"""Faults of a sweep that show only once its parameters meet its template: with file and line, from each command."""

from __future__ import annotations

from pathlib import Path

import pytest

from raygen.cli.main import main
from raygen.jobfile import dumps
from tests.sweeps import LAYERS, RATE, a_sweep


@pytest.mark.parametrize("command", [["validate"], ["sweep"], ["sweep", "--dry-run"]])
def test_they_have_the_line_of_what_is_wrong(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = [
        {"path": RATE, "type": "Real", "low": -1.0, "high": 1.0},
        {"path": f"{LAYERS}s", "type": "Integer", "low": 1, "high": 3},
    ]
    path = tmp_path / "sweep.yaml"
    path.write_text(dumps(a_sweep(parameters=wrong)))
    lines = path.read_text().splitlines()
    assert main([*command, str(path)]) == 2
    said = capsys.readouterr().err
    assert f"{path}: 2 faults in the sweep" in said
    low = next(number for number, line in enumerate(lines, 1) if "low: -1" in line)
    layers = next(number for number, line in enumerate(lines, 1) if f"{LAYERS}s" in line)
    assert f"line {low}: spec.parameters[0].low: -1.0" in said
    assert f"line {layers}: spec.parameters[1].path: " in said
