"""What a node says of an image that it cannot run, in words that say what to do."""

from __future__ import annotations

import re
from typing import Any

from raygen.kube.text import scrubbed
from raygen.spec.runtime import RaygenRuntimeSpec

Object = dict[str, Any]

MAX_TEXT = 400

_TRANSIENT = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError"})
_FINAL = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "InvalidImageName",
        "RunContainerError",
        "SignatureValidationFailed",
    }
)
"""Reasons for which a container waits (pkg/kubelet/images/types.go and pkg/kubelet/kuberuntime of Kubernetes): those that
may go by themselves, and those that do not."""

_CAUSES: tuple[tuple[str, str, str], ...] = (
    (
        r"no match for platform|no matching manifest|no image found in|exec format error|does not match the (specified|expected) platform",
        "the image is not made for the processors of the nodes",
        "Build it for them (--platform linux/amd64 or linux/arm64), or choose nodes by nodeSelector of the RaygenRuntime {runtime}.",
    ),
    (
        r"unauthorized|authentication required|authorization failed|access denied|denied:|forbidden|no basic auth|\b40[13]\b",
        "the registry refuses the credentials, or asks for some",
        "{secret}",
    ),
    (
        r"not found|manifest unknown|name unknown|\b404\b",
        "the registry has no such image",
        "Push it, and write its name and digest as the registry has them into image of the RaygenRuntime {runtime}.",
    ),
    (
        r"no such host|server misbehaving",
        "the registry's name is not known to the node",
        "Correct it in image of the RaygenRuntime {runtime}, or the nodes' DNS.",
    ),
    (
        r"x509|certificate|gave HTTP response to HTTPS",
        "the node does not trust the registry's certificate",
        "Have the registry's authority added to the nodes' container runtime.",
    ),
    (
        r"no space left|disk quota",
        "the node's disk is full",
        "Free some space there, or choose other nodes by nodeSelector of the RaygenRuntime {runtime}.",
    ),
    (
        r"too ?many ?requests|rate limit|\b429\b",
        "the registry asks for fewer requests",
        "Try again later, or use a registry of your own.",
    ),
    (
        r"dial tcp|connection refused|connection reset|timeout|deadline exceeded|unreachable|\bEOF\b|\b50[0-9]\b",
        "the node does not reach the registry",
        "Correct its name in image of the RaygenRuntime {runtime}, or the nodes' way to it: firewall, proxy.",
    ),
)
_CERTAIN = 5
"""The first of them do not go by themselves."""
_NO_PROGRAM = r"executable file not found|no such file or directory"
_EARLY = "failed to sync"
"""In a message: the node has yet to hear of a Secret or ConfigMap."""


def waiting(pod: Object) -> tuple[str, str]:
    """Why the container of a pod does not run yet: reason and message."""
    for container in pod.get("status", {}).get("containerStatuses", ()):
        found = container.get("state", {}).get("waiting")
        if found:
            last = container.get("lastState", {}).get("terminated") or {}
            return str(found.get("reason", "")), str(found.get("message") or last.get("message") or "")
    return "", ""


def is_hopeless(pod: Object, *, final: bool) -> bool:
    """Whether the container of a pod will not run.

    Args:
        pod: The pod.
        final: Whether that has to be certain.
    """
    reason, message = waiting(pod)
    certain = any(re.search(pattern, message, re.IGNORECASE) for pattern, _, _ in _CAUSES[:_CERTAIN])
    if reason in _FINAL:
        return not final or _EARLY not in message
    return reason in _TRANSIENT and (certain or not final)


def explained(
    reason: str, message: str, spec: RaygenRuntimeSpec, runtime: str, namespace: str
) -> tuple[str, str]:
    """What is wrong with an image, and the remedy.

    Args:
        reason: The node's word for it.
        message: What it says more.
        spec: Of the runtime.
        runtime: Its name.
        namespace: The pod's.
    """
    shown = plain(message)
    said = f"{reason}: {shown}" if shown else reason
    if reason == "InvalidImageName":
        return said, f"Correct image of the RaygenRuntime {runtime}: registry/name@sha256:digest"
    if reason == "ErrImageNeverPull":
        return said, "Let the nodes pull images, or bring the image to each of them."
    if reason == "CreateContainerConfigError":
        return said, f"Make what it lacks in {namespace}, or take it out of the RaygenRuntime {runtime}."
    words = {"runtime": runtime, "secret": _secret(spec, runtime, namespace)}
    for pattern, cause, remedy in _CAUSES:
        if re.search(pattern, f"{reason} {message}", re.IGNORECASE):
            return f"{cause}. {said}", remedy.format_map(words)
    return said, f"Look at the node and at image of the RaygenRuntime {runtime}."


def _secret(spec: RaygenRuntimeSpec, runtime: str, namespace: str) -> str:
    make = f"kubectl --namespace {namespace} create secret docker-registry NAME --docker-server=... --docker-username=... --docker-password=..."
    if not spec.image_pull_secrets:
        return f"Make a Secret ({make}), and name it in imagePullSecrets of the RaygenRuntime {runtime}; or correct its image."
    names = ", ".join(spec.image_pull_secrets)
    return f"Recreate {names} in {namespace} ({make}), for the server that image of the RaygenRuntime {runtime} names."


def is_known(message: str) -> bool:
    """Whether a message says what is wrong with an image."""
    return any(re.search(pattern, message, re.IGNORECASE) for pattern, _, _ in _CAUSES)


def is_without_raygen(message: str) -> bool:
    """Whether a container did not start since its image has no such program."""
    return re.search(_NO_PROGRAM, message, re.IGNORECASE) is not None


def plain(text: str) -> str:
    """One line of what a node says, without secrets in addresses."""
    return scrubbed(text)[:MAX_TEXT]
