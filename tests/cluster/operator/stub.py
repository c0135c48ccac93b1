"""An operator whose requests a test can harm, and everybody else around a job: KubeRay, kubelets, the driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import urllib3

from raygen.controller.conditions import stamp
from raygen.controller.events import Recorder
from raygen.controller.queue import Key, WorkQueue
from raygen.kube import PODS, RAY_JOBS, RUNTIMES, TRAINING_JOBS, ApiError, Connection
from raygen.kube.connection import MERGE
from raygen.operator.attempts.controller import Controller
from raygen.operator.attempts.watches import JOBS, around
from raygen.operator.kind import Tools, stores_of
from raygen.operator.trainingjob import WORK
from raygen.spec.names import (
    ATTEMPT_LABEL,
    DRIVER_MANAGER,
    JOB_LABEL,
    RAY_JOB_LABEL,
    RAY_NODE_TYPE,
)
from tests.unit.operator.attempts.world import job, runtime

Object = dict[str, Any]
Fault = Callable[[str, str], str]
"""Says for a method and a path what to do: "" nothing; "before" or "after" it is done, raise; or an HTTP status."""


class CrashError(BaseException):
    """The operator's process ends here."""


class Harmed(Connection):
    """A connection to a real API server that fails where it is told to.

    Attributes:
        writes: What was written, in order: "POST path" and so on; events are left out.
    """

    def __init__(self, healthy: Connection, fault: Fault = lambda method, path: "") -> None:
        super().__init__(healthy.configuration, healthy.namespace)
        self.fault = fault
        self.writes: list[str] = []

    @contextmanager
    def _answer(self, method: str, path: str, **options: Any) -> Iterator[urllib3.BaseHTTPResponse]:
        is_write = method != "GET" and "/events" not in path
        harm = self.fault(method, path) if is_write else ""
        if harm == "before":
            raise ApiError("lost on the way", status=0)
        if harm.isdigit():
            raise ApiError("harm", status=int(harm), reason="Harm", retry_after=0.0)
        with super()._answer(method, path, **options) as answer:
            if is_write:
                self.writes.append(f"{method} {path}")
            if harm == "after":
                raise ApiError("the answer was lost", status=0)
            if harm == "crash":
                raise CrashError
            yield answer


class Process:
    """One life of an operator, without threads: it sees everything, and works until nothing is left to do."""

    def __init__(self, connection: Connection, namespace: str) -> None:
        self.connection, self.namespace = connection, namespace
        self.stores, self.queue = stores_of(around(JOBS)), WorkQueue()
        self.controller = Controller(
            WORK, Tools(connection, self.stores, self.queue, Recorder(connection, "tests"))
        )

    def see(self) -> None:
        """Lists everything."""
        for watch, listener in self.controller.listeners().items():
            namespace = self.namespace if watch.resource.namespaced else ""
            items, _ = self.connection.list(watch.resource, namespace, **watch.query)
            for before, after in self.stores[watch].replace(map(watch.keep, items)):
                listener(before, after)

    def work(self, rounds: int = 40) -> None:
        """Looks and works until a whole round changes nothing."""
        for _ in range(rounds):
            self.see()
            for place in self.stores[JOBS].places():
                self.queue.add(Key(TRAINING_JOBS.kind, *place))
            written = len(self._writes)
            failed = False
            while (key := self.queue.take(0)) is not None:
                try:
                    self.controller.reconcile(key)
                except ApiError:
                    failed = True
                finally:
                    self.queue.done(key)
            if not failed and len(self._writes) == written:
                return
        raise AssertionError("it never comes to rest")

    @property
    def _writes(self) -> list[str]:
        return getattr(self.connection, "writes", [])


class Surroundings:
    """Everybody but the operator, for one job of a namespace."""

    def __init__(self, admin: Connection, namespace: str, name: str = "tiny") -> None:
        self.admin, self.namespace, self.name = admin, namespace, name

    def runtime(self, **changes: Any) -> None:
        document = runtime(allowedNamespaces=["*"], **changes)
        document |= {"apiVersion": RUNTIMES.api_version, "kind": RUNTIMES.kind}
        self.admin.apply(RUNTIMES, "", "default", document, manager="tests")

    def submit(self, **changes: Any) -> Object:
        document = job(self.name, **{"output": {"uri": f"s3://runs/{self.namespace}/"}, **changes})
        document["metadata"] = {"name": self.name, "namespace": self.namespace}
        return self.admin.apply(TRAINING_JOBS, self.namespace, self.name, document, manager="tests")

    def edit(self, **spec: Any) -> None:
        path = TRAINING_JOBS.path(self.namespace, self.name)
        self.admin.request("PATCH", path, body={"spec": spec}, content_type=MERGE)

    def job(self) -> Object:
        return self.admin.get(TRAINING_JOBS, self.namespace, self.name)

    def ray_jobs(self) -> list[Object]:
        found, _ = self.admin.list(RAY_JOBS, self.namespace)
        return [one for one in found if one["metadata"]["labels"][JOB_LABEL] == self.name]

    def ray_job(self, attempt: int) -> str:
        return f"{self.name}-r{attempt}"

    def status(self, attempt: int, **status: Any) -> None:
        """KubeRay writes the status of a RayJob."""
        path = RAY_JOBS.path(self.namespace, self.ray_job(attempt), "status")
        self.admin.request("PATCH", path, body={"status": status}, content_type=MERGE)

    def runs(self, attempt: int) -> None:
        """KubeRay has the pods, and the driver runs."""
        name = self.ray_job(attempt)
        cluster = f"{name}-c"
        self.pod(f"{name}-head", attempt, "head", cluster)
        spec = self.admin.get(RAY_JOBS, self.namespace, name)["spec"]
        groups = spec.get("rayClusterSpec", {}).get("workerGroupSpecs", ())
        for number in range(groups[0]["replicas"] if groups else 1):
            self.pod(f"{name}-worker" + (f"-{number}" if number else ""), attempt, "worker", cluster)
        self.status(
            attempt,
            jobDeploymentStatus="Running",
            jobStatus="RUNNING",
            rayClusterName=cluster,
            dashboardURL=f"{cluster}-head-svc.{self.namespace}.svc.cluster.local:8265",
        )

    def pod(self, name: str, attempt: int, kind: str, cluster: str, phase: str = "Running") -> None:
        labels = {
            JOB_LABEL: self.name,
            ATTEMPT_LABEL: str(attempt),
            RAY_JOB_LABEL: self.ray_job(attempt),
            RAY_NODE_TYPE: kind,
        }
        owner = {"apiVersion": "ray.io/v1", "kind": "RayCluster", "name": cluster, "uid": f"uid-{cluster}"}
        metadata = {"name": name, "namespace": self.namespace, "labels": labels, "ownerReferences": [owner]}
        spec = {"nodeName": "node-1", "containers": [{"name": "ray", "image": "x"}]}
        self.admin.create(
            PODS, self.namespace, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        )
        ready = {"phase": phase, "conditions": [{"type": "Ready", "status": str(phase == "Running")}]}
        path = PODS.path(self.namespace, name, "status")
        self.admin.request("PATCH", path, body={"status": ready}, content_type=MERGE)

    def driver(
        self, attempt: int, step: int, first: int = 1, *, more: Object | None = None, **outcome: Any
    ) -> None:
        """The driver writes its part of the status; `more` goes into its progress."""
        time = stamp(datetime.now(UTC))
        progress = {"time": time, "attempt": attempt, "rayJob": self.ray_job(attempt)}
        status: Object = {
            "progress": progress | {"firstStep": first, "step": step, "steps": 100, **(more or {})}
        }
        if outcome:
            status["outcome"] = {"time": time, "rayJob": self.ray_job(attempt), **outcome}
        body = {
            "apiVersion": TRAINING_JOBS.api_version,
            "kind": TRAINING_JOBS.kind,
            "metadata": {"name": self.name, "namespace": self.namespace},
            "status": status,
        }
        self.admin.apply(
            TRAINING_JOBS, self.namespace, self.name, body, manager=DRIVER_MANAGER, subresource="status"
        )

    def over(self, attempt: int, *, succeeded: bool) -> None:
        """The RayJob is over, and KubeRay has removed its pods."""
        self.status(
            attempt,
            jobDeploymentStatus="Complete" if succeeded else "Failed",
            jobStatus="SUCCEEDED" if succeeded else "FAILED",
        )
        self.no_pods(attempt)

    def no_pods(self, attempt: int) -> None:
        found, _ = self.admin.list(
            PODS, self.namespace, labelSelector=f"{RAY_JOB_LABEL}={self.ray_job(attempt)}"
        )
        for pod in found:
            path = PODS.path(self.namespace, pod["metadata"]["name"])
            self.admin.request("DELETE", path, body={"gracePeriodSeconds": 0})
