"""manifests/rayjob on real Kubernetes, from `kubectl apply` to a finished run in the bucket."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from raygen import train
from raygen.jobfile import load
from raygen.run.directory import RunDirectory
from raygen.storage import open_storage
from tests.cluster.api import Cluster, pod, until
from tests.cluster.rayjob import EXAMPLE, HEAD, MANIFESTS, NAMESPACE, ROOT, STEPS, WORKERS, Job


def test_it_trains_across_nodes_and_answers_nobody_without_the_token(cluster: Cluster, example: Job) -> None:
    nodes = [pod["spec"]["nodeName"] for pod in example.pods(WORKERS)]
    assert sorted(nodes) == ["node-1", "node-2"]
    (head,) = example.pods(HEAD)
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


@pytest.mark.usefixtures("calm")
def test_it_ends_with_all_that_a_run_has(example: Job) -> None:
    outcome = example.outcome()
    assert (outcome["state"], outcome["step"], outcome["attempt"]) == ("Succeeded", STEPS, 1)
    assert outcome["metrics"]["loss"] == pytest.approx(2.01, abs=0.02)
    assert [step for step, _ in example.logged()] == list(range(1, STEPS + 1))
    keys = example.objects()
    assert "report.html" in keys
    assert [key for key in keys if key.startswith(f"samples/step-{STEPS:08}/")]
    assert f"checkpoints/step-{STEPS:08}/manifest.json" in keys
    assert set(json.loads(example.read("attempts/001.json"))["startup"]) >= {"start workers", "first step"}


def test_its_losses_are_those_of_a_laptop(calm: dict[int, float], tmp_path: Path) -> None:
    """One worker here, two in pods: the same to rounding, which grows from step to step."""
    steps = 40
    text = ROOT / "examples" / "data" / "tinyshakespeare.txt"
    here = [f'data.train.sources=[{{"uri": "{text}"}}]', f"output.uri={tmp_path}", "scale.workers=1"]
    short = [f"training.duration.steps={steps}", "evaluation.everySteps=null", "evaluation.samples=null"]
    job = load(MANIFESTS / "job.yaml", overrides=[*EXAMPLE, *here, *short, "output.run=here"]).job
    train(job, device="cpu")
    lines = RunDirectory(open_storage(str(tmp_path)), "here").read_metrics().lines
    losses = {line.step: line.values["loss"] for line in lines if line.kind == "train"}
    assert sorted(losses) == list(range(1, steps + 1))
    assert losses == pytest.approx({step: calm[step] for step in losses}, rel=1e-3)
