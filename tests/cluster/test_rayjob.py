"""manifests/rayjob on real Kubernetes: from `kubectl apply` to a finished run in the bucket, and what ends it early."""

from __future__ import annotations

import json
import time

import pytest
from testcluster import cluster as real

from raygen.jobfile import load
from tests.cluster.api import Cluster, pod, until
from tests.cluster.rayjob import HEAD, MANIFESTS, NAMESPACE, ROOT, SHORT, WORKERS, Job


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
    assert_a_neighbour_learns_nothing(cluster, head["status"]["podIP"])

    assert job.ends(600) == "Complete", json.dumps(job.status, indent=1)
    outcome = job.outcome()
    assert (outcome["state"], outcome["step"], outcome["attempt"]) == ("Succeeded", 2000, 1)
    assert outcome["metrics"]["loss"] == pytest.approx(1.57, abs=0.02)
    assert [step for step, _ in job.logged()] == list(range(1, 2001))
    keys = job.objects()
    assert "report.html" in keys
    assert [key for key in keys if key.startswith("samples/step-00002000/")]
    assert "checkpoints/step-00002000/manifest.json" in keys
    assert set(json.loads(job.read("attempts/001.json"))["startup"]) >= {"start workers", "first step"}


def assert_a_neighbour_learns_nothing(cluster: Cluster, head: str) -> None:
    """A pod of another namespace is refused the Secrets here, where the token is, and gets no further without it."""
    (secret,) = [
        one["metadata"]["name"]
        for one in cluster.get("secret", namespace=NAMESPACE)
        if one["metadata"]["name"] != "storage"
    ]
    program = (
        "import ssl, urllib.error, urllib.request as r\n"
        "place = '/var/run/secrets/kubernetes.io/serviceaccount/'\n"
        "trust = ssl.create_default_context(cafile=place + 'ca.crt')\n"
        "def ask(url, **headers):\n"
        "    try: return r.urlopen(r.Request(url, headers=headers), context=trust, timeout=20).status\n"
        "    except urllib.error.HTTPError as error: return error.code\n"
        "bearer = 'Bearer ' + open(place + 'token').read()\n"
        f"secrets = 'https://kubernetes.default.svc.cluster.local/api/v1/namespaces/{NAMESPACE}/secrets'\n"
        f"print(ask(secrets, Authorization=bearer), ask(secrets + '/{secret}', Authorization=bearer))\n"
        f"print(ask('http://{head}:8265/api/jobs/'), ask('http://{head}:8265/api/version', Authorization=bearer))\n"
        # Ray's own port, by which a driver joins.
        "import os, subprocess, sys\n"
        "joins = 'import sys; from ray._raylet import GcsClient\\ntry: GcsClient(address=sys.argv[1]); print(0)'\n"
        "joins += '\\nexcept Exception as error: print(type(error).__name__)'\n"
        "for settings in ({'RAY_AUTH_MODE': 'disabled'}, {'RAY_AUTH_MODE': 'token', 'RAY_AUTH_TOKEN': 'x' * 32}):\n"
        f"    command = [sys.executable, '-c', joins, '{head}:6379']\n"
        "    done = subprocess.run(command, env={**os.environ, **settings}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)\n"
        "    print(done.stdout.decode().strip())\n"
    )
    metadata = {"name": "neighbour"}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    try:
        asking = pod("asking", "node-1", program, "neighbour", automountServiceAccountToken=True)
        until(
            "its service account", 30, lambda: cluster.get("serviceaccount", "default", namespace="neighbour")
        )
        cluster.apply(asking)
        ended = ("Succeeded", "Failed")
        until("the neighbour to end", 90, lambda: cluster.phase("asking", "neighbour") in ended)
        said = cluster.kubectl("--namespace=neighbour", "logs", "asking").split()
        # Ray says 403 of a token that is not its own.
        assert said == ["403", "403", "401", "403", "AuthenticationError", "AuthenticationError"]
    finally:
        cluster.remove_namespace("neighbour")


def test_a_full_bucket_ends_the_job_within_a_minute(job: Job) -> None:
    job.submit("full", *SHORT)
    job.trains()
    began = time.monotonic()
    real.limit_storage(0)
    try:
        assert job.ends(60) == "Failed"
        print(f"ended {time.monotonic() - began:.0f} s after the bucket was full")
        assert "the storage or its quota is full" in job.status["message"]
        assert "Free some space" in job.status["message"]
        # As is seen before any worker starts.
        job.submit("full-at-first", *SHORT)
        assert job.ends(120) == "Failed"
        assert job.seconds < 60
        assert "the storage or its quota is full" in job.status["message"]
    finally:
        real.limit_storage(None)


def test_refused_credentials_end_the_job_within_a_minute(job: Job) -> None:
    job.submit("refused", secret={"AWS_SECRET_ACCESS_KEY": "canary-secret-that-is-wrong"})
    assert job.ends(120) == "Failed"
    assert job.seconds < 60
    message = job.status["message"]
    assert "exit code 2" in message
    assert "s3://runs" in message or "s3://datasets" in message
    assert "credentials" in message
    assert "canary-secret" not in json.dumps(job.status)
