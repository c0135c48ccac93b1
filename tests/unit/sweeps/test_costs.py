"""What trials cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raygen.sweeps.record import SweepRecord
from tests.sweeps import a_sweep
from tests.unit.sweeps.virtual import VirtualWorkers, drive, loss


def test_money_is_spent_on_the_cores_of_all_workers_and_on_the_part_of_a_gpu_that_a_trial_has(
    tmp_path: Path,
) -> None:
    def ended_after(name: str, prices: dict[str, float], **changes: Any) -> tuple[float, float]:
        budget = {"cost": {"limit": 0.05, **prices}}
        drive(a_sweep(budget=budget, **changes), tmp_path / name, VirtualWorkers(1, loss))
        summary = SweepRecord(str(tmp_path / name)).summary()
        return summary["seconds"], summary["cost"]

    alone, _ = ended_after("alone", {"perCoreHour": 1.0})
    three, cost = ended_after("three", {"perCoreHour": 1.0}, template__spec__scale={"workers": 3})
    assert 0.05 <= cost < 0.07
    assert three == pytest.approx(alone / 3, rel=0.3)
    gpu = {"template__spec__scale": {"gpusPerWorker": 1}, "concurrency": 2, "trialsPerWorker": 2}
    whole, _ = ended_after("whole", {"perGpuHour": 1.0}, **gpu)
    half, _ = ended_after("half", {"perGpuHour": 1.0}, **gpu, trialsPerGpu=2)
    assert half == pytest.approx(2 * whole, rel=0.3)
