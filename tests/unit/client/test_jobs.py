"""Waiting for jobs and stopping them."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from raygen.cli.main import main
from raygen.client import jobs
from raygen.client.jobs import current, submit, wait
from raygen.errors import InputError, RunError
from raygen.jobfile import load
from raygen.kube import ApiError, Connection, connect
from tests.unit.client.stub import JOB, NAME, TEAM, Cluster, ended, job

Object = dict[str, Any]

SAMPLE = Path(__file__).parents[3] / "manifests" / "samples" / "gpt.yaml"


@pytest.fixture
def connection(cluster: Cluster, tmp_path: Path) -> Connection:
    return connect(cluster.kubeconfig(tmp_path))


def test_after_a_resume_the_rest_before_it_does_not_end_the_wait(
    cluster: Cluster, connection: Connection
) -> None:
    cluster.objects[JOB] = job("Suspended", seen=1, generation=2)
    cluster.changes = [
        job("Restarting", seen=2, generation=2),
        job("Completed", "True", seen=2, generation=2),
    ]
    told: list[str] = []
    wait(connection, TEAM, NAME, tell=lambda one: told.append(current(one)["reason"]))
    # Each watch of the stub tells one change and ends, and the list after it has that too.
    assert list(dict.fromkeys(told)) == ["Pending", "Restarting", "Completed"]


def test_after_a_change_the_training_before_it_is_not_waited_for(
    cluster: Cluster, connection: Connection
) -> None:
    cluster.objects[JOB] = job("Training", seen=1, generation=2)
    cluster.changes = [job("Stopping", seen=2, generation=2), job("Training", seen=2, generation=2)]
    found = wait(connection, TEAM, NAME, until=["Training"])
    assert found["status"]["conditions"][0]["observedGeneration"] == 2
    assert cluster.changes == []


def test_a_job_that_has_ended_has_ended_whatever_is_asked_of_it(
    cluster: Cluster, connection: Connection
) -> None:
    cluster.objects[JOB] = job("Completed", "True", seen=1, generation=2)
    assert current(wait(connection, TEAM, NAME))["reason"] == "Completed"


@pytest.mark.parametrize("silent", [False, True], ids=["gone", "silent"])
def test_the_time_is_up_while_the_api_server_is_away(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, silent: bool
) -> None:
    monkeypatch.setattr(jobs, "LEAST_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        cluster.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        if not silent:
            listening.close()
        began = time.monotonic()
        with pytest.raises(
            RunError, match=r"did not get there within 0\.2 s: the API server does not answer"
        ):
            wait(connect(cluster.kubeconfig(tmp_path)), TEAM, NAME, timeout=0.2)
        assert time.monotonic() - began < 5


def test_stop_says_of_a_job_that_has_ended_that_it_has(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = cluster.kubeconfig(tmp_path)
    assert main(["stop", NAME, "--kubeconfig", config]) == 0
    assert "stops with a checkpoint" in capsys.readouterr().out
    assert cluster.patches == [(JOB, {"spec": {"suspend": True}})]
    cluster.objects[JOB] = ended()
    assert main(["stop", NAME, "--kubeconfig", config]) == 0
    assert capsys.readouterr().out == "team/tiny has ended (DataError); there is nothing to stop\n"
    assert len(cluster.patches) == 1


@pytest.mark.parametrize("verb", ["get", "stop", "wait", "delete", "logs", "dashboard"])
def test_who_lacks_a_right_reads_which_one(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    said = 'User "ann" cannot %s resource "trainingjobs" in API group "raygen.io" in the namespace "team"'
    cluster.forbidden = {JOB: said % "get", JOB.rpartition("/")[0]: said % "list"}
    assert main([verb, NAME, "--kubeconfig", cluster.kubeconfig(tmp_path), "--json"]) == 2
    remedy = json.loads(capsys.readouterr().out)["error"]["remedy"]
    right = "list" if verb == "wait" else "get"
    assert (
        remedy
        == f"Ask the administrator for the right to {right} trainingjobs.raygen.io in the namespace team."
    )


def test_a_refused_submit_says_which_right_is_missing(cluster: Cluster, tmp_path: Path) -> None:
    loaded = load(SAMPLE).job
    path = JOB.replace(NAME, loaded.metadata.name)
    cluster.forbidden = {path: 'User "ann" cannot patch resource "trainingjobs" in API group "raygen.io"'}
    with pytest.raises(InputError) as caught:
        submit(connect(cluster.kubeconfig(tmp_path)), loaded, TEAM)
    assert "the right to patch trainingjobs.raygen.io" in caught.value.remedy


def test_a_refusal_that_is_no_lack_of_rights_has_its_own_words(
    cluster: Cluster, connection: Connection
) -> None:
    cluster.forbidden = {JOB: "exceeded quota: gpus"}
    with pytest.raises(ApiError, match="exceeded quota") as caught:
        jobs.get(connection, TEAM, NAME)
    assert caught.value.remedy == ""


def test_a_change_waits_for_an_api_server_that_has_just_started(
    cluster: Cluster, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "PAUSE_SECONDS", 0.0)
    loaded = load(SAMPLE).job
    path = JOB.replace(NAME, loaded.metadata.name)
    cluster.objects[path] = job()
    cluster.early = 3
    submit(connection, loaded, TEAM)
    cluster.early = 3
    jobs.stop(connection, TEAM, NAME)
    assert [where for where, _ in cluster.patches] == [path, JOB]


def test_who_submits_a_job_that_has_ended_is_told_so(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = JOB.replace(NAME, "gpt-tiny")
    cluster.objects[path] = ended()
    assert main(["submit", str(SAMPLE), "-n", TEAM, "--kubeconfig", cluster.kubeconfig(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "has ended (DataError) and is not run again; for that: raygen delete" in said


def test_a_definition_that_never_comes_is_named(
    cluster: Cluster, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "LOST_SECONDS", 0.0)
    cluster.early = 1000
    with pytest.raises(ApiError, match="RaygenRuntime") as caught:
        submit(connection, load(SAMPLE).job, TEAM)
    assert "kubectl apply -f manifests/crd" in caught.value.remedy
    assert cluster.patches == []
