"""The order of a controller's writes over several jobs."""

from __future__ import annotations

import copy
import itertools
from typing import Any

from raygen.controller.conditions import find, stamp
from raygen.controller.events import Recorder
from raygen.controller.queue import WorkQueue
from raygen.kube import ApiError, Resource
from raygen.operator import stored
from raygen.operator.attempts import stored_job
from raygen.operator.attempts.controller import Controller
from raygen.operator.attempts.watches import JOBS, RAY_JOBS, RUNTIMES, around
from raygen.operator.kind import Tools, stores_of
from raygen.operator.rayjob.render import job_hash
from raygen.operator.trainingjob import WORK
from raygen.spec.names import ATTEMPT_LABEL, HASH_ANNOTATION, JOB_LABEL
from tests.unit.operator.attempts.world import START, job, runtime

Object = dict[str, Any]


class Server:
    """As much of an API server as a controller writes to.

    Attributes:
        writes: Kind and name of what was written, in order; Events are left out.
    """

    def __init__(self) -> None:
        self.writes: list[tuple[str, str]] = []
        self._versions = itertools.count(100)
        self.refuses = False
        self.objects: dict[tuple[str, str], Object] = {}

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        if (resource.kind, name) not in self.objects:
            raise ApiError("there is none", status=404, reason="NotFound")
        return self.objects[resource.kind, name]

    def create(self, resource: Resource, namespace: str, body: Object, **query: str) -> Object:
        if resource.kind == "Event":
            return body
        if self.refuses:
            raise ApiError("no more of them", status=403, reason="Forbidden")
        self.writes.append((resource.kind, body["metadata"]["name"]))
        return self._answered(body)

    def apply(self, resource: Resource, namespace: str, name: str, body: Object, **how: Any) -> Object:
        self.writes.append((resource.kind, name))
        return self._answered(body | {"spec": job(name)["spec"]})

    def _answered(self, body: Object) -> Object:
        made = copy.deepcopy(body)
        made["metadata"] |= {
            "uid": f"uid-{made['metadata']['name']}",
            "resourceVersion": str(next(self._versions)),
            "creationTimestamp": stamp(START),
            "generation": 1,
        }
        return made


class Bench:
    """A controller with what it knows."""

    def __init__(self, server: Server) -> None:
        self.server, self.stores, self.queue = server, stores_of(around(JOBS)), WorkQueue()
        recorder = Recorder(server, "tests")  # type: ignore[arg-type]
        tools = Tools(server, self.stores, self.queue, recorder)  # type: ignore[arg-type]
        self.controller = Controller(WORK, tools, lambda: START)
        grants = runtime(allowedNamespaces=["*"])
        grants["metadata"] = {"name": "default", "resourceVersion": "1", "uid": "r"}
        self.stores[RUNTIMES].put(grants)

    def add(self, name: str, status: Object | None = None) -> Object:
        """A job that somebody has made."""
        document = job(name, output={"uri": "s3://runs/team/"})
        document["metadata"]["resourceVersion"] = str(len(self.stores[JOBS]) + 2)
        document["status"] = status or {}
        self.server.objects["TrainingJob", name] = document
        item = stored_job.training_job(document)
        self.stores[JOBS].put(item)
        self.controller.listeners()[JOBS](None, item)
        return document

    def ray_job(self, document: Object, **status: Any) -> Object:
        """The RayJob of its first attempt."""
        metadata = document["metadata"]
        owner = {"uid": metadata["uid"], "controller": True}
        made = {
            "metadata": {
                "name": f"{metadata['name']}-r1",
                "namespace": metadata["namespace"],
                "uid": "r1",
                "resourceVersion": "90",
                "creationTimestamp": stamp(START),
                "labels": {JOB_LABEL: metadata["name"], ATTEMPT_LABEL: "1"},
                "annotations": {HASH_ANNOTATION: job_hash(document)},
                "ownerReferences": [owner],
            },
            "status": status,
        }
        self.server.objects["RayJob", made["metadata"]["name"]] = made
        return made

    def work(self) -> None:
        """Until nothing is due."""
        while (key := self.queue.take(0)) is not None:
            self.controller.reconcile(key)
            self.queue.done(key)


def begun() -> Object:
    """The status of a job whose first attempt runs."""
    attempt = {"number": 1, "rayJob": "a-r1", "started": stamp(START)}
    summary = {"type": "Succeeded", "status": "Unknown", "reason": "Starting", "message": "It starts."}
    condition = summary | {"observedGeneration": 1, "lastTransitionTime": stamp(START)}
    return {
        "attempts": [attempt],
        "attemptCount": 1,
        "startTime": stamp(START),
        "observedGeneration": 1,
        "conditions": [condition],
    }


def work(server: Server, names: list[str]) -> None:
    bench = Bench(server)
    for name in names:
        bench.add(name)
    bench.work()


def test_every_job_gets_its_pods_before_anything_is_told() -> None:
    server = Server()
    work(server, ["a", "b", "c"])
    made = [("RayJob", f"{name}-r1") for name in "abc"]
    told = [("TrainingJob", name) for name in "cab"]
    assert server.writes == made + told


def test_a_refusal_is_told_at_once_however_many_wait() -> None:
    server = Server()
    server.refuses = True
    work(server, ["a", "b"])
    assert server.writes == [("TrainingJob", "a"), ("TrainingJob", "b")]


def test_a_refusal_of_the_next_attempt_ends_the_one_before_and_is_told() -> None:
    server = Server()
    server.refuses = True
    bench = Bench(server)
    document = bench.add("a", begun())
    failed = bench.ray_job(document, jobDeploymentStatus="Failed", jobStatus="FAILED")
    bench.stores[RAY_JOBS].put(stored.ray_job(failed))
    bench.work()
    assert server.writes == [("TrainingJob", "a")]
    known = bench.stores[JOBS].get(("team", "a"))
    assert known is not None
    (attempt,) = known["status"]["attempts"]
    assert attempt["cause"] == "DriverLost"
    summary = find(known["status"]["conditions"], "Succeeded")
    assert summary is not None
    assert (summary["reason"], "no more of them" in summary["message"]) == ("CreateRefused", True)


def test_a_ray_job_that_is_only_unknown_is_not_taken_for_deleted() -> None:
    server = Server()
    bench = Bench(server)
    document = bench.add("a", begun())
    bench.ray_job(document, jobDeploymentStatus="Running", jobStatus="RUNNING")
    bench.work()
    assert ("RayJob", "a-r2") not in server.writes
    assert bench.stores[RAY_JOBS].get(("team", "a-r1")) is not None
    known = bench.stores[JOBS].get(("team", "a"))
    assert known is not None
    assert "ended" not in known["status"]["attempts"][0]


def test_a_ray_job_that_is_gone_is_followed_by_another() -> None:
    server = Server()
    bench = Bench(server)
    status = begun()
    status["attempts"][0]["started"] = "2026-01-31T11:00:00Z"
    bench.add("a", status)
    bench.work()
    assert server.writes == [("RayJob", "a-r2"), ("TrainingJob", "a")]
