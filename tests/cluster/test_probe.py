"""`raygen doctor --probe` on real nodes: an image that is pulled or not, and a storage that is reached or not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from testcluster.network import S3_ADDRESS, S3_PORT

from raygen.client.doctor.pod import LABELS
from tests.cluster.trainingjob import NAMESPACE, Raygen

Object = dict[str, Any]

WRONG = "wrong"
SECRET = "canary-that-nobody-may-see"  # noqa: S105 (of nobody)


@pytest.fixture
def planted(installed: Raygen) -> Iterator[Raygen]:
    """Runtimes of which each has one thing wrong, beside the one that works."""
    cluster, good = installed.cluster, installed.values["runtime"]["spec"]
    secret = cluster.storage_secret(NAMESPACE, AWS_SECRET_ACCESS_KEY=SECRET)
    cluster.apply(secret | {"metadata": {"name": WRONG, "namespace": NAMESPACE}})
    changes: dict[str, Object] = {
        # Its server is none of images, and speaks no TLS.
        "no-image": {"image": f"{S3_ADDRESS}:{S3_PORT}/raygen-train@sha256:{'0' * 64}"},
        "no-bucket": {"storage": {"allowedUriPrefixes": ["s3://runs/{namespace}/", "s3://nowhere/"]}},
        "no-entry": {"environmentSecrets": [WRONG]},
        "no-server": {
            "storage": {
                "endpoint": "http://nowhere.storage.svc.cluster.local",
                "allowedUriPrefixes": ["s3://runs/"],
            }
        },
        "no-node": {"nodeSelector": {"pool": "none"}},
    }
    kind = {"apiVersion": "raygen.io/v1alpha1", "kind": "RaygenRuntime"}
    made = [kind | {"metadata": {"name": name}, "spec": good | one} for name, one in changes.items()]
    cluster.apply(*made)
    yield installed
    cluster.kubectl("delete", "raygenruntimes", *changes)


def test_a_pod_tries_image_and_storage(planted: Raygen) -> None:
    """All is well, then one mistake after the other, each told with its remedy; and no pod is left."""
    found = probed(planted, "default", code=0)
    assert [one["state"] for one in found] == ["ok", "ok", "ok"]
    assert " had raygen.test/train@sha256:" in found[0]["said"]
    assert [one["said"].partition(": ")[0] for one in found[1:]] == [
        "s3://datasets/",
        f"s3://runs/{NAMESPACE}/",
    ]
    left = planted.cluster.s3().list_objects_v2(Bucket="runs", Prefix=f"{NAMESPACE}/raygen-probe-")
    assert left["KeyCount"] == 0

    image, storage = probed(planted, "no-image")
    assert (image["state"], storage["state"]) == ("fault", "unknown")
    assert "the node does not trust the registry's certificate" in image["said"]
    assert "server gave HTTP response to HTTPS client" in image["said"]
    assert "the nodes' container runtime" in image["remedy"]

    image, first, second = probed(planted, "no-bucket")
    assert (image["state"], first["state"], second["state"]) == ("ok", "ok", "fault")
    assert "s3://nowhere/: cannot be listed: there is no such bucket" in second["said"]
    assert "Make the bucket nowhere" in second["remedy"]

    _, *storages = probed(planted, "no-entry")
    assert [one["state"] for one in storages] == ["fault", "fault"]
    assert "the credentials are refused" in storages[0]["said"]
    assert f"in the Secret {WRONG} of {NAMESPACE}" in storages[0]["remedy"]

    _, storage = probed(planted, "no-server")
    assert "its name cannot be resolved" in storage["said"]
    assert "Correct storage.endpoint of the RaygenRuntime no-server" in storage["remedy"]

    image, _ = probed(planted, "no-node", "--timeout=3")
    assert "no node took the pod within 3 s: 0/2 nodes are available" in image["said"]
    assert "nodeSelector" in image["remedy"]


def probed(raygen: Raygen, runtime: str, *options: str, code: int = 1) -> list[Object]:
    """What the two checks find with a runtime; their pod is gone, or about to be."""
    words = [
        "doctor",
        "--probe",
        "--only=image",
        "--only=storage",
        "--namespace",
        NAMESPACE,
        "--json",
        *options,
    ]
    said = raygen.raygen(*words, "--runtime", runtime, code=code)
    assert SECRET not in said
    ((key, value),) = LABELS.items()
    pods = raygen.cluster.get("pod", namespace=NAMESPACE, selector=f"{key}={value}")
    assert [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]] == []
    found: list[Object] = json.loads(said)["findings"]
    return found
