"""A pod as those of a runtime's jobs are, as far as admission, its node, its image and its storage go.

What jobs get is `raygen.operator.rayjob.render`'s, which clients cannot import; a test compares the two.
"""

from __future__ import annotations

from typing import Any

from raygen.spec.runtime import RaygenRuntimeSpec

Object = dict[str, Any]

SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}
LABELS = {"app.kubernetes.io/name": "raygen-doctor"}


def pod(spec: RaygenRuntimeSpec, *, cpu: str, memory: str, command: list[str] | None = None) -> Object:
    """A pod with the image, environment and places of a runtime.

    Args:
        spec: Of the runtime.
        cpu: That it asks for.
        memory: That it asks for, and may have.
        command: What it runs. Default: what its image does.
    """
    container: Object = {
        "name": "ray",
        "image": spec.image,
        "env": [{"name": name, "value": literal(value)} for name, value in spec.variables().items()],
        "securityContext": SECURITY,
        "resources": {
            "requests": {"cpu": cpu, "memory": memory},
            "limits": {"memory": memory, **spec.cpu_limit(cpu)},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }
    if command is not None:
        container["command"] = [literal(word) for word in command]
    if spec.environment_secrets:
        container["envFrom"] = [{"secretRef": {"name": name}} for name in spec.environment_secrets]
    body: Object = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "securityContext": spec.run_as.of_pod(),
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        "containers": [container],
    }
    if spec.image_pull_secrets:
        body["imagePullSecrets"] = [{"name": name} for name in spec.image_pull_secrets]
    if spec.node_selector:
        body["nodeSelector"] = dict(spec.node_selector)
    if spec.tolerations:
        body["tolerations"] = [one.of_pod() for one in spec.tolerations]
    metadata = {"generateName": "raygen-doctor-", "labels": LABELS}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": body}


def literal(value: str) -> str:
    """A text that Kubernetes leaves as it is, instead of putting variables, secret ones too, in place of $(NAME)."""
    return value.replace("$", "$$")
