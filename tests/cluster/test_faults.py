"""What happens to pods and nodes while manifests/rayjob trains: each time the run goes on, with the same losses."""

from __future__ import annotations

import json

import psutil
from testcluster import cluster as real
from testcluster import machine
from testcluster.network import NODES

from tests.cluster.api import Cluster, until
from tests.cluster.rayjob import HEAD, NAMESPACE, SHORT, STEPS, WORKERS, Job


def assert_done(job: Job, calm: dict[int, float], *, attempt: int, lost: bool = True) -> None:
    """The run was finished by this attempt, has the losses of the calm one, and lost no step unless it may have."""
    outcome = job.outcome()
    assert (outcome["state"], outcome["step"], outcome["attempt"]) == ("Succeeded", STEPS, attempt)
    logged = job.logged()
    assert sorted(dict(logged)) == list(range(1, STEPS + 1))
    # To the last bit, steps that were made again too.
    assert [(step, loss) for step, loss in logged if loss != calm[step]] == []
    assert lost or len(logged) == STEPS


def test_lost_pods_cost_steps_and_no_difference(cluster: Cluster, job: Job, calm: dict[int, float]) -> None:
    def lose(selector: str) -> None:
        victim = job.pods(selector)[0]["metadata"]["name"]
        cluster.kubectl("--namespace", NAMESPACE, "delete", "pod", victim, "--grace-period=0", "--force")

    job.submit("lost", *SHORT)
    job.trains()
    lose(WORKERS)
    # A lost worker is replaced within the attempt.
    job.trains(160)
    assert "attempts/002.json" not in job.objects()
    # A lost driver is a new one.
    lose(HEAD)
    assert job.ends(420) == "Complete", json.dumps(job.status, indent=1)
    assert_done(job, calm, attempt=2)


def test_a_suspended_job_goes_on_and_a_drained_node_leaves_a_checkpoint_first(
    cluster: Cluster, job: Job, calm: dict[int, float]
) -> None:
    def suspend(value: bool) -> None:
        change = json.dumps({"spec": {"suspend": value}})
        cluster.kubectl(
            "--namespace", NAMESPACE, "patch", "rayjob", "gpt-tiny", "--type=merge", f"--patch={change}"
        )

    job.submit("moved", *SHORT)
    job.trains(40)
    suspend(True)
    until("the job to be suspended", 180, lambda: job.status.get("jobDeploymentStatus") == "Suspended")
    until("its pods to be gone", 120, lambda: not cluster.get("pod", namespace=NAMESPACE))
    assert f"checkpoints/step-{len(job.logged()):08d}/manifest.json" in job.objects()
    suspend(False)
    job.trains(160)
    (head,) = job.pods(HEAD)
    node = next(name for name in NODES if name != head["spec"]["nodeName"])
    try:
        options = ["--force", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s"]
        cluster.kubectl("drain", node, *options)
        assert job.ends(420) == "Complete", json.dumps(job.status, indent=1)
    finally:
        cluster.kubectl("uncordon", node)
    assert_done(job, calm, attempt=2, lost=False)


def test_a_node_cut_off_writes_until_a_newer_attempt_claims_the_run(
    cluster: Cluster, job: Job, calm: dict[int, float]
) -> None:
    # KubeRay has to move first where it is on the node that is lost, which takes longer than the test would.
    (kuberay,) = cluster.get("pod", namespace="kuberay-system")
    other = kuberay["spec"]["nodeName"]
    (lost,) = set(NODES) - {other}
    cluster.kubectl("cordon", other)
    try:
        job.submit("cut-off", *SHORT)
        job.trains()
        # Its pods train on and reach storage; Kubernetes, KubeRay and the other node see nothing of them.
        real.cut_node(lost, storage=True)
        job.trains(120)
        # Then they hang, or the run would be finished before a newer attempt is there, and go on when nobody expects them to.
        of_node = psutil.Process(machine.find(lost)).children(recursive=True)
        hanging = [one for one in of_node if one.name().startswith("ray::RayTrain")]
        assert len(hanging) == 2
        for process in hanging:
            process.suspend()
        cluster.kubectl("uncordon", other)
        cluster.kubectl("cordon", lost)
        pods = [pod["metadata"]["name"] for pod in job.pods("ray.io/cluster")]
        assert len(pods) == 3
        cluster.kubectl(
            "--namespace", NAMESPACE, "delete", "pod", *pods, "--grace-period=0", "--force", "--wait=false"
        )
        until("the newer attempt's claim", 180, lambda: "attempts/002.json" in job.objects())
        until(f"{lost} to be missed", 60, lambda: lost not in real.ready_nodes())
        for process in hanging:
            process.resume()
        until("the older attempt to end", 90, lambda: json.loads(job.read("attempts/001.json"))["ended"])
        assert job.ends(420) == "Complete", json.dumps(job.status, indent=1)
        assert {pod["spec"]["nodeName"] for pod in job.pods("ray.io/cluster")} <= {other}
    finally:
        cluster.kubectl("uncordon", *NODES)
        real.heal_node(lost)
        real.wait_for_nodes()
    first = json.loads(job.read("attempts/001.json"))
    assert first["cause"].startswith("Fenced"), first
    assert_done(job, calm, attempt=2)


def test_a_deleted_job_leaves_a_checkpoint_and_says_that_it_was_stopped(
    cluster: Cluster, job: Job, calm: dict[int, float]
) -> None:
    job.submit("deleted", *SHORT)
    job.trains(40)
    # KubeRay stops the job through the Jobs API, which sends the driver SIGTERM and waits for it.
    cluster.kubectl("--namespace", NAMESPACE, "delete", "rayjob", "gpt-tiny", "--wait=true")
    until("its pods to be gone", 120, lambda: not cluster.get("pod", namespace=NAMESPACE))
    logged = job.logged()
    assert f"checkpoints/step-{len(logged):08d}/manifest.json" in job.objects()
    assert dict(logged) == {step: calm[step] for step in range(1, len(logged) + 1)}
    attempt = json.loads(job.read("attempts/001.json"))
    assert attempt["ended"], attempt
    assert attempt["last_step"] == len(logged)
