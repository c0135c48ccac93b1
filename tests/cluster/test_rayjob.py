"""manifests/rayjob on real Kubernetes: from `kubectl apply` to a finished run in the bucket, and what goes wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from testcluster import cluster as real
from testcluster.network import NODES

from raygen.jobfile import dumps, load
from tests.cluster.kubernetes import Cluster, until

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "manifests" / "rayjob"
NAMESPACE = "raygen"
HEAD = "ray.io/node-type=head"
WORKERS = "ray.io/node-type=worker"


class Job:
    """The RayJob of manifests/rayjob with changes to its job file."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.run = ""
        self._folder = folder

    def submit(self, run: str, *overrides: str, secret: dict[str, str] | None = None) -> None:
        """What a user does: a namespace, a Secret, `kubectl apply -k`."""
        self.run = run
        # Of an earlier run of the tests on this cluster.
        for key in self.objects():
            self.cluster.s3().delete_object(Bucket="runs", Key=f"{run}/{key}")
        job = load(MANIFESTS / "job.yaml", overrides=[f"output.run={run}", *overrides]).job
        for path in MANIFESTS.iterdir():
            (self._folder / path.name).write_text(path.read_text())
        (self._folder / "job.yaml").write_text(dumps(job))
        self.cluster.kubectl("apply", "-f", str(self._folder / "namespace.yaml"))
        self.cluster.apply(self.cluster.storage_secret(NAMESPACE, **(secret or {})))
        self.cluster.kubectl("apply", "-k", str(self._folder))

    @property
    def status(self) -> dict[str, Any]:
        found = self.cluster.get("rayjob", "gpt-tiny", namespace=NAMESPACE) or {}
        status: dict[str, Any] = found.get("status") or {}
        return status

    def pods(self, selector: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.cluster.get("pod", namespace=NAMESPACE, selector=selector)
        return [one for one in found if not one["metadata"].get("deletionTimestamp")]

    def runs(self) -> None:
        """Waits until the driver runs."""
        until("the job to run", 120, lambda: self.status.get("jobStatus") in ("RUNNING", "FAILED"))
        assert self.status["jobStatus"] == "RUNNING", self.status

    def ends(self, seconds: float) -> str:
        """Waits for the end; says which."""

        def ended() -> str | None:
            state = self.status.get("jobDeploymentStatus")
            return state if state in ("Complete", "Failed") else None

        return str(until(f"{self.run} to end", seconds, ended))

    def objects(self) -> list[str]:
        pages = (
            self.cluster.s3().get_paginator("list_objects_v2").paginate(Bucket="runs", Prefix=f"{self.run}/")
        )
        return [one["Key"].removeprefix(f"{self.run}/") for page in pages for one in page.get("Contents", ())]

    def read(self, key: str) -> bytes:
        content: bytes = self.cluster.s3().get_object(Bucket="runs", Key=f"{self.run}/{key}")["Body"].read()
        return content

    def outcome(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.read("outcome.json"))
        return document

    def losses(self) -> dict[int, float]:
        """Training losses by step, the newest attempt's where there are several."""
        found = {}
        for key in sorted(key for key in self.objects() if key.startswith("metrics/")):
            for line in map(json.loads, self.read(key).splitlines()):
                if line["kind"] == "train":
                    found[int(line["step"])] = float(line["values"]["loss"])
        return found


@pytest.fixture
def job(cluster: Cluster, tmp_path: Path) -> Iterator[Job]:
    cluster.remove_namespace(NAMESPACE)
    s3 = cluster.s3()
    for bucket in ("datasets", "runs"):
        if bucket not in [one["Name"] for one in s3.list_buckets()["Buckets"]]:
            s3.create_bucket(Bucket=bucket)
    s3.upload_file(str(ROOT / "examples" / "data" / "tinyshakespeare.txt"), "datasets", "tinyshakespeare.txt")
    yield Job(cluster, tmp_path)
    cluster.remove_namespace(NAMESPACE)


def test_the_job_is_the_example_on_s3() -> None:
    example = load(ROOT / "examples" / "01-gpt-tiny.yaml").job.model_dump(mode="json", exclude_none=True)
    there = load(MANIFESTS / "job.yaml").job.model_dump(mode="json", exclude_none=True)
    for document in (example, there):
        for name in ("output", "scale"):
            document["spec"].pop(name, None)
        del document["spec"]["data"]["train"]
    assert there == example


def test_the_example_trains_across_nodes_and_answers_nobody_without_the_token(
    cluster: Cluster, job: Job
) -> None:
    job.submit("whole")
    job.runs()
    nodes = [pod["spec"]["nodeName"] for pod in job.pods(WORKERS)]
    assert sorted(nodes) == ["node-1", "node-2"]
    (head,) = job.pods(HEAD)
    asks = (
        "import urllib.error, urllib.request as r\n"
        "for path in ('/api/version', '/api/jobs/', '/api/v0/nodes', '/logs/', '/api/gcs_healthz'):\n"
        "    try: print(r.urlopen('http://127.0.0.1:8265' + path, timeout=10).status)\n"
        "    except urllib.error.HTTPError as error: print(error.code)\n"
    )
    said = cluster.kubectl(
        "--namespace", NAMESPACE, "exec", head["metadata"]["name"], "--", "python", "-c", asks
    )
    # The last one is open for probes.
    assert said.split() == ["401", "401", "401", "401", "200"]
    other = "system:serviceaccount:default:default"
    assert "no" in real.kubectl(
        f"--namespace={NAMESPACE}", "auth", "can-i", "get", "secrets", f"--as={other}", quiet=True
    )

    assert job.ends(600) == "Complete", job.status
    outcome = job.outcome()
    assert (outcome["state"], outcome["step"], outcome["attempt"]) == ("Succeeded", 2000, 1)
    assert outcome["metrics"]["loss"] == pytest.approx(1.57, abs=0.02)
    assert sorted(job.losses()) == list(range(1, 2001))
    keys = job.objects()
    assert "report.html" in keys
    assert [key for key in keys if key.startswith("samples/step-00002000/")]
    assert "checkpoints/step-00002000/manifest.json" in keys
    assert set(json.loads(job.read("attempts/001.json"))["startup"]) >= {"start workers", "first step"}


SHORT = ("training.duration.steps=600", "evaluation.everySteps=600", "checkpoint.everySteps=50")


def assert_same_course(job: Job) -> None:
    """The run has the losses of the one that nothing happened to."""
    broken = job.losses()
    assert sorted(broken) == list(range(1, 601))
    job.run = "whole"
    whole = {step: loss for step, loss in job.losses().items() if step <= 600}
    assert broken == pytest.approx(whole, rel=1e-4)


def trains(job: Job) -> None:
    """Waits until a run has come to its second checkpoint."""
    until("a checkpoint", 180, lambda: any("step-00000100/manifest" in key for key in job.objects()))


@pytest.mark.parametrize("lost", [HEAD, WORKERS], ids=["head", "worker"])
def test_a_lost_pod_costs_steps_and_no_difference(cluster: Cluster, job: Job, lost: str) -> None:
    name = "lost-" + lost.rpartition("=")[2]
    job.submit(name, *SHORT)
    trains(job)
    victim = job.pods(lost)[0]["metadata"]["name"]
    cluster.kubectl("--namespace", NAMESPACE, "delete", "pod", victim, "--grace-period=0", "--force")
    assert job.ends(420) == "Complete", job.status
    outcome = job.outcome()
    assert (outcome["state"], outcome["step"]) == ("Succeeded", 600)
    # A lost worker is replaced within the attempt; a lost driver is a new one.
    assert outcome["attempt"] == (2 if lost == HEAD else 1)
    broken = job.losses()
    assert sorted(broken) == list(range(1, 601))
    job.run = "whole"
    assert broken == pytest.approx(
        {step: loss for step, loss in job.losses().items() if step <= 600}, rel=1e-4
    )


def test_a_drained_node_leaves_a_checkpoint_first(cluster: Cluster, job: Job) -> None:
    job.submit("drained", *SHORT)
    trains(job)
    (head,) = job.pods(HEAD)
    node = next(name for name in NODES if name != head["spec"]["nodeName"])
    try:
        options = ["--force", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s"]
        cluster.kubectl("drain", node, *options)
        assert job.ends(420) == "Complete", job.status
    finally:
        cluster.kubectl("uncordon", node)
    outcome = job.outcome()
    assert (outcome["state"], outcome["step"], outcome["attempt"]) == ("Succeeded", 600, 1)
    assert_same_course(job)


def test_a_suspended_job_loses_no_step_and_goes_on(cluster: Cluster, job: Job) -> None:
    def suspend(value: bool) -> None:
        change = json.dumps({"spec": {"suspend": value}})
        cluster.kubectl(
            "--namespace", NAMESPACE, "patch", "rayjob", "gpt-tiny", "--type=merge", f"--patch={change}"
        )

    job.submit("suspended", *SHORT)
    trains(job)
    suspend(True)
    until("the job to be suspended", 180, lambda: job.status.get("jobDeploymentStatus") == "Suspended")
    until("its pods to be gone", 120, lambda: not cluster.get("pod", namespace=NAMESPACE))
    manifests = [key for key in job.objects() if key.endswith("/manifest.json")]
    newest = max(int(key.split("/")[1].removeprefix("step-")) for key in manifests)
    assert newest == max(job.losses())
    suspend(False)
    assert job.ends(420) == "Complete", job.status
    assert job.outcome()["attempt"] == 2
    assert_same_course(job)


def test_refused_credentials_end_the_job_within_a_minute(job: Job) -> None:
    job.submit("refused", secret={"AWS_SECRET_ACCESS_KEY": "canary-secret-that-is-wrong"})
    assert job.ends(90) == "Failed"
    message = job.status["message"]
    assert "exit code 2" in message
    assert "s3://runs" in message or "s3://datasets" in message
    assert "credentials" in message
    assert "canary-secret" not in json.dumps(job.status)
