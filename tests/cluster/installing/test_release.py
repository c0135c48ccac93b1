"""A release from its first day to its last: Helm on a real API server; what its pods do is in test_chart.py."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from raygen.client.doctor.inside import DEPLOYMENTS
from raygen.jobfile import load
from raygen.kube import RUNTIMES, TRAINING_JOBS, ApiError, Connection, Resource
from tests.cluster.api import until
from tests.cluster.apiserver import CRDS, ROOT, ApiServer, apply
from tests.cluster.installing.conftest import install_kuberay, kuberay_definition, make_namespace, serves
from tests.cluster.installing.helm import CHART, IMAGE, RUNTIME, HelmError, helm

Object = dict[str, Any]

SYSTEM, TEAM = "raygen-system", "research"
VALUES: Object = {"image": IMAGE, "jobNamespaces": [TEAM]}
WITH_RUNTIME = VALUES | {"runtime": {"enabled": True, "spec": RUNTIME, "groups": ["researchers"]}}
SAMPLE = ROOT / "manifests" / "samples" / "gpt.yaml"


def run(server: ApiServer, *arguments: str, values: Object | None = None) -> str:
    return helm(*arguments, "--namespace", SYSTEM, kubeconfig=server.kubeconfig, values=values)


def install(server: ApiServer, values: Object = VALUES) -> str:
    return run(server, "install", "raygen", str(CHART), "--create-namespace", values=values)


def upgrade(server: ApiServer, values: Object) -> str:
    return run(server, "upgrade", "raygen", str(CHART), values=values)


def there(admin: Connection, resource: Resource, name: str, namespace: str = "") -> Object | None:
    try:
        return admin.get(resource, namespace, name)
    except ApiError as error:
        if error.is_missing:
            return None
        raise


def test_a_cluster_without_kuberay_is_told_so_and_left_as_it_was(bare: ApiServer, admin: Connection) -> None:
    with pytest.raises(HelmError, match=r"This cluster has no RayJobs\. Install KubeRay 1\.6 or newer first"):
        install(bare)
    assert there(admin, CRDS, "trainingjobs.raygen.io") is None


def test_a_kuberay_that_is_too_old_is_told_so(bare: ApiServer, admin: Connection) -> None:
    old = kuberay_definition("rayjobs")
    one = next(one for one in old["spec"]["versions"] if one["name"] == "v1")
    spec = one["schema"]["openAPIV3Schema"]["properties"]["spec"]
    del spec["properties"]["rayClusterSpec"]["properties"]["authOptions"]
    apply(admin, old)
    until("its kind", 30, lambda: serves(admin, "rayjobs"))
    with pytest.raises(HelmError, match="The KubeRay of this cluster is too old"):
        install(bare)
    install_kuberay(admin)


def older_chart(folder: Path) -> Path:
    """The chart of an earlier version, whose jobs had a field that they have no more."""
    chart = folder / "raygen"
    shutil.copytree(CHART, chart)
    path = chart / "files" / "trainingjobs.raygen.io.yaml"
    definition = yaml.safe_load(path.read_text())
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["properties"]["oldField"] = {"type": "string"}
    path.write_text(yaml.safe_dump(definition))
    return chart


def test_a_release_lives(bare: ApiServer, admin: Connection, tmp_path: Path) -> None:
    make_namespace(admin, TEAM)
    said = run(bare, "install", "raygen", str(older_chart(tmp_path)), "--create-namespace", values=VALUES)
    assert "raygen doctor --namespace research" in said
    assert "this release made none (runtime.enabled)" in said
    until("the kinds", 30, lambda: there(admin, CRDS, "trainingjobs.raygen.io"))
    created = admin.get(CRDS, "", "trainingjobs.raygen.io")["metadata"]["uid"]
    job = load(SAMPLE).job.model_dump(mode="json", exclude_unset=True)
    job["spec"]["oldField"] = "kept"
    until("a job with that field", 90, lambda: takes(admin, job))
    before = admin.get(TRAINING_JOBS, TEAM, "gpt-tiny")
    assert before["spec"]["oldField"] == "kept"

    upgrade(bare, WITH_RUNTIME)
    after = admin.get(TRAINING_JOBS, TEAM, "gpt-tiny")
    for key in ("uid", "generation"):
        assert after["metadata"][key] == before["metadata"][key], "an upgrade is no change of a job"
    assert after["spec"] | {"oldField": "kept"} == before["spec"]
    made = admin.get(RUNTIMES, "", "default")
    assert made["spec"] == RUNTIME

    rolled = run(bare, "rollback", "raygen", "1")
    assert "success" in rolled
    assert admin.get(RUNTIMES, "", "default")["metadata"]["uid"] == made["metadata"]["uid"], "it is kept"
    assert admin.get(TRAINING_JOBS, TEAM, "gpt-tiny")["metadata"]["uid"] == before["metadata"]["uid"]

    upgrade(bare, WITH_RUNTIME | {"crds": {"enabled": False}})
    assert admin.get(CRDS, "", "trainingjobs.raygen.io")["metadata"]["uid"] == created, (
        "kept, and no longer its own"
    )

    run(bare, "uninstall", "raygen")
    assert there(admin, DEPLOYMENTS, "raygen-operator", SYSTEM) is None
    for resource, name, namespace in (
        (CRDS, "trainingjobs.raygen.io", ""),
        (RUNTIMES, "default", ""),
        (TRAINING_JOBS, "gpt-tiny", TEAM),
    ):
        assert there(admin, resource, name, namespace) is not None, f"{name} is kept"

    install(bare, WITH_RUNTIME)
    assert admin.get(CRDS, "", "trainingjobs.raygen.io")["metadata"]["uid"] == created, "taken over again"
    assert admin.get(RUNTIMES, "", "default")["metadata"]["uid"] == made["metadata"]["uid"]
    run(bare, "uninstall", "raygen")


def test_the_readme_s_commands_install_upgrade_and_remove(
    bare: ApiServer, admin: Connection, tmp_path: Path
) -> None:
    """The chart's own, word by word, but for KubeRay's and what needs nodes."""
    text = (CHART / "README.md").read_text()
    (values,) = re.findall(r"```yaml\n(# values.yaml\n.*?)```", text, re.DOTALL)
    (tmp_path / "values.yaml").write_text(values)
    (tmp_path / "charts").symlink_to(CHART.parent)
    blocks = "".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    commands = [line for line in blocks.splitlines() if line.startswith("helm") and "kuberay" not in line]
    assert [line.split()[1] for line in commands] == ["install", "upgrade", "rollback", "uninstall"]
    assert commands[0] in (ROOT / "README.md").read_text()
    for command in commands:
        helm(*command.split()[1:], kubeconfig=bare.kubeconfig, folder=tmp_path)
        if command.split()[1] == "install":
            assert admin.get(RUNTIMES, "", "default")["spec"]["allowedNamespaces"] == [TEAM]
            account = "researchers"
            user = bare.as_user("ann", account)
            body = {
                "spec": {
                    "resourceAttributes": {
                        "verb": "use",
                        "group": "raygen.io",
                        "resource": "raygenruntimes",
                        "name": "default",
                        "namespace": TEAM,
                    }
                }
            }
            made = user.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body=body)
            assert made["status"]["allowed"]


def takes(admin: Connection, job: Object) -> bool:
    try:
        admin.apply(TRAINING_JOBS, TEAM, job["metadata"]["name"], job, manager="tests")
    except ApiError:
        return False
    return True
