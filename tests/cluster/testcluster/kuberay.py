"""KubeRay in a cluster: its definitions and role from its own module, its Deployment from manifests/."""

from __future__ import annotations

from collections.abc import Callable

from testcluster import tools
from testcluster.paths import MANIFESTS

MODULE = "github.com/ray-project/kuberay/ray-operator"


def install(kubectl: Callable[..., str]) -> None:
    """Applies what KubeRay consists of."""
    module = tools.module("kuberay", MODULE)
    # Client-side apply would store the definitions in an annotation, for which they are too long.
    for path in (module / "config/crd/bases", module / "config/rbac/role.yaml", MANIFESTS / "kuberay.yaml"):
        kubectl("apply", "--server-side", "-f", str(path))


def wait(kubectl: Callable[..., str]) -> None:
    """Returns once it runs."""
    kubectl("--namespace=kuberay-system", "rollout", "status", "deployment/kuberay-operator", "--timeout=90s")
