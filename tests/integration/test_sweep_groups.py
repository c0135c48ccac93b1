"""Sweeps whose trials are more than one run on one worker: populations, whose members go on from each other, and groups of workers."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import psutil
import pytest
import yaml

from raygen.run.directory import RunDirectory
from raygen.storage import LocalStorage
from raygen.sweeps.events import Leased, Proposed, Reported
from raygen.sweeps.record import SweepRecord
from tests.integration.sweeping import done, events_of, raygen, until, weights, write_sweep
from tests.sweeps import RATE

pytestmark = pytest.mark.timeout(400)


@pytest.mark.long
def test_a_population_that_is_killed_goes_on_and_its_winner_is_one_job_file(tmp_path: Path) -> None:
    path = write_sweep(
        tmp_path,
        parameters=[{"path": RATE, "type": "Real", "low": 1e-4, "high": 1e-1, "scale": "Log"}],
        scheduler={"type": "PBT", "firstSteps": 5, "population": 3, "quantile": 0.4},
        concurrency=2,
        budget={"trials": 12},
        startingPoints=[{"values": {RATE: rate}} for rate in (1e-4, 3e-4, 1e-3)],
        template__spec__training__duration={"steps": 30},
        template__spec__evaluation__everySteps=5,
    )
    sweep = tmp_path / "sweeps" / "rates"

    def children() -> list[Proposed]:
        return [
            event for event in events_of(sweep) if isinstance(event, Proposed) and event.parent is not None
        ]

    command = raygen("sweep", path, "--cores", "2")
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as driver:
        until(lambda: len(children()) >= 1, driver)
        driver.kill()
    result = done("sweep", path, "--cores", "2", cwd=tmp_path)
    assert (result["state"], result["reason"] in ("PopulationTrained", "BudgetUsedUp")) == ("Succeeded", True)
    replay = done("sweep", "replay", sweep, cwd=tmp_path)
    assert (replay["drivers"], replay["differences"]) == (2, [])

    history = SweepRecord(str(sweep)).history
    begun = [event for event in events_of(sweep) if isinstance(event, Proposed)]
    assert [event.trial for event in begun] == list(range(len(history.trials)))
    assert sum(one.state == "Completed" for one in history.trials) == 3
    trained = {}
    for child in children():
        lines = RunDirectory(LocalStorage(sweep / "trials"), f"t{child.trial:04d}").read_metrics().lines
        trained[child.trial] = min(line.step for line in lines) == child.parent_step + 1
    assert any(trained.values()), "none has begun from a checkpoint of its parent"

    # Which one is best depends on who came first; a place that was taken is held by children to the end.
    completed = [one for one in history.trials if one.state == "Completed"]
    deepest = max(completed, key=lambda one: len(history.lineage(one)))
    child = done("sweep", "best", sweep, "--trial", str(deepest.number), cwd=tmp_path)
    assert child["lineage"][0]["fromStep"] == 0
    assert len(child["lineage"]) > 1
    shown = subprocess.run(
        raygen("sweep", "show", sweep), cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert f"{child['trial']} from step {child['lineage'][-1]['fromStep']}" in shown.stdout
    for number, run in ((result["best"][0]["trial"], "best"), (deepest.number, "deepest")):
        printed = subprocess.run(
            raygen("sweep", "best", sweep, "--trial", str(number), "--as-job"),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        line = history.lineage(history.trials[number])
        changes = yaml.safe_load(printed.stdout)["spec"]["training"].get("changes", [])
        assert [one["atStep"] for one in changes] == [one.parent_step for one in line[1:]]
        (tmp_path / f"{run}.yaml").write_text(printed.stdout)
        again = done("train", f"{run}.yaml", "--run", run, cwd=tmp_path)
        assert weights(Path(again["run"])) == weights(sweep / "trials" / f"t{number:04d}")


@pytest.mark.long
def test_trials_of_several_workers_share_the_machine_and_lose_one(tmp_path: Path) -> None:
    path = write_sweep(
        tmp_path,
        template__spec__scale={"workers": 2, "cpusPerWorker": 1},
        template__spec__training__duration={"steps": 30},
        scheduler={"type": "ASHA", "firstSteps": 10, "reduction": 2},
        concurrency=2,
        budget={"trials": 4},
    )
    sweep = tmp_path / "sweeps" / "rates"
    command = raygen("sweep", path, "--cores", "4", "--json")
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as driver:
        until(lambda: sum(isinstance(event, Leased) for event in events_of(sweep)) >= 2, driver)
        until(lambda: any(isinstance(event, Reported) for event in events_of(sweep)), driver)
        trains = [
            one
            for one in psutil.Process(driver.pid).children(recursive=True)
            if "ray::RayTrainWorker" in " ".join(one.cmdline())
        ]
        if trains:
            trains[0].kill()
        out, err = driver.communicate()
    assert driver.returncode == 0, err
    result = json.loads(out)
    assert (result["trials"], result["state"]) == (4, "Succeeded")
    history = SweepRecord(str(sweep)).history
    assert {one.state for one in history.trials} <= {"Completed", "Waiting", "Stopped"}
    assert not done("sweep", "replay", sweep, cwd=tmp_path)["differences"]
    (best,) = result["best"]
    printed = subprocess.run(
        raygen("sweep", "best", sweep, "--as-job"), cwd=tmp_path, capture_output=True, text=True, check=True
    )
    (tmp_path / "best.yaml").write_text(printed.stdout)
    again = done("train", "best.yaml", "--cores", "2", cwd=tmp_path)
    assert weights(Path(again["run"])) == weights(Path(best["run"]))
