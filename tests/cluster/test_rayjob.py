"""manifests/rayjob on real Kubernetes: that it is the example, and what ends it early."""

from __future__ import annotations

import json
import time

from testcluster import cluster as real

from raygen.jobfile import load
from tests.cluster.rayjob import MANIFESTS, ROOT, SHORT, Job


def test_the_job_is_the_example_on_s3() -> None:
    example = load(ROOT / "examples" / "01-gpt-tiny.yaml").job.model_dump(mode="json", exclude_none=True)
    there = load(MANIFESTS / "job.yaml").job.model_dump(mode="json", exclude_none=True)
    for document in (example, there):
        for name in ("output", "scale"):
            document["spec"].pop(name, None)
        del document["spec"]["data"]["train"]
    assert there == example


def test_a_full_bucket_ends_the_job_within_a_minute(job: Job) -> None:
    job.submit("full", *SHORT)
    job.trains(40)
    began = time.monotonic()
    real.limit_storage(0)
    try:
        assert job.ends(60) == "Failed"
        print(f"ended {time.monotonic() - began:.0f} s after the bucket was full")
        assert "the storage or its quota is full" in job.status["message"]
        assert "Free some space" in job.status["message"]
        # As is seen before any worker starts.
        job.submit("full-at-first", *SHORT)
        assert job.ends(120) == "Failed"
        assert job.seconds < 60
        assert "the storage or its quota is full" in job.status["message"]
    finally:
        real.limit_storage(None)


def test_refused_credentials_end_the_job_within_a_minute(job: Job) -> None:
    job.submit("refused", secret={"AWS_SECRET_ACCESS_KEY": "canary-secret-that-is-wrong"})
    assert job.ends(120) == "Failed"
    assert job.seconds < 60
    message = job.status["message"]
    assert "exit code 2" in message
    assert "s3://runs" in message or "s3://datasets" in message
    assert "credentials" in message
    assert "canary-secret" not in json.dumps(job.status)
