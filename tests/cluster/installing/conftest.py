"""A real API server of these tests alone, to which Helm installs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from testcluster import kuberay, tools

from raygen.kube import ApiError, Connection
from tests.cluster.api import until
from tests.cluster.apiserver import NAMESPACES, ApiServer, apply, started


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """With nothing installed."""
    with started(tmp_path_factory.mktemp("bare")) as server:
        yield server


@pytest.fixture(scope="module")
def admin(bare: ApiServer) -> Connection:
    """Its administrator."""
    return bare.connection()


def kuberay_definition(plural: str) -> dict[str, Any]:
    """One of KubeRay's, as its module has it."""
    path = tools.module("kuberay", kuberay.MODULE) / f"config/crd/bases/ray.io_{plural}.yaml"
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def install_kuberay(admin: Connection) -> None:
    """Its definitions."""
    for plural in ("rayjobs", "rayclusters"):
        apply(admin, kuberay_definition(plural))
    until("KubeRay's kinds", 30, lambda: serves(admin, "rayjobs", "rayclusters"))


def serves(admin: Connection, *plurals: str) -> bool:
    """Whether the API server answers for these kinds of KubeRay's."""
    try:
        found = admin.request("GET", "/apis/ray.io/v1")["resources"]
    except ApiError:
        return False
    return set(plurals) <= {one["name"] for one in found}


def make_namespace(admin: Connection, name: str) -> None:
    """An empty one."""
    admin.create(NAMESPACES, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
