"""A cluster in memory, in which plans are carried out; KubeRay, kubelets and drivers do as they are told by a test."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from raygen.controller.conditions import find, stamp
from raygen.controller.events import Note
from raygen.operator import stored
from raygen.operator.attempts.draft import own_part
from raygen.operator.attempts.model import Observed, Plan, Scaling
from raygen.operator.attempts.plan import plan
from raygen.operator.attempts.work import Work
from raygen.operator.rayjob.render import ray_job_name
from raygen.operator.rayjob.trouble import Trouble
from raygen.operator.trainingjob import WORK
from raygen.spec.names import ATTEMPT_LABEL, JOB_LABEL, RAY_JOB_LABEL, RAY_NODE_TYPE
from tests.jobs import job_document

Object = dict[str, Any]

DIGEST = "sha256:" + "0" * 64
START = datetime(2026, 1, 31, 12, tzinfo=UTC)


class CrashError(Exception):
    """The operator ends here."""


def job(name: str = "tiny", **changes: Any) -> Object:
    """A TrainingJob as the cluster has it. `changes` are set in its spec, by names joined by two underscores."""
    document = job_document(
        **{
            "data__train": {"sources": [{"uri": "s3://datasets/text.txt"}]},
            "output": {"uri": "s3://runs/team/"},
            **changes,
        }
    )
    document["metadata"] = {
        "name": name,
        "namespace": "team",
        "uid": f"uid-{name}",
        "generation": 1,
        "resourceVersion": "1",
        "creationTimestamp": stamp(START),
    }
    return document


def runtime(**changes: Any) -> Object:
    spec = {
        "image": f"raygen.test/train@{DIGEST}",
        "allowedNamespaces": ["team"],
        "storage": {"allowedUriPrefixes": ["s3://datasets/", "s3://runs/{namespace}/"]},
    }
    return {"metadata": {"name": "default"}, "spec": spec | changes}


class World:
    """The objects around one job, or another object that is done in attempts, and the time."""

    def __init__(
        self, document: Object | None = None, grants: Object | None = None, work: Work = WORK
    ) -> None:
        self.work = work
        self.job: Object | None = document if document is not None else job()
        self.runtime: Object | None = grants if grants is not None else runtime()
        self.ray_jobs: dict[str, Object] = {}
        self.pods: dict[str, Object] = {}
        self.shared_heads: dict[str, Object] = {}
        self.now = START
        self.notes: list[Note] = []
        self.writes: list[str] = []
        self.scaled: list[Scaling] = []
        self.crash_after: int | None = None
        self._uids = 0

    # ---- the operator

    def observed(self) -> Observed:
        assert self.job is not None
        return Observed(
            self.work,
            copy.deepcopy(self.job),
            copy.deepcopy(self.runtime),
            [stored.ray_job(copy.deepcopy(one)) for one in self.ray_jobs.values()],
            [stored.pod(copy.deepcopy(one)) for one in self.pods.values()],
            self.now,
            shared_heads=copy.deepcopy(list(self.shared_heads.values())),
        )

    def look(self, obstacle: Trouble | None = None) -> Plan:
        """One reconcile."""
        made = plan(self.observed(), obstacle=obstacle)
        if made.needs_reading:
            made = plan(self.observed(), is_fresh=True)
        self._do(made)
        return made

    def settle(self) -> Plan:
        """Reconciles until there is nothing more to write."""
        for _ in range(20):
            made = self.look()
            if made.create is None and made.status is None and not made.delete:
                return made
        raise AssertionError(f"it never settles: {made}")

    def _do(self, made: Plan) -> None:
        assert self.job is not None
        if made.create is not None:
            name = made.create["metadata"]["name"]
            if name not in self.ray_jobs:
                self._uids += 1
                body = copy.deepcopy(made.create)
                body["metadata"] |= {
                    "uid": f"rayjob-{self._uids}",
                    "creationTimestamp": stamp(self.now),
                }
                body["status"] = {}
                self.ray_jobs[name] = body
            self._wrote(f"create {name}")
        if made.scale is not None:
            self.scaled.append(made.scale)
            self._wrote(f"scale {made.scale.replicas}")
        if made.status is not None:
            told = self.job.setdefault("status", {})
            for key in own_part(told):
                del told[key]
            told.update(copy.deepcopy(made.status))
            self._wrote("status")
        for one in made.delete:
            if one.resource == self.work.resource:
                self.job = None
            elif one.name in self.ray_jobs and self.ray_jobs[one.name]["metadata"]["uid"] == one.uid:
                self.ray_jobs[one.name]["metadata"]["deletionTimestamp"] = stamp(self.now)
            self._wrote(f"delete {one.name}")
        self.notes += made.notes

    def _wrote(self, what: str) -> None:
        self.writes.append(what)
        if self.crash_after is not None and len(self.writes) == self.crash_after:
            raise CrashError

    # ---- everybody else

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def edit(self, **changes: Any) -> None:
        """The user changes the spec."""
        assert self.job is not None
        self.job["spec"] |= changes
        self.job["metadata"]["generation"] += 1

    def running(self, attempt: int = 1, step: int | None = None, first: int = 1) -> None:
        """KubeRay runs the job's pods, and the driver reports a step, if one is given."""
        name = self.name(attempt)
        self.ray_jobs[name]["status"] |= {
            "jobDeploymentStatus": "Running",
            "jobStatus": "RUNNING",
            "rayClusterName": f"{name}-cluster",
            "dashboardURL": f"{name}-head-svc.team.svc.cluster.local:8265",
        }
        if f"{name}-head" not in self.pods:
            self.pod(f"{name}-head", attempt, "head")
            groups = self.ray_jobs[name]["spec"].get("rayClusterSpec", {}).get("workerGroupSpecs", ())
            for number in range(groups[0]["replicas"] if groups else 1):
                self.pod(f"{name}-worker" + (f"-{number}" if number else ""), attempt, "worker")
        if step is not None:
            assert self.job is not None
            self.job.setdefault("status", {})["progress"] = {
                "time": stamp(self.now),
                "attempt": attempt,
                "rayJob": name,
                "firstStep": first,
                "step": step,
                "steps": 100,
            }

    def pod(self, name: str, attempt: int, kind: str, **status: Any) -> Object:
        made = {
            "metadata": {
                "name": name,
                "namespace": "team",
                "uid": f"uid-{name}",
                "creationTimestamp": stamp(self.now),
                "labels": {
                    JOB_LABEL: "tiny",
                    ATTEMPT_LABEL: str(attempt),
                    RAY_JOB_LABEL: self.name(attempt),
                    RAY_NODE_TYPE: kind,
                },
            },
            "spec": {
                "nodeName": "node-1",
                "containers": [{"resources": {"limits": {"memory": "4Gi"}}}],
            },
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]} | status,
        }
        self.pods[name] = made
        return made

    def driver_says(self, attempt: int = 1, **outcome: Any) -> None:
        assert self.job is not None
        told = {"time": stamp(self.now), "rayJob": self.name(attempt), "state": "Succeeded"}
        told |= {"reason": "Completed", "message": "Succeeded at step 100 of 100.", "exitCode": 0}
        self.job.setdefault("status", {})["outcome"] = told | outcome

    def over(self, attempt: int = 1, status: str = "SUCCEEDED", **more: Any) -> None:
        """The RayJob is over, and its pods are gone."""
        name = self.name(attempt)
        state = "Complete" if status == "SUCCEEDED" else "Failed"
        self.ray_jobs[name]["status"] |= {"jobDeploymentStatus": state, "jobStatus": status} | more
        self.pods.clear()

    def gone(self, attempt: int = 1, *, with_pods: bool = True) -> None:
        """A RayJob that was deleted is gone, and its pods, which may take longer."""
        del self.ray_jobs[self.name(attempt)]
        if with_pods:
            self.pods.clear()

    def name(self, attempt: int) -> str:
        return ray_job_name("tiny", attempt, self.work.resource.kind)

    # ---- what is seen

    @property
    def status(self) -> Object:
        assert self.job is not None
        found: Object = self.job.get("status", {})
        return found

    def condition(self, kind: str = "Succeeded") -> tuple[str, str]:
        found = find(self.status["conditions"], kind)
        assert found is not None
        return found["status"], found["reason"]

    @property
    def message(self) -> str:
        found = find(self.status["conditions"], "Succeeded")
        assert found is not None
        return str(found["message"])
