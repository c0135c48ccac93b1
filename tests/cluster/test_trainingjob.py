"""A TrainingJob on real Kubernetes: `kubectl apply`, and what befalls operator, API server and head meanwhile."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import psutil
from testcluster import cluster as real

from tests.cluster.api import until
from tests.cluster.rayjob import SHORT, STEPS
from tests.cluster.trainingjob import NAMESPACE, SYSTEM, Raygen


def test_a_job_from_apply_to_succeeded_and_its_operator_killed_on_the_way(
    alone: Raygen, tmp_path: Path
) -> None:
    alone.apply(*SHORT)
    said = alone.raygen(
        "wait", "gpt-tiny", "-n", NAMESPACE, "--for", "Training", "--timeout", "240", "--json"
    )
    assert json.loads(said)["reason"] == "Training"
    alone.kill_operator()
    alone.reaches(30)
    status = alone.job()["status"]
    assert status["driver"]["podName"].startswith("gpt-tiny-r1")
    listed = alone.cluster.kubectl("--namespace", NAMESPACE, "get", "rtj")
    assert listed.split()[:8] == ["NAME", "STATUS", "STEP", "LOSS", "THROUGHPUT", "ETA", "ATTEMPTS", "AGE"]
    assert "gpt-tiny" in alone.raygen("list", "-n", NAMESPACE)
    logs = alone.raygen("logs", "gpt-tiny", "-n", NAMESPACE)
    assert "attempt 1" in logs
    end = alone.ends(300)
    assert (end["status"], end["reason"]) == ("True", "Completed"), end
    status = alone.job()["status"]
    assert (status["outcome"]["state"], status["outcome"]["step"]) == ("Succeeded", STEPS)
    assert status["outcome"]["run"] == f"s3://runs/{NAMESPACE}/gpt-tiny"
    assert [metric["name"] for metric in status["progress"]["metrics"]] == ["bpb", "loss"]
    (attempt,) = status["attempts"]
    assert attempt["cause"] == "Completed"
    assert [step for step, _ in alone.losses("gpt-tiny")] == list(range(1, STEPS + 1))
    assert "report.html" in alone.objects("gpt-tiny")
    # The pods are gone; what they printed is not.
    until("the pods to go", 120, lambda: not alone.cluster.get("pod", namespace=NAMESPACE))
    kept = alone.raygen("logs", "gpt-tiny", "-n", NAMESPACE)
    assert "attempt 1" in kept
    assert "Succeeded (Completed)" in kept
    lines = json.loads(alone.raygen("logs", "gpt-tiny", "-n", NAMESPACE, "--json"))["lines"]
    assert {(line["job"], line["attempt"], line["rank"]) for line in lines} == {("gpt-tiny", 1, None)}
    assert [key for key in alone.objects("gpt-tiny") if key.startswith("logs/001-rank0-")]
    described = alone.raygen("get", "gpt-tiny", "-n", NAMESPACE)
    assert "Completed" in described
    events = alone.cluster.kubectl("--namespace", NAMESPACE, "get", "events.events.k8s.io")
    assert "AttemptStarted" in events
    assert alone.raygen("wait", "gpt-tiny", "-n", NAMESPACE, "--json")
    alone.cluster.kubectl(
        "--namespace", NAMESPACE, "wait", "--for=condition=Succeeded", "--timeout=5s", "trainingjob/gpt-tiny"
    )


def test_a_job_is_stopped_goes_on_and_loses_its_head_and_the_api_server(alone: Raygen) -> None:
    short = [*SHORT, "output.run=seen", "scale.workers=1"]
    alone.apply(*short)
    alone.reaches(10)
    assert_the_dashboard_is_reached_without_a_token_of_ones_own()
    alone.raygen("stop", "gpt-tiny", "-n", NAMESPACE)
    alone.raygen("wait", "gpt-tiny", "-n", NAMESPACE, "--timeout", "120", code=3)
    alone.raygen("submit", str(alone.job_file(*short)))
    # Soon, so that there is something left to lose.
    alone.reaches(40)
    for process in psutil.process_iter(["name", "cmdline"]):
        if process.info["name"] == "kube-apiserver" and str(real.STATE) in " ".join(process.info["cmdline"]):
            process.kill()
    head = until("the API server", 60, lambda: _answers(alone))
    alone.cluster.kubectl(
        "--namespace", NAMESPACE, "delete", "pod", head, "--force", "--grace-period=0", "--wait=false"
    )
    end = alone.ends(400)
    assert (end["status"], end["reason"]) == ("True", "Completed"), end
    causes = [one["cause"] for one in alone.job()["status"]["attempts"]]
    assert (causes[0], causes[-1]) == ("Suspended", "Completed"), causes
    logged = alone.losses("seen")
    assert {step for step, _ in logged} == set(range(1, STEPS + 1))
    by_step: dict[int, set[float]] = {}
    for step, loss in logged:
        by_step.setdefault(step, set()).add(loss)
    assert {step: found for step, found in by_step.items() if len(found) > 1} == {}
    # One that is stopped and resumed loses no step.
    steps = [step for attempt in (1, 2) for step, _ in alone.losses("seen", attempt)]
    assert steps == list(range(1, len(steps) + 1))
    # A young API server refuses jobs until it has found the kinds that its policies are about, for up to half a minute;
    # raygen waits for that, and kubectl, which the next test has, does not.
    alone.raygen("submit", str(alone.job_file(*short)), "--dry-run")


def assert_the_dashboard_is_reached_without_a_token_of_ones_own() -> None:
    from raygen.client.dashboard import Forward
    from raygen.kube import TRAINING_JOBS, connect

    connection = connect(str(real.KUBECONFIG))
    forward = Forward(connection, connection.get(TRAINING_JOBS, NAMESPACE, "gpt-tiny"))
    try:
        with urllib.request.urlopen(f"{forward.url}/api/jobs/", timeout=30) as answer:  # noqa: S310 (our own)
            (job,) = json.load(answer)
        assert job["entrypoint"] == "raygen train env:RAYGEN_JOB"
    finally:
        forward.close()


def _answers(raygen: Raygen) -> str:
    try:
        return str(raygen.job()["status"]["driver"]["podName"])
    except Exception:  # noqa: BLE001 (kubectl, while the server is away)
        return ""


def test_what_is_wrong_is_said_within_seconds(alone: Raygen) -> None:
    refused = ["training.duration.steps=10", 'data.train.sources=[{"uri": "s3://datasets/nowhere.txt"}]']
    alone.apply(*refused, "output.run=missing")
    end = alone.ends(200)
    assert (end["status"], end["reason"]) == ("False", "DataError"), end
    assert "no such file" in end["message"]
    assert SYSTEM not in end["message"]
