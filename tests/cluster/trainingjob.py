"""raygen on the test cluster: its operator, a namespace with jobs, and what a user does there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import yaml
from testcluster import control, images
from testcluster.paths import KUBECONFIG

from raygen.jobfile import dumps, load
from tests.cluster.api import Cluster, until
from tests.cluster.installing.helm import CHART, helm
from tests.cluster.rayjob import ROOT

SYSTEM, NAMESPACE = "raygen-system", "research"
Object = dict[str, Any]


class Raygen:
    """raygen, installed."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self._folder = cluster, folder

    @property
    def values(self) -> Object:
        """Values of the chart, with the images that the nodes have."""
        sample = yaml.safe_load((ROOT / "manifests/samples/runtime.yaml").read_text())
        spec = sample["spec"] | {
            "image": images.by_digest(images.TRAIN),
            "head": {"cpu": "300m", "memory": "4Gi"},
            "defaults": {"cpusPerWorker": 1, "memoryPerWorker": "4Gi"},
            "sharedMemory": "512Mi",
            "headLostSeconds": 60,
        }
        return {
            "image": images.by_digest(images.OPERATOR),
            "jobNamespaces": [NAMESPACE],
            "runtime": {"enabled": True, "spec": spec},
        }

    def helm(self, *arguments: str, values: Object | None = None) -> str:
        """Helm on this cluster, in the namespace of the release."""
        return helm(*arguments, "--namespace", SYSTEM, kubeconfig=KUBECONFIG, values=values)

    def install(self) -> None:
        """As the chart's README says."""
        # Both under Pod Security `restricted`; the one has the operator, the other jobs and access to storage.
        for name in (SYSTEM, NAMESPACE):
            labels = {"pod-security.kubernetes.io/enforce": "restricted"}
            self.cluster.apply(
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
            )
        self.cluster.apply(self.cluster.storage_secret(NAMESPACE))
        self.helm("install", "raygen", str(CHART), "--wait", "--timeout", "3m", values=self.values)

    def remove(self) -> None:
        """Everything but the definitions and the runtime."""
        self.helm("uninstall", "raygen", "--ignore-not-found", "--wait")
        self.cluster.remove_namespace(NAMESPACE)
        self.cluster.remove_namespace(SYSTEM)

    def raygen(self, *arguments: str, code: int = 0) -> str:
        """The command line, as a user has it who may read the bucket; gives its stdout."""
        command = [str(Path(sys.executable).with_name("raygen")), *arguments]
        storage = self.cluster.storage_secret(NAMESPACE)["stringData"]
        own = {"KUBECONFIG": str(KUBECONFIG), "AWS_ENDPOINT_URL": control.s3_endpoint()}
        environment = os.environ | storage | own
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        assert "Traceback" not in said
        return done.stdout

    def job_file(self, *overrides: str) -> Path:
        """manifests/samples/gpt.yaml with changes."""
        path = self._folder / "job.yaml"
        path.write_text(dumps(load(ROOT / "manifests/samples/gpt.yaml", overrides=overrides).job))
        return path

    def apply(self, *overrides: str) -> None:
        """What a user does; what earlier runs left is gone."""
        job = load(ROOT / "manifests/samples/gpt.yaml", overrides=overrides).job
        run = job.spec.output.run or job.metadata.name
        s3 = self.cluster.s3()
        for key in self.objects(run):
            s3.delete_object(Bucket="runs", Key=f"{NAMESPACE}/{run}/{key}")
        self.cluster.kubectl("apply", "-f", str(self.job_file(*overrides)))

    def objects(self, run: str) -> list[str]:
        prefix = f"{NAMESPACE}/{run}/"
        pages = self.cluster.s3().get_paginator("list_objects_v2").paginate(Bucket="runs", Prefix=prefix)
        return [one["Key"].removeprefix(prefix) for page in pages for one in page.get("Contents", ())]

    def losses(self, run: str, attempt: int | None = None) -> list[tuple[int, float]]:
        """Steps and training losses as they were logged, attempt after attempt, or those of one."""
        s3 = self.cluster.s3()
        start = "metrics/" if attempt is None else f"metrics/{attempt:03d}-"
        keys = sorted(key for key in self.objects(run) if key.startswith(start))
        texts = [s3.get_object(Bucket="runs", Key=f"{NAMESPACE}/{run}/{key}")["Body"].read() for key in keys]
        lines = [json.loads(line) for text in texts for line in text.splitlines()]
        return [(line["step"], line["values"]["loss"]) for line in lines if line["kind"] == "train"]

    def job(self, name: str = "gpt-tiny") -> Object:
        found: Object = self.cluster.get("trainingjob", name, namespace=NAMESPACE)
        return found

    def condition(self, kind: str, name: str = "gpt-tiny") -> Object:
        """A condition of a job; Unknown and without a reason if it has none."""
        conditions = (self.job(name).get("status") or {}).get("conditions") or ()
        return next((one for one in conditions if one["type"] == kind), {"status": "Unknown", "reason": ""})

    def summary(self, name: str = "gpt-tiny") -> Object:
        return self.condition("Succeeded", name)

    def reaches(self, step: int, name: str = "gpt-tiny") -> None:
        """Waits until the status says that this step is done."""

        def done() -> bool:
            progress = (self.job(name).get("status") or {}).get("progress") or {}
            assert self.summary(name)["status"] != "False", self.summary(name)
            return bool(progress.get("step", 0) >= step)

        until(f"step {step}", 240, done)

    def ends(self, seconds: float, name: str = "gpt-tiny") -> Object:
        """Waits for the end; gives the summary condition."""
        found: Object = until(
            f"{name} to end",
            seconds,
            lambda: (one := self.summary(name))["status"] != "Unknown" and one,
        )
        return found

    def kill_operator(self) -> None:
        """SIGKILL to the process of the operator that works."""
        lease: Object = self.cluster.get("lease", "raygen-operator", namespace=SYSTEM)
        holder = lease["spec"]["holderIdentity"]
        for process in psutil.process_iter(["cmdline"]):
            is_operator = any(word.startswith("--lease-namespace") for word in process.info["cmdline"] or ())
            if is_operator and holder.startswith(process.environ()["POD_NAME"]):
                process.send_signal(signal.SIGKILL)
                return
        raise AssertionError("no operator runs")


@contextmanager
def installed(cluster: Cluster, folder: Path) -> Iterator[Raygen]:
    """raygen on the cluster, with data and a namespace; `folder` takes job files."""
    cluster.fill()
    raygen = Raygen(cluster, folder)
    try:
        raygen.install()
        yield raygen
    finally:
        raygen.remove()
