"""Parts that a cluster has on request: that each does what it is there for.

To build them takes a quarter of an hour the first time, so these tests are part of a run only when it is asked for:

    RAYGEN_CLUSTER_PARTS=1 make test-cluster

Otherwise they are deselected when tests are collected (conftest.py), not skipped: CI counts a skipped test as failed.
The parts stay on a cluster that ran before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from testcluster import images, parts

from tests.cluster.api import Cluster, pod, until

QUEUE = "tests"
QUEUED = {"kueue.x-k8s.io/queue-name": QUEUE}


@pytest.fixture(scope="module")
def equipped(cluster: Cluster) -> Cluster:
    """The cluster with all its parts."""
    parts.add(parts.NAMES)
    return cluster


@pytest.fixture
def queue(equipped: Cluster, namespace: str) -> Iterator[Cluster]:
    """A queue in the namespace, with a quota of one processor."""
    api = "kueue.x-k8s.io/v1beta2"
    flavor = {"name": QUEUE, "resources": [{"name": "cpu", "nominalQuota": 1}]}
    equipped.apply(
        {"apiVersion": api, "kind": "ResourceFlavor", "metadata": {"name": QUEUE}},
        {
            "apiVersion": api,
            "kind": "ClusterQueue",
            "metadata": {"name": QUEUE},
            "spec": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "resourceGroups": [{"coveredResources": ["cpu"], "flavors": [flavor]}],
            },
        },
        {
            "apiVersion": api,
            "kind": "LocalQueue",
            "metadata": {"name": QUEUE, "namespace": namespace},
            "spec": {"clusterQueue": QUEUE},
        },
    )
    yield equipped
    # Kueue keeps a queue while something is admitted by it.
    equipped.kubectl("--namespace", namespace, "delete", "jobs,rayjobs", "--all", "--wait=true")
    equipped.kubectl("delete", "clusterqueue,resourceflavor", QUEUE, "--wait=true", "--timeout=60s")


def template(program: str, *, cpu: str = "10m") -> dict[str, Any]:
    """The pod of kubernetes.py on any node, for the objects that make pods."""
    spec = pod("main", "", program, "")["spec"]
    del spec["nodeSelector"]
    spec["containers"][0]["resources"] = {"requests": {"cpu": cpu}}
    return {"spec": spec}


def queued(name: str, namespace: str, program: str) -> dict[str, Any]:
    """A Job that needs the whole quota, and waits for it."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace, "labels": QUEUED},
        "spec": {"suspend": True, "backoffLimit": 0, "template": template(program, cpu="1")},
    }


def ends(cluster: Cluster, kind: str, name: str, namespace: str) -> str:
    """Waits for the end of a Job, JobSet or TrainJob; says by which condition."""

    def ended() -> str:
        status = cluster.get(kind, name, namespace=namespace).get("status") or {}
        true = [one["type"] for one in status.get("conditions") or [] if one["status"] == "True"]
        return next((one for one in true if one in ("Complete", "Completed", "Failed")), "")

    return until(f"{kind} {name} to end", 180, ended)


def test_kueue_lets_a_job_wait_until_the_quota_is_free(queue: Cluster, namespace: str) -> None:
    def suspended(name: str) -> bool:
        return bool(queue.get("job", name, namespace=namespace)["spec"]["suspend"])

    def pending() -> int:
        status = queue.get("localqueue", QUEUE, namespace=namespace).get("status") or {}
        return int(status.get("pendingWorkloads") or 0)

    wait = "import os, time\nwhile not os.path.exists('/dev/shm/end'): time.sleep(0.1)"
    queue.apply(queued("first", namespace, wait))
    until(
        "the first job to run",
        60,
        lambda: queue.get("job", "first", namespace=namespace)["status"].get("ready"),
    )
    queue.apply(queued("second", namespace, "print('done')"))
    until("the second job to wait", 30, lambda: pending() == 1)
    assert suspended("second")
    assert not suspended("first")
    assert not queue.get("pod", namespace=namespace, selector="job-name=second")
    end = ["python", "-c", "open('/dev/shm/end', 'x')"]
    queue.kubectl("--namespace", namespace, "exec", "job/first", "--", *end)
    assert ends(queue, "job", "second", namespace) == "Complete"
    assert not suspended("second")
    until("the queue to be empty", 30, lambda: pending() == 0)


def test_kueue_holds_a_rayjob_back_that_needs_more_than_the_quota(queue: Cluster, namespace: str) -> None:
    head = {"rayStartParams": {}, "template": template("", cpu="2")}
    spec = {
        "entrypoint": "true",
        "suspend": True,
        "shutdownAfterJobFinishes": True,
        "submissionMode": "HTTPMode",
        "rayClusterSpec": {"headGroupSpec": head},
    }
    metadata = {"name": "big", "namespace": namespace, "labels": QUEUED}
    queue.apply({"apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": metadata, "spec": spec})

    def reason() -> str:
        (workload,) = queue.get("workload", namespace=namespace) or [{}]
        conditions = (workload.get("status") or {}).get("conditions") or []
        return str(next((one["message"] for one in conditions if one["type"] == "QuotaReserved"), ""))

    assert "insufficient quota for cpu" in until("its workload to be judged", 60, reason)
    assert queue.get("rayjob", "big", namespace=namespace)["spec"]["suspend"]
    assert not queue.get("raycluster", namespace=namespace)


def test_a_jobset_of_two_jobs_completes(equipped: Cluster, namespace: str) -> None:
    jobs = [
        {"name": name, "template": {"spec": {"backoffLimit": 0, "template": template(f"print('{name}')")}}}
        for name in ("one", "two")
    ]
    equipped.apply(
        {
            "apiVersion": "jobset.x-k8s.io/v1alpha2",
            "kind": "JobSet",
            "metadata": {"name": "pair", "namespace": namespace},
            "spec": {"replicatedJobs": jobs},
        }
    )
    assert ends(equipped, "jobset", "pair", namespace) == "Completed"
    for name in ("one", "two"):
        assert equipped.kubectl("--namespace", namespace, "logs", f"job/pair-{name}-0").split() == [name]


def test_trainer_completes_a_job_of_two_nodes(equipped: Cluster, namespace: str) -> None:
    # Each node goes by what Trainer tells it. The first hears of all before it ends: no node needs it after that.
    program = (
        "import os\n"
        "from torch.distributed import TCPStore\n"
        "rank, nodes, address, port = (\n"
        "    os.environ['PET_' + name] for name in ('NODE_RANK', 'NNODES', 'MASTER_ADDR', 'MASTER_PORT')\n"
        ")\n"
        "store = TCPStore(address, int(port), int(nodes), rank == '0')\n"
        "store.set(rank, 'here')\n"
        "if rank == '0': store.wait([str(one) for one in range(int(nodes))])\n"
        "print(rank, nodes)\n"
    )
    trainer = {"image": images.TRAIN, "numNodes": 2, "command": ["python", "-c", program]}
    equipped.apply(
        {
            "apiVersion": "trainer.kubeflow.org/v1alpha1",
            "kind": "TrainJob",
            "metadata": {"name": "pair", "namespace": namespace},
            "spec": {"runtimeRef": {"name": "torch-distributed"}, "trainer": trainer},
        }
    )
    assert ends(equipped, "trainjob", "pair", namespace) == "Complete"
    pods = equipped.get("pod", namespace=namespace)
    said = [
        equipped.kubectl("--namespace", namespace, "logs", "--tail=1", one["metadata"]["name"]).split()
        for one in pods
    ]
    assert sorted(said) == [["0", "2"], ["1", "2"]]
