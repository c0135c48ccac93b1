"""The cluster as a fixture: started if it does not run, and then ended again."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from testcluster import cluster as real
from testcluster import host
from testcluster.console import ClusterError

from tests.cluster.kubernetes import Cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A running cluster with the project's image as the checkout has it."""
    try:
        host.check()
    except ClusterError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    ran = real.healthy()
    real.up()
    yield Cluster()
    # What a person had started stays.
    if not ran:
        real.down()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/cluster/" in item.nodeid:
            item.add_marker(pytest.mark.timeout(900))
