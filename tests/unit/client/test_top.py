"""What jobs use, and how well."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from raygen.cli.main import main
from raygen.client.top import goodput, usage
from tests.unit.client.stub import JOB, Cluster

Object = dict[str, Any]

NOW = datetime(2026, 1, 31, 14, 0, tzinfo=UTC)
NOON = "2026-01-31T12:00:00Z"


def job(
    name: str, *, workers: int = 1, gpus: int = 0, goodput: float | None = None, ended: str | None = None
) -> Object:
    attempt = {"number": 1, "rayJob": f"{name}-r1", "started": NOON} | ({"ended": ended} if ended else {})
    progress = {"step": 50, "steps": 200, "throughput": 1234.5, "eta": "2h"} | (
        {} if goodput is None else {"goodput": goodput}
    )
    condition = {"type": "Succeeded", "status": "Unknown", "reason": "Training", "message": ""}
    return {
        "metadata": {"name": name, "namespace": "team"},
        "spec": {"scale": {"workers": workers, "gpusPerWorker": gpus}},
        "status": {"attempts": [attempt], "startTime": NOON, "progress": progress, "conditions": [condition]}
        | ({"completionTime": ended} if ended else {}),
    }


def test_the_largest_come_first_and_hours_count_from_the_attempts() -> None:
    found = usage(
        [
            job("small", gpus=1),
            job("large", workers=4, gpus=8),
            job("old", gpus=2, ended="2026-01-31T12:30:00Z"),
        ],
        NOW,
    )
    assert [(one.name, one.gpus, one.gpu_hours, one.active) for one in found] == [
        ("large", 32, 64.0, True),
        ("small", 1, 2.0, True),
        ("old", 2, 1.0, False),
    ]


def test_what_waits_in_a_queue_uses_nothing() -> None:
    waiting = job("queued", workers=8, gpus=8)
    del waiting["status"]["startTime"]
    waiting["status"]["activeSeconds"] = 1800
    (one,) = usage([waiting], NOW)
    assert (one.active, one.gpu_hours) == (False, 32.0), "but for what it used before"


def test_pods_that_prepare_data_use_no_gpus() -> None:
    done, going = job("done", workers=2, gpus=8), job("going", workers=2, gpus=8)
    for one in (done, going):
        one["spec"]["preparation"] = {"uri": "s3://runs/team/data", "workers": 5}
        one["status"]["attempts"][0]["stage"] = "Preparation"
    done["status"]["attempts"][0]["ended"] = "2026-01-31T12:30:00Z"
    done["status"]["attempts"].append({"number": 2, "rayJob": "done-r2", "started": "2026-01-31T12:30:00Z"})
    found = [(one.name, one.workers, one.gpus, one.gpu_hours) for one in usage([done, going], NOW)]
    assert found == [("done", 2, 16, 24.0), ("going", 5, 0, 0.0)]


def test_goodput_is_weighted_by_what_it_costs() -> None:
    assert goodput(
        usage([job("a", gpus=1, goodput=0.5), job("b", gpus=3, goodput=0.9)], NOW)
    ) == pytest.approx(0.8)
    assert goodput(usage([job("a", goodput=0.5), job("b", workers=3, goodput=0.9)], NOW)) == pytest.approx(
        0.8
    )
    assert goodput(usage([job("a", gpus=1), job("b", goodput=0.5, ended=NOON)], NOW)) is None


def test_a_job_of_which_nothing_is_known_yet_is_shown() -> None:
    (one,) = usage([{"metadata": {"name": "new", "namespace": "team"}, "spec": {}}], NOW)
    assert (one.reason, one.workers, one.active, one.gpu_hours) == ("Pending", 1, False, 0.0)


def test_the_table_and_its_totals(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.objects[JOB] = job("tiny", workers=2, gpus=4, goodput=0.925)
    options = ["top", "--kubeconfig", cluster.kubeconfig(tmp_path), "--price", "2.5"]
    assert main(options) == 0
    head, row, _, totals = capsys.readouterr().out.splitlines()
    assert head.split() == [
        "NAME",
        "STATUS",
        "WORKERS",
        "GPUS",
        "STEP",
        "PER-SECOND",
        "GOODPUT",
        "ETA",
        "GPU-HOURS",
        "COST",
    ]
    assert row.split()[:8] == ["tiny", "Training", "2", "8", "50/200", "25%", "1,234", "92%"]
    assert totals.startswith("1 active, 8 GPUs, goodput 92%, ")
    assert main([*options, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["cost"] == pytest.approx(document["gpu_hours"] * 2.5)
    assert document["jobs"][0]["goodput"] == 0.925


def test_ended_jobs_are_shown_on_request(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.objects[JOB] = job("tiny", ended="2026-01-31T12:30:00Z", gpus=2)
    options = ["top", "--kubeconfig", cluster.kubeconfig(tmp_path)]
    assert main(options) == 0
    assert capsys.readouterr().out == "no active jobs\n"
    assert main([*options, "--ended"]) == 0
    assert "0 active, 0 GPUs, 1.0 GPU hours" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--price=-1", "--price=nan", "--price=much", "--watch=0"])
def test_wrong_options_are_refused(option: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["top", option])
    assert caught.value.code == 2
