"""`raygen doctor` on a real API server: nothing to say of what works, and of each planted mistake what it is and the remedy."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from raygen.cli.main import main
from raygen.kube import LEASES, PODS, RUNTIMES, ApiError, Connection
from raygen.kube.resources import SECRETS
from tests.cluster.api import until
from tests.cluster.apiserver import ApiServer
from tests.cluster.installing import planted, planted_kuberay
from tests.cluster.installing.conftest import install_kuberay, make_namespace
from tests.cluster.installing.helm import CHART, IMAGE, RUNTIME, helm
from tests.cluster.installing.planted import (
    DEPLOYMENTS,
    NODES,
    SYSTEM,
    TEAM,
    change,
    kuberay,
    later,
    ready,
    without,
)

Object = dict[str, Any]

PLANTED = planted.PLANTED | planted_kuberay.PLANTED
GRANTED = RUNTIME | {"environmentSecrets": ["storage"]}
VALUES: Object = {"image": IMAGE, "jobNamespaces": [TEAM]}


@pytest.fixture(scope="module", autouse=True)
def _works(bare: ApiServer, admin: Connection) -> None:
    """An installation of which nothing is wrong, as controllers and kubelets would leave it."""
    install_kuberay(admin)
    make_namespace(admin, TEAM)
    make_namespace(admin, "kuberay-system")
    options = ("raygen", str(CHART), "--namespace", SYSTEM)
    helm("install", *options, "--create-namespace", kubeconfig=bare.kubeconfig, values=VALUES)
    until("raygen's kinds", 30, lambda: "trainingjobs" in answered(admin, "/apis/raygen.io/v1alpha1"))
    with_runtime = VALUES | {"runtime": {"enabled": True, "spec": GRANTED}}
    helm("upgrade", *options, kubeconfig=bare.kubeconfig, values=with_runtime)
    admin.create(DEPLOYMENTS, "kuberay-system", kuberay())
    for namespace, name in (("kuberay-system", "kuberay-operator"), (SYSTEM, "raygen-operator")):
        ready(admin, namespace, name, 2)
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "raygen-operator"}}
    admin.create(LEASES, SYSTEM, lease | {"spec": {"renewTime": later(3600)}})
    admin.create(
        SECRETS, TEAM, {"metadata": {"name": "storage"}, "data": {"A": base64.b64encode(b"canary").decode()}}
    )
    admin.create(NODES, "", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}})
    status = {"conditions": [{"type": "Ready", "status": "True"}], "allocatable": {"cpu": "8"}}
    change(admin, NODES, "", "node-1", {"status": status}, "status")
    # The API server taints new nodes, and a controller takes that back.
    change(admin, NODES, "", "node-1", {"spec": {"taints": None}})


def answered(admin: Connection, path: str) -> str:
    try:
        return json.dumps(admin.request("GET", path))
    except ApiError:
        return ""


def doctor(
    server: ApiServer, capsys: pytest.CaptureFixture[str], *options: str, user: str = ""
) -> tuple[int, list[Object]]:
    path = server.kubeconfig_of(user) if user else server.kubeconfig
    code = main(["doctor", "--kubeconfig", str(path), "--namespace", TEAM, "--json", *options])
    found: list[Object] = json.loads(capsys.readouterr().out)["findings"]
    return code, found


def test_what_works_has_no_faults(bare: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = doctor(bare, capsys)
    assert code == 0
    assert [one for one in found if one["state"] != "ok"] == []
    checks = [
        "kuberay",
        "definitions",
        "admission",
        "operator",
        "rights",
        "runtime",
        "namespace",
        "user",
        "nodes",
        "pods",
    ]
    assert list(dict.fromkeys(one["check"] for one in found)) == checks


def test_no_secret_is_read(bare: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--kubeconfig", str(bare.kubeconfig), "--namespace", TEAM])
    assert "canary" not in capsys.readouterr().out


@pytest.mark.parametrize("mistake", PLANTED)
def test_a_planted_mistake_is_found_and_its_remedy_named(
    bare: ApiServer, admin: Connection, capsys: pytest.CaptureFixture[str], mistake: str
) -> None:
    plant, check, state, said, remedy = PLANTED[mistake]
    with plant(admin):
        code, found = doctor(bare, capsys)
    hits = [one for one in found if one["check"] == check and said in one["said"]]
    assert hits, found
    assert (hits[0]["state"], code) == (state, 1 if state == "fault" else 0)
    assert remedy in hits[0]["remedy"]
    others = [
        one
        for one in found
        if one["state"] == "fault" and one["check"] not in (check, "namespace", "rights", "pods")
    ]
    assert not others, "one mistake is not told as many"


def test_an_operator_of_another_release_is_not_asked(
    bare: ApiServer, admin: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {
        "image": IMAGE,
        "crds": {"enabled": False},
        "admission": {"enabled": False},
        "scope": {"type": "Namespaced", "namespaces": ["other"]},
    }
    make_namespace(admin, "other")
    options = ("other", "--namespace", SYSTEM)
    helm("install", *options, str(CHART), kubeconfig=bare.kubeconfig, values=values)
    try:
        ready(admin, SYSTEM, "other-operator", 2)
        code, found = doctor(bare, capsys)
        assert (code, [one for one in found if one["state"] != "ok"]) == (0, [])
    finally:
        helm("uninstall", *options, kubeconfig=bare.kubeconfig)


def test_a_user_is_told_what_he_may_not(bare: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = doctor(bare, capsys, user="ann")
    assert code == 1
    (one,) = [one for one in found if one["check"] == "user"]
    assert (
        one["said"]
        == "you may not create trainingjobs in research nor use the RaygenRuntime default in research"
    )
    assert "manifests/install/users.yaml" in one["remedy"]
    hidden = {one["check"] for one in found if one["state"] == "unknown"}
    assert {"kuberay", "admission", "operator", "nodes"} <= hidden
    assert all(
        "Ask the administrator for the right to" in one["said"]
        for one in found
        if one["state"] == "unknown" and one["check"] != "pods"
    )


def test_a_pod_to_try_with_is_gone_again_where_no_scheduler_is(
    bare: ApiServer, admin: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = doctor(bare, capsys, "--probe", "--only=image", "--only=storage", "--timeout=2")
    assert code == 1
    assert [(one["check"], one["state"]) for one in found] == [("image", "fault"), ("storage", "unknown")]
    assert found[0]["said"] == "no node took the pod within 2 s: no scheduler has looked at it"
    assert admin.list(PODS, TEAM)[0] == []


def test_a_user_who_may_not_make_pods_makes_none(
    bare: ApiServer, admin: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever may see the runtime and no more."""
    rules = [{"apiGroups": ["raygen.io"], "resources": ["raygenruntimes"], "verbs": ["get"]}]
    role = admin.create(planted.CLUSTER_ROLES, "", {"metadata": {"name": "looks"}, "rules": rules})
    subject = {"kind": "User", "name": "bob", "apiGroup": planted.ROLES.group}
    reference = {"apiGroup": planted.ROLES.group, "kind": "ClusterRole", "name": "looks"}
    bindings = replace(planted.CLUSTER_ROLES, plural="clusterrolebindings", kind="ClusterRoleBinding")
    binding = admin.create(
        bindings, "", {"metadata": {"name": "looks"}, "subjects": [subject], "roleRef": reference}
    )
    try:
        code, found = doctor(bare, capsys, "--probe", "--only=image", "--only=storage", user="bob")
    finally:
        admin.delete(bindings, "", "looks", uid=binding["metadata"]["uid"])
        admin.delete(planted.CLUSTER_ROLES, "", "looks", uid=role["metadata"]["uid"])
    assert code == 1
    assert [one["state"] for one in found] == ["unknown", "unknown"]
    said = "you may not create pods, get pods, get pods/log, delete pods in research, so it was not tried"
    assert found[0]["said"] == said


def test_one_check_can_be_waited_for(
    bare: ApiServer, admin: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = doctor(bare, capsys, "--only=definitions", "--wait=5")
    assert (code, [one["check"] for one in found]) == (0, ["definitions"])
    with without(admin, RUNTIMES, "", "default"):
        code, found = doctor(bare, capsys, "--only=runtime", "--wait=0.1")
    assert code == 1


def test_the_operator_s_own_account_sees_whether_its_kinds_are_there(
    bare: ApiServer, admin: Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the chart's hook asks before it makes the first runtime."""
    path = f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/raygen-operator/token"
    token = admin.request("POST", path, body={"spec": {}})["status"]["token"]
    config = json.loads(json.dumps(yaml.safe_load(bare.kubeconfig.read_text())))
    config["users"][0]["user"] = {"token": token}
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    assert main(["doctor", "--kubeconfig", str(tmp_path / "config"), "--only=definitions", "--wait=1"]) == 0
    assert "the API server serves raygen's kinds" in capsys.readouterr().out


def test_an_unknown_check_is_an_error(bare: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--kubeconfig", str(bare.kubeconfig), "--only", "weather"]) == 2
    assert "There are kuberay, definitions" in capsys.readouterr().err


def test_of_a_cluster_that_is_away_one_line_is_said(
    tmp_path: Any, capsys: pytest.CaptureFixture[str], bare: ApiServer
) -> None:
    text = bare.kubeconfig.read_text().replace(bare.address, "https://127.0.0.1:9")
    (tmp_path / "config").write_text(text)
    assert main(["doctor", "--kubeconfig", str(tmp_path / "config")]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("does not answer") == 1
