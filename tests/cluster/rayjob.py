"""The RayJob of manifests/rayjob on the test cluster, as a user submits it, and what its run leaves in the bucket."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from raygen.jobfile import dumps, load
from tests.cluster.api import ROOT, Cluster, until

MANIFESTS = ROOT / "manifests" / "rayjob"
NAMESPACE = "raygen"
HEAD = "ray.io/node-type=head"
WORKERS = "ray.io/node-type=worker"
STEPS = 240
SHORT = (
    f"training.duration.steps={STEPS}",
    # A rate that does not depend on the number of steps, so that a longer run has the same losses.
    "training.schedule.type=Constant",
    f"evaluation.everySteps={STEPS}",
    "evaluation.samples=null",
    "checkpoint.everySteps=40",
)
"""What makes the example shorter."""
EXAMPLE = (*SHORT[:3], f"evaluation.samples.everySteps={STEPS}")
"""What leaves it its samples."""


class Job:
    """The RayJob of manifests/rayjob with changes to its job file."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.run = ""
        self._folder = folder

    def submit(self, run: str, *overrides: str, secret: dict[str, str] | None = None) -> None:
        """What a user does: a namespace, a Secret, `kubectl apply -k`."""
        self.run = run
        if self.status:
            self.cluster.kubectl("--namespace", NAMESPACE, "delete", "rayjob", "gpt-tiny", "--wait=true")
        # Of an earlier run of the tests on this cluster.
        for key in self.objects():
            self.cluster.s3().delete_object(Bucket="runs", Key=f"{run}/{key}")
        job = load(MANIFESTS / "job.yaml", overrides=[f"output.run={run}", *overrides]).job
        for path in MANIFESTS.iterdir():
            (self._folder / path.name).write_text(path.read_text())
        (self._folder / "job.yaml").write_text(dumps(job))
        self.cluster.kubectl("apply", "-f", str(self._folder / "namespace.yaml"))
        self.cluster.apply(self.cluster.storage_secret(NAMESPACE, **(secret or {})))
        self.cluster.kubectl("apply", "-k", str(self._folder))

    @property
    def status(self) -> dict[str, Any]:
        found = self.cluster.get("rayjob", "gpt-tiny", namespace=NAMESPACE) or {}
        status: dict[str, Any] = found.get("status") or {}
        return status

    def pods(self, selector: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.cluster.get("pod", namespace=NAMESPACE, selector=selector)
        return [one for one in found if not one["metadata"].get("deletionTimestamp")]

    def runs(self) -> None:
        """Waits until the driver runs."""
        until("the job to run", 120, lambda: self.status.get("jobStatus") in ("RUNNING", "FAILED"))
        assert self.status["jobStatus"] == "RUNNING", self.status

    def ends(self, seconds: float) -> str:
        """Waits for the end; says which."""

        def ended() -> str | None:
            state = self.status.get("jobDeploymentStatus")
            return state if state in ("Complete", "Failed") else None

        return str(until(f"{self.run} to end", seconds, ended))

    @property
    def seconds(self) -> float:
        """How long the job that has ended ran on Ray."""
        times = (self.status["rayJobInfo"][name] for name in ("startTime", "endTime"))
        started, ended = (datetime.fromisoformat(time) for time in times)
        return (ended - started).total_seconds()

    def objects(self) -> list[str]:
        pages = (
            self.cluster.s3().get_paginator("list_objects_v2").paginate(Bucket="runs", Prefix=f"{self.run}/")
        )
        return [one["Key"].removeprefix(f"{self.run}/") for page in pages for one in page.get("Contents", ())]

    def read(self, key: str) -> bytes:
        content: bytes = self.cluster.s3().get_object(Bucket="runs", Key=f"{self.run}/{key}")["Body"].read()
        return content

    def outcome(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.read("outcome.json"))
        return document

    def logged(self) -> list[tuple[int, float]]:
        """Steps and their training losses as they were logged, attempt after attempt; lost steps are there twice."""
        return [
            (int(line["step"]), float(line["values"]["loss"]))
            for key in sorted(key for key in self.objects() if key.startswith("metrics/"))
            for line in map(json.loads, self.read(key).splitlines())
            if line["kind"] == "train"
        ]

    def trains(self, step: int = 80) -> None:
        """Waits for the checkpoint of a step, by default the second one."""
        until(
            f"the checkpoint of step {step}",
            300,
            lambda: f"checkpoints/step-{step:08d}/manifest.json" in self.objects(),
        )
