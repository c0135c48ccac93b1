"""One S3 server for all tests, and storages of either kind over an empty folder."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from testcluster.tools import is_built

from raygen.storage import LocalStorage, Storage
from raygen.storage.s3.bucket import S3Storage
from raygen.storage.s3.client import Connection, Patience
from tests.integration.s3.proxy import Proxy, between
from tests.integration.s3.server import BUCKET, Server, environment, serving

PATIENT = Patience(first_attempts=8, seconds=20.0, base=0.002, throttled_base=0.004, longest=0.05)
"""As persistent as the real one, but without its pauses."""
HASTY = Patience(first_attempts=2, seconds=0.2, base=0.002, throttled_base=0.004, longest=0.01)

_numbers = itertools.count()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/integration/s3/" in item.nodeid:
            # Of the test alone: the first one's fixture may have to build the server.
            item.add_marker(pytest.mark.timeout(300, func_only=True))
            if not is_built("versitygw"):
                item.add_marker("network")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def _proxy(server: Server) -> Iterator[Proxy]:
    with between(server.port) as proxy:
        yield proxy


@pytest.fixture
def proxy(_proxy: Proxy) -> Proxy:
    """A proxy before the server that does no harm yet."""
    _proxy.script = lambda request: ""
    _proxy.seen.clear()
    return _proxy


@pytest.fixture
def aws(server: Server, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of the server."""
    return set_environment(monkeypatch, server.endpoint)


def set_environment(monkeypatch: pytest.MonkeyPatch, endpoint: str, **changes: str) -> dict[str, str]:
    settings = environment(endpoint, **changes)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return settings


def fresh() -> str:
    """The URI of a folder that is empty."""
    return f"s3://{BUCKET}/test-{next(_numbers)}"


@pytest.fixture(params=["local", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An empty storage of either kind."""
    if request.param == "local":
        return LocalStorage(tmp_path / "root")
    request.getfixturevalue("aws")
    return S3Storage(fresh(), Connection(PATIENT))


@pytest.fixture
def s3(aws: dict[str, str]) -> S3Storage:
    """An empty folder of the server."""
    return S3Storage(fresh(), Connection(PATIENT))


@pytest.fixture
def harmed(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> S3Storage:
    """An empty folder of the server behind the proxy, which has answered once."""
    set_environment(monkeypatch, proxy.endpoint)
    storage = S3Storage(fresh(), Connection(PATIENT))
    storage.create("first", b"")
    proxy.seen.clear()
    return storage
