"""Sweeps in processes of Ray: killed, gone on with, replayed, and their winner trained again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter
from pathlib import Path

import psutil
import pytest

from raygen.sweeps.events import Began, Ended, Leased, Reported, Returned
from raygen.sweeps.record import SweepRecord
from tests.integration.sweeping import done, events_of, raygen, until, weights, write_sweep
from tests.sweeps import RATE

pytestmark = pytest.mark.timeout(400)

JUDGE = """
import sys
import time


def hangs(run, step):
    rate = run.job.spec.training.optimizer.learning_rate
    if rate < 0.005:
        time.sleep(3600)
    return rate


def leaves(run, step):
    sys.exit(3)


def weight(run, step):
    checkpoint = run.checkpoint(step)
    assert step == 20
    return sum(float(tensor.abs().sum()) for tensor in checkpoint.tensors.values())
"""


@pytest.mark.long
def test_a_sweep_that_is_killed_goes_on_and_its_winner_is_the_run_of_its_own_job(tmp_path: Path) -> None:
    path = write_sweep(
        tmp_path,
        search={"type": "TPE", "initialTrials": 2},
        scheduler={"type": "ASHA", "firstSteps": 10, "reduction": 2},
        concurrency=2,
        budget={"trials": 5},
        startingPoints=[{}],
        template__spec__evaluation__samples={
            "everySteps": 10,
            "count": 1,
            "prompts": ["the "],
            "maxTokens": 8,
        },
    )
    sweep = tmp_path / "sweeps" / "rates"

    def seen(*kinds: type) -> int:
        return sum(isinstance(event, kinds) for event in events_of(sweep))

    command = raygen("sweep", path, "--cores", "2")
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as driver:
        until(lambda: seen(Reported) >= 1 and seen(Leased) >= 2, driver)
        driver.kill()
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as driver:
        until(lambda: seen(Began) == 2 and seen(Ended) >= 1, driver)
        driver.send_signal(signal.SIGTERM)
        assert driver.wait(60) == 3, driver.communicate()
    assert '<span class="badge Stopped">' in (sweep / "report.html").read_text()
    result = done("sweep", path, "--cores", "2", cwd=tmp_path)
    assert (result["state"], result["trials"]) == ("Succeeded", 5)
    assert result["report"] == str(sweep / "report.html")
    report = (sweep / "report.html").read_text()
    assert f"Trial {result['best'][0]['trial']}, the best in loss" in report
    assert "<b>the </b>" in report

    events = events_of(sweep)
    reported = Counter((event.trial, event.step) for event in events if isinstance(event, Reported))
    assert set(reported.values()) == {1}
    assert seen(Began) == 3
    replay = done("sweep", "replay", sweep, cwd=tmp_path)
    assert (replay["proposals"], replay["drivers"], replay["differences"]) == (5, 3, [])

    (best,) = result["best"]
    history = SweepRecord(str(sweep)).history
    assert best["metrics"]["loss"] == min(
        one.reports[20]["loss"] for one in history.trials if 20 in one.reports
    )
    assert done("sweep", "show", sweep, cwd=tmp_path)["table"][0] == best
    printed = subprocess.run(
        raygen("sweep", "best", sweep, "--as-job"), cwd=tmp_path, capture_output=True, text=True, check=True
    )
    (tmp_path / "best.yaml").write_text(printed.stdout)
    again = done("train", "best.yaml", cwd=tmp_path)
    assert weights(Path(again["run"])) == weights(Path(best["run"]))


def test_a_trial_whose_process_is_killed_goes_on_and_functions_judge_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "judge.py").write_text(JUDGE)
    path = write_sweep(
        tmp_path,
        objectives=[{"entryPoint": "judge:weight", "goal": "Minimize"}],
        constraints=[{"metric": "loss", "atMost": 100}],
        parameters=[{"path": RATE, "type": "Choice", "values": [0.001, 0.01]}],
        search={"type": "Grid"},
        budget={"trials": 9},
        template__spec__training__duration={"steps": 20},
    )
    sweep = tmp_path / "sweeps" / "rates"
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    command = raygen("sweep", path, "--json")
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as driver:
        until(lambda: any(isinstance(event, Reported) for event in events_of(sweep)), driver)
        (trains,) = [
            one
            for one in psutil.Process(driver.pid).children(recursive=True)
            if "TrialProcess" in " ".join(one.cmdline())
        ]
        trains.kill()
        out, err = driver.communicate()
    assert driver.returncode == 0, err
    assert json.loads(out)["reason"] == "SpaceExhausted"
    assert any(isinstance(event, Returned) and event.reason == "WorkerLost" for event in events_of(sweep))
    trials = SweepRecord(str(sweep)).history.trials
    assert [one.state for one in trials] == ["Completed", "Completed"]
    # A smaller rate moves the weights less.
    judged = {one.values[RATE]: one.reports[20]["weight"] for one in trials}
    assert all(one.reports[20]["loss"] < 100 for one in trials)
    (best,) = json.loads(out)["best"]
    assert judged[best["values"][RATE]] == min(judged.values())


def test_what_cannot_run_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = write_sweep(tmp_path)
    refused = done("sweep", path, "--set", "search.type=Guess", cwd=tmp_path, code=2)
    assert refused["faults"][0]["path"] == "spec.search.type"
    refused = done("sweep", path, "--set", "scale.workers=2", cwd=tmp_path, code=2)
    assert "scale" in refused["faults"][0]["path"]
    refused = done(
        "sweep", path, "--set", "template.spec.scale={workers: 2, cpusPerWorker: 512}", cwd=tmp_path, code=2
    )
    assert refused["error"]["where"] == "spec.template.spec.scale"
    objective = "objectives=[{entryPoint: 'nowhere:at_all', goal: Minimize}]"
    refused = done("sweep", path, "--set", objective, cwd=tmp_path, code=2)
    assert refused["error"]["where"] == "nowhere:at_all"
    population = "scheduler={type: PBT, firstSteps: 10}"
    unsaved = "template.spec.checkpoint={everySeconds: 60}"
    refused = done("sweep", path, "--set", population, "--set", unsaved, cwd=tmp_path, code=2)
    lacking = {one["path"]: one["remedy"] for one in refused["faults"]}
    assert "scheduler.firstSteps" in lacking["spec.template.spec.checkpoint.everySteps"]
    refused = done("sweep", "replay", "sweeps/rates", cwd=tmp_path, code=2)
    assert refused["error"]["what"] == "there is no sweep"
    assert not (tmp_path / "sweeps").exists()


def test_a_function_that_leaves_ends_its_trials_and_the_sweep(tmp_path: Path) -> None:
    (tmp_path / "judge.py").write_text(JUDGE)
    path = write_sweep(
        tmp_path, objectives=[{"entryPoint": "judge:leaves", "goal": "Minimize"}], budget={"trials": 2}
    )
    failed = done("sweep", path, "--name", "left", cwd=tmp_path, code=1)["error"]
    assert failed["what"].startswith("all 2 trials have failed (2 of SystemExit)")
    assert "All 2 trials have failed." in (tmp_path / "sweeps" / "left" / "report.html").read_text()
    refused = done("sweep", path, "--name", "../out", cwd=tmp_path, code=2)
    assert refused["faults"][0]["path"] == "spec.output.sweep"


def test_a_function_that_hangs_fails_its_trial_and_the_next_one_has_a_process_of_its_own(
    tmp_path: Path,
) -> None:
    (tmp_path / "judge.py").write_text(JUDGE)
    path = write_sweep(
        tmp_path,
        objectives=[{"entryPoint": "judge:hangs", "goal": "Minimize", "timeoutSeconds": 1}],
        parameters=[{"path": RATE, "type": "Choice", "values": [0.001, 0.01]}],
        search={"type": "Grid"},
        budget={"trials": 2},
        startingPoints=[{"values": {RATE: 0.001}}],
    )
    ended = done("sweep", path, cwd=tmp_path)
    trials = SweepRecord(str(tmp_path / "sweeps" / "rates")).history.trials
    assert [(one.values[RATE], one.state) for one in trials] == [(0.001, "Failed"), (0.01, "Completed")]
    assert trials[0].reason == "ObjectiveTimeoutError"
    assert "judge:hangs: has not returned after 1 s" in trials[0].message
    assert [one["values"][RATE] for one in ended["best"]] == [0.01]
