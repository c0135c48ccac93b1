"""The project's images: what is in them, who they run as, and that they need no writable root."""

from __future__ import annotations

import json
from typing import Any

import pytest
from testcluster import images

from tests.cluster.api import ROOT, Cluster, pod, until

MEGABYTE = 1_000_000
TITLE = "org.opencontainers.image.title"


def manifest(name: str) -> dict[str, Any]:
    """The image's manifest in the layout, whose layers are not compressed."""
    return read(images.named()[name]["digest"])


def read(digest: str) -> dict[str, Any]:
    path = images.LAYOUT / "blobs" / "sha256" / digest.removeprefix("sha256:")
    document: dict[str, Any] = json.loads(path.read_text())
    return document


@pytest.mark.parametrize(
    ("name", "title"), [(images.TRAIN, "raygen-train"), (images.OPERATOR, "raygen-operator")]
)
def test_an_image_says_what_it_is_and_is_nobodys_root(cluster: Cluster, name: str, title: str) -> None:
    config = read(manifest(name)["config"]["digest"])["config"]
    assert config["User"] == "1000:1000"
    labels = config["Labels"]
    assert labels[TITLE] == title
    assert {"description", "licenses", "version", "revision"} <= {
        key.removeprefix("org.opencontainers.image.") for key in labels
    }


def test_dependencies_are_layers_apart_and_the_operator_is_small(cluster: Cluster) -> None:
    layers = {name: manifest(name)["layers"] for name in images.PROJECT}
    train, operator = layers[images.TRAIN], layers[images.OPERATOR]
    # The base, and that layer of the project's which is the same in both.
    assert train[0] == operator[0]
    sizes = {name: [layer["size"] for layer in found] for name, found in layers.items()}
    print({name: [f"{size / MEGABYTE:.1f} MB" for size in found] for name, found in sizes.items()})
    # The code with its bytecode, and no more than that: what travels to nodes when the code alone has changed.
    code = sum(path.stat().st_size for path in (ROOT / "raygen").rglob("*.py"))
    assert sizes[images.TRAIN][-1] < 3.3 * code
    assert sizes[images.OPERATOR][-1] < 3.3 * code
    assert sum(sizes[images.OPERATOR][1:]) < 150 * MEGABYTE


ABSENT = {images.TRAIN: ["kubernetes"], images.OPERATOR: ["torch", "ray", "numpy"]}
PRESENT = {
    images.TRAIN: ["torch", "ray", "boto3", "raygen"],
    images.OPERATOR: ["kubernetes", "pydantic", "raygen"],
}


@pytest.mark.parametrize(("name", "user"), [(images.TRAIN, 1_000_680_000), (images.OPERATOR, None)])
def test_an_image_runs_with_a_read_only_root_as_any_user_and_has_its_parts_alone(
    cluster: Cluster, namespace: str, name: str, user: int | None
) -> None:
    program = (
        "import getpass, importlib.util as u, os, subprocess as s\n"
        # Fails where /etc/passwd lacks the user and no variable has the name.
        "getpass.getuser()\n"
        f"print([one for one in {PRESENT[name] + ABSENT[name]} if u.find_spec(one)])\n"
        "print(os.getuid(), os.access('/', os.W_OK), os.access('/opt/raygen', os.W_OK))\n"
        "print(s.run(['raygen', '--version'], capture_output=True, text=True, check=True).stdout)\n"
    )
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    if user is not None:
        # As OpenShift assigns users: of root's group, and unknown to the image.
        security |= {"runAsUser": user, "runAsGroup": 0}
    cluster.apply(pod("runs", "node-1", program, namespace, image=name, securityContext=security))
    until("the pod to end", 90, lambda: cluster.phase("runs", namespace) in ("Succeeded", "Failed"))
    said = cluster.kubectl("--namespace", namespace, "logs", "runs")
    assert said.splitlines()[:3] == [str(PRESENT[name]), f"{user or 1000} False False", "raygen 0.1.0"], said


def test_a_pod_that_waits_for_its_head_ends_when_it_is_told_to(cluster: Cluster, namespace: str) -> None:
    document = pod("waits", "node-1", "", namespace, terminationGracePeriodSeconds=60)
    # As KubeRay's init container does it.
    loop = "while true; do if ray health-check --address 127.0.0.1:1 > /dev/null 2>&1; then break; fi; sleep 5; done"
    document["spec"]["containers"][0] |= {"command": ["/bin/bash", "-c", "--"], "args": [loop]}
    cluster.apply(document)
    until("the pod to run", 90, lambda: cluster.phase("waits", namespace) == "Running")
    cluster.kubectl("--namespace", namespace, "delete", "pod", "waits", "--wait=true", "--timeout=30s")
