"""What the tests do with the cluster: objects as JSON, conditions to wait for, and buckets."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from testcluster import cluster as real
from testcluster import control, images
from testcluster.console import ClusterError
from testcluster.paths import KUBECONFIG

from raygen.kube import RAY_JOBS, SWEEPS, TRAINING_JOBS, ApiError, Connection, connect
from raygen.kube.resources import LEASES, PODS, Resource

T = TypeVar("T")
POLL_SECONDS = 0.5
ROOT = Path(__file__).resolve().parents[2]


POLLED = {"pod": PODS, "rayjob": RAY_JOBS, "trainingjob": TRAINING_JOBS, "sweep": SWEEPS, "lease": LEASES}
"""What is waited for; each look by kubectl would take a tenth of a second of what is waited for."""


class Cluster:
    """The running cluster, as its administrator sees it."""

    def kubectl(self, *arguments: str, input_text: str | None = None) -> str:
        """What kubectl prints; ClusterError if it fails."""
        return real.kubectl(*arguments, input_text=input_text)

    def get(self, kind: str, name: str = "", *, namespace: str = "", selector: str = "") -> Any:
        """An object, or the items of a list; None for an object that is not there."""
        if namespace and kind in POLLED:
            return _looked_up(POLLED[kind], name, namespace, selector)
        options = [
            *([f"--namespace={namespace}"] if namespace else []),
            *([f"--selector={selector}"] if selector else []),
        ]
        text = real.kubectl(
            "get", kind, *([name] if name else []), *options, "-o", "json", "--ignore-not-found"
        )
        found = json.loads(text) if text.strip() else None
        return found if name else (found or {}).get("items", [])

    def phase(self, pod: str, namespace: str) -> str | None:
        """A pod's phase, None while there is no such pod."""
        found = self.get("pod", pod, namespace=namespace)
        return found["status"].get("phase") if found else None

    def apply(self, *objects: dict[str, Any]) -> None:
        """Creates or changes objects."""
        self.kubectl(
            "apply",
            "--server-side",
            "--force-conflicts",
            "-f",
            "-",
            input_text=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}),
        )

    def remove_namespace(self, name: str) -> None:
        """Deletes a namespace and waits until it is gone; its pods get no time to end well."""
        self.kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")
        self.end_pods(name)
        self.kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=true", "--timeout=180s")

    def end_pods(self, namespace: str, selector: str = "") -> bool:
        """Shortens the time that pods have to end to a second; new ones come unless who makes them is being deleted. Returns whether
        there are any.
        """
        pods = [pod["metadata"] for pod in self.get("pod", namespace=namespace, selector=selector) or []]
        slow = [pod["name"] for pod in pods if pod.get("deletionGracePeriodSeconds", 30) > 1]
        if slow:
            options = ("--grace-period=1", "--wait=false", "--ignore-not-found")
            self.kubectl("--namespace", namespace, "delete", "pod", *slow, *options)
        return bool(pods)

    def s3(self) -> Any:
        """A client of the S3 server."""
        key, secret = control.s3_credentials()
        return boto3.client(
            "s3",
            endpoint_url=control.s3_endpoint(),
            region_name="us-east-1",
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=Config(s3={"addressing_style": "path"}),
        )

    def fill(self) -> Any:
        """Makes the buckets `datasets`, with the examples' text, and `runs`; gives a client of the S3 server."""
        s3 = self.s3()
        for bucket in {"datasets", "runs"} - {one["Name"] for one in s3.list_buckets()["Buckets"]}:
            s3.create_bucket(Bucket=bucket)
        text = ROOT / "examples" / "data" / "tinyshakespeare.txt"
        s3.upload_file(str(text), "datasets", text.name)
        return s3

    def storage_secret(self, namespace: str, **changes: str) -> dict[str, Any]:
        """The Secret `storage`, by which pods reach the S3 server."""
        key, secret = control.s3_credentials()
        values = {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": control.S3_NAME,
        } | changes
        metadata = {"name": "storage", "namespace": namespace}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values}


SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod(
    name: str, node: str, program: str, namespace: str, *, image: str = images.TRAIN, **changes: Any
) -> dict[str, Any]:
    """A pod that runs a Python program, and nothing that Pod Security `restricted` would refuse."""
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "Never",
        "command": ["python", "-c", program],
        "securityContext": SECURITY,
    }
    spec = {
        "nodeSelector": {"kubernetes.io/hostname": node},
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
    }
    metadata = {"name": name, "namespace": namespace, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec | changes}


def _looked_up(resource: Resource, name: str, namespace: str, selector: str) -> Any:
    connection = _connected(KUBECONFIG.read_text())
    try:
        if name:
            return connection.get(resource, namespace, name)
        return connection.list(resource, namespace, **({"labelSelector": selector} if selector else {}))[0]
    except ApiError as error:
        if name and error.is_missing:
            return None
        raise ClusterError(str(error)) from error


@lru_cache(1)
def _connected(kubeconfig: str) -> Connection:
    """The API server; each start of the cluster has other keys."""
    del kubeconfig
    return connect(str(KUBECONFIG))


def until(what: str, seconds: float, look: Callable[[], T]) -> T:
    """The first true value of `look`."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        pause.wait(POLL_SECONDS)
    return found
