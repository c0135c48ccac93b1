"""The cluster as a fixture: started if it does not run, and then ended again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from testcluster import cluster as real
from testcluster import host, own
from testcluster.console import ClusterError

from tests.cluster import trainingjob
from tests.cluster.api import Cluster, until
from tests.cluster.rayjob import EXAMPLE, NAMESPACE, Job
from tests.cluster.trainingjob import NAMESPACE as RESEARCH
from tests.cluster.trainingjob import Raygen

OPTIONAL = ("test_parts.py", "test_queued.py", "test_shared.py")
"""Run with RAYGEN_CLUSTER_PARTS=1: they take long, or need programs that take long to build."""


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A running cluster with the project's image as the checkout has it."""
    try:
        if own.configured():
            raise ClusterError("the tests stop nodes and need an S3 server: unset KUBECONFIG")
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


@contextmanager
def prepared(cluster: Cluster, folder: Path) -> Iterator[Job]:
    """A job with its data in the bucket and its namespace its own; `folder` takes its files."""
    cluster.remove_namespace(NAMESPACE)
    cluster.fill()
    try:
        yield Job(cluster, folder)
    finally:
        cluster.remove_namespace(NAMESPACE)


@pytest.fixture
def job(cluster: Cluster, tmp_path: Path) -> Iterator[Job]:
    """The job of manifests/rayjob."""
    with prepared(cluster, tmp_path) as prepared_job:
        yield prepared_job


@pytest.fixture(scope="session")
def example(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """The job of manifests/rayjob, shorter, while it runs; nothing happens to it."""
    with prepared(cluster, tmp_path_factory.mktemp("example")) as job:
        job.submit("example", *EXAMPLE)
        job.runs()
        yield job


@pytest.fixture(scope="session")
def calm(example: Job) -> dict[int, float]:
    """Losses by step of a run that nothing happened to."""
    assert example.ends(420) == "Complete", json.dumps(example.status, indent=1)
    return dict(example.logged())


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace under Pod Security `restricted`."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": "tests", "labels": labels}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    until("its service account", 30, lambda: cluster.get("serviceaccount", "default", namespace="tests"))
    yield "tests"
    cluster.remove_namespace("tests")


@pytest.fixture(scope="session")
def installed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Raygen]:
    """raygen on the cluster, and a namespace with data."""
    with trainingjob.installed(cluster, tmp_path_factory.mktemp("raygen")) as raygen:
        yield raygen


@pytest.fixture
def alone(installed: Raygen) -> Iterator[Raygen]:
    """The namespace without a job."""
    yield installed
    cluster = installed.cluster

    def gone() -> bool:
        pods = cluster.end_pods(RESEARCH, "raygen.io/job")
        return not pods and not any(
            cluster.get(kind, namespace=RESEARCH) for kind in ("trainingjob", "sweep")
        )

    cluster.kubectl("--namespace", RESEARCH, "delete", "trainingjobs,sweeps", "--all", "--wait=false")
    until("the jobs and their pods to go", 120, gone)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = [item for item in items if "tests/cluster/" in item.nodeid]
    optional = [item for item in here if item.path.name in OPTIONAL]
    for item in here:
        # Of the test alone: what makes the cluster, and may have to build it, is a fixture.
        item.add_marker(pytest.mark.timeout(3600 if item in optional else 1500, func_only=True))
    # Tests of the cluster end it and start it anew; raygen is installed once, on the last one.
    items.sort(key=lambda item: item in here and "installed" in getattr(item, "fixturenames", ()))
    if os.environ.get("RAYGEN_CLUSTER_PARTS") != "1":
        config.hook.pytest_deselected(items=optional)
        items[:] = [item for item in items if item not in optional]
