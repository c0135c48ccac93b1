"""The chart on real Kubernetes, with a job that trains while its release changes."""

from __future__ import annotations

import json

from testcluster.cluster import kubectl

from tests.cluster.api import until
from tests.cluster.installing.helm import CHART
from tests.cluster.rayjob import SHORT
from tests.cluster.trainingjob import NAMESPACE, SYSTEM, Raygen

STEPS = 100_000
"""More than are done while a release changes, however fast the machine is."""


def test_what_is_installed_is_found_in_order(installed: Raygen) -> None:
    said = json.loads(installed.raygen("doctor", "--namespace", NAMESPACE, "--json"))
    assert [one for one in said["findings"] if one["state"] != "ok"] == []


def test_a_job_trains_on_while_its_operator_is_killed_and_its_release_changes(alone: Raygen) -> None:
    """Upgraded to fewer rights, rolled back, removed and installed again: no attempt ends by it, and every step is done once."""
    alone.apply(*SHORT, f"training.duration.steps={STEPS}", "scale.workers=1", "output.run=upgraded")
    alone.reaches(20)
    pods = alone.cluster.get("pod", namespace=SYSTEM, selector="app.kubernetes.io/name=raygen-operator")
    assert len({pod["spec"]["nodeName"] for pod in pods}) == 2
    before = holder(alone)
    alone.kill_operator()
    until("another operator", 60, lambda: holder(alone) not in ("", before))
    own = {"scope": {"type": "Namespaced", "namespaces": [NAMESPACE]}, "operator": {"workers": 5}}
    alone.helm("upgrade", "raygen", str(CHART), "--wait", values=alone.values | own)
    assert {"--workers=5", f"--namespace={NAMESPACE}"} <= set(arguments(alone))
    assert (may_create(alone, NAMESPACE), may_create(alone, "default")) == ("yes", "no")
    step = alone.job()["status"]["progress"]["step"]
    alone.reaches(step + 20)
    alone.helm("rollback", "raygen", "1", "--wait")
    assert "--workers=4" in arguments(alone)
    step = alone.job()["status"]["progress"]["step"]
    alone.reaches(step + 20)
    alone.helm("uninstall", "raygen", "--wait")
    alone.helm("install", "raygen", str(CHART), "--wait", values=alone.values)
    step = alone.job()["status"]["progress"]["step"]
    alone.reaches(step + 20)
    alone.raygen("stop", "gpt-tiny", "-n", NAMESPACE)
    alone.raygen("wait", "gpt-tiny", "-n", NAMESPACE, "--timeout", "120", code=3)
    (attempt,) = alone.job()["status"]["attempts"]
    assert attempt["cause"] == "Suspended"
    assert [step for step, _ in alone.losses("upgraded")] == list(range(1, attempt["lastStep"] + 1))
    # The release that was installed last brings it to its end.
    last = attempt["lastStep"] + 5
    change = {"spec": {"suspend": False, "training": {"duration": {"steps": last}}}}
    patch = ("patch", "trainingjob", "gpt-tiny", "--type=merge", f"--patch={json.dumps(change)}")
    alone.cluster.kubectl("--namespace", NAMESPACE, *patch)
    assert alone.ends(180)["reason"] == "Completed"
    assert [step for step, _ in alone.losses("upgraded")] == list(range(1, last + 1))


def may_create(raygen: Raygen, namespace: str) -> str:
    """Whether the operator may make RayJobs there."""
    account = f"--as=system:serviceaccount:{SYSTEM}:raygen-operator"
    command = ("auth", "can-i", "create", "rayjobs.ray.io", account, f"--namespace={namespace}")
    return kubectl(*command, quiet=True).strip()


def arguments(raygen: Raygen) -> list[str]:
    found = raygen.cluster.get("deployment", "raygen-operator", namespace=SYSTEM)
    words: list[str] = found["spec"]["template"]["spec"]["containers"][0]["args"]
    return words


def holder(raygen: Raygen) -> str:
    lease = raygen.cluster.get("lease", "raygen-operator", namespace=SYSTEM)
    return str(lease["spec"].get("holderIdentity") or "")
