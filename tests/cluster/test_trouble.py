"""What keeps a TrainingJob from running on real Kubernetes, and what its status says of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.api import until
from tests.cluster.rayjob import SHORT
from tests.cluster.trainingjob import NAMESPACE, Raygen

Object = dict[str, Any]

NO_IMAGE = "raygen.test/train@sha256:" + "0" * 64


@pytest.fixture
def runtimes(alone: Raygen) -> Iterator[None]:
    """Runtimes with faults beside the default one, which grants as much."""
    grants = alone.cluster.get("raygenruntime", "default")
    faults: dict[str, Object] = {
        "no-image": {"image": NO_IMAGE},
        "no-secret": {"environmentSecrets": ["nowhere"]},
    }
    for name, fault in faults.items():
        document = {key: grants[key] for key in ("apiVersion", "kind")}
        alone.cluster.apply(document | {"metadata": {"name": name}, "spec": grants["spec"] | fault})
    yield
    alone.cluster.kubectl("delete", "raygenruntime", *faults)


def says(raygen: Raygen, name: str, reason: str, *words: str) -> None:
    """Waits until a job's status gives this reason, with these words."""

    def said() -> bool:
        found = raygen.summary(name)
        return found.get("reason") == reason and all(word in found["message"] for word in words)

    try:
        until(f"{name} to say {reason}", 120, said)
    except AssertionError as error:
        raise AssertionError(f"{error}: {raygen.summary(name)}") from None


@pytest.mark.usefixtures("runtimes")
def test_why_a_job_waits_is_said_and_what_to_do(alone: Raygen) -> None:
    alone.apply(
        *SHORT, "metadata.name=huge", "output.run=huge", "scale.memoryPerWorker=512Gi", "scale.workers=1"
    )
    alone.apply(*SHORT, "metadata.name=no-image", "output.run=no-image", "runtimeRef.name=no-image")
    alone.apply(*SHORT, "metadata.name=no-secret", "output.run=no-secret", "runtimeRef.name=no-secret")
    says(alone, "huge", "Unschedulable", "worker pod huge-r1", "Insufficient memory", "memoryPerWorker")
    says(alone, "no-image", "ImagePull", NO_IMAGE, "spec.image")
    says(alone, "no-secret", "Configuration", "nowhere", "spec.environmentSecrets")
    described = alone.cluster.kubectl("--namespace", NAMESPACE, "describe", "trainingjob", "no-secret")
    assert "nowhere" in described
    assert "Make what is missing" in described


def test_a_quota_that_is_used_up_is_named(alone: Raygen) -> None:
    metadata = {"name": "small", "namespace": NAMESPACE}
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": metadata,
        "spec": {"hard": {"pods": "1"}},
    }
    alone.cluster.apply(quota)
    try:
        alone.apply(*SHORT, "output.run=quota", "scale.workers=1")
        says(alone, "gpt-tiny", "QuotaExceeded", "exceeded quota: small", "have the ResourceQuota raised")
    finally:
        alone.cluster.kubectl("--namespace", NAMESPACE, "delete", "resourcequota", "small")
    # It goes on by itself as soon as there is room.
    alone.reaches(1)


def test_a_worker_that_needs_more_memory_than_it_has_is_named_with_its_limit(alone: Raygen) -> None:
    alone.apply(
        *SHORT,
        "output.run=memory",
        "scale.workers=1",
        "scale.memoryPerWorker=1Gi",
        "training.globalBatchSize=4096",
        "attempts.limit=1",
    )
    end = alone.ends(300)
    assert (end["status"], end["reason"]) == ("False", "OutOfMemory"), end
    # By Ray's own monitor or by the kernel, whoever is first.
    assert "its limit of 1Gi" in end["message"]
    assert "Raise scale.memoryPerWorker, or lower training.microBatchSize" in end["message"]


WRONG = {"AWS_SECRET_ACCESS_KEY": "not-the-key"}


def test_credentials_that_are_refused_are_named_without_the_secret(alone: Raygen) -> None:
    alone.cluster.apply(alone.cluster.storage_secret(NAMESPACE, **WRONG))
    try:
        alone.apply(*SHORT, "output.run=refused", "scale.workers=1")
        end = alone.ends(300)
    finally:
        alone.cluster.apply(alone.cluster.storage_secret(NAMESPACE))
    assert (end["status"], end["reason"]) in {("False", "OutputError"), ("False", "DataError")}, end
    assert "not-the-key" not in end["message"]
    assert "credentials" in end["message"].lower() or "refuse" in end["message"].lower(), end
