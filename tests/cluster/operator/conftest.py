"""A real API server for tests of what concerns the API alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from raygen.kube import Connection
from tests.cluster.apiserver import NAMESPACES, ApiServer, serving

_numbers = itertools.count()


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """One for all tests."""
    with serving(tmp_path_factory.mktemp("api")) as server:
        yield server


@pytest.fixture(scope="session")
def admin(api: ApiServer) -> Connection:
    """Its administrator."""
    return api.connection()


@pytest.fixture
def team(admin: Connection) -> str:
    """A namespace of one's own."""
    name = f"team-{next(_numbers)}"
    admin.create(NAMESPACES, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name
