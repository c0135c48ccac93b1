"""How sweeps end that cannot go on, and what becomes of a log with gaps."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from raygen.errors import OutputError, TrialsFailedError
from raygen.sweeps.record import SweepRecord
from tests.sweeps import a_sweep
from tests.unit.sweeps.virtual import VirtualWorkers, drive, loss

SEARCHES = ("Grid", "Random", "Sobol", "TPE")
SCHEDULERS: tuple[dict[str, Any], ...] = (
    {"type": "Full"},
    {"type": "ASHA", "firstSteps": 10, "reduction": 2},
    {"type": "Hyperband", "firstSteps": 10, "reduction": 2},
    {"type": "Median", "firstSteps": 10, "leastTrials": 2},
)


def test_too_many_failures_end_it_in_order_and_nothing_begins_after_them(tmp_path: Path) -> None:
    def broken(spec: Any, step: int) -> dict[str, float]:
        return {"loss": math.nan}

    sweep = a_sweep(budget={"trials": 9}, failedTrials=1, concurrency=2)
    with pytest.raises(TrialsFailedError, match="may"):
        drive(sweep, tmp_path, VirtualWorkers(2, broken))
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["counts"].get("Failed", 0) >= 2
    assert "Running" not in summary["counts"]
    workers = VirtualWorkers(2, broken)
    with pytest.raises(TrialsFailedError):
        drive(sweep, tmp_path, workers)
    assert workers.started == []


def test_events_that_are_missing_are_told(tmp_path: Path) -> None:
    saved: dict[int, int] = {}
    drive(a_sweep(), tmp_path, VirtualWorkers(1, loss, saved=saved))
    drive(a_sweep(budget={"trials": 6}), tmp_path, VirtualWorkers(1, loss, saved=saved))
    (tmp_path / "log" / "0001-000001.jsonl").write_text("")
    with pytest.raises(OutputError, match="events before this file are missing"):
        SweepRecord(str(tmp_path))
