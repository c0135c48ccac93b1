"""The order of a controller's writes over several jobs."""

from __future__ import annotations

import copy
import itertools
from typing import Any

from raygen.kube import ApiError, Resource
from raygen.operator import trim
from raygen.operator.conditions import stamp
from raygen.operator.controller import Controller, Stores
from raygen.operator.events import Recorder
from raygen.operator.queue import WorkQueue
from tests.unit.operator.world import START, job, runtime

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


def work(server: Server, names: list[str]) -> None:
    stores, queue = Stores(), WorkQueue()
    controller = Controller(server, stores, queue, Recorder(server, "tests"), lambda: START)  # type: ignore[arg-type]
    listeners = controller.listeners()
    grants = runtime(allowedNamespaces=["*"])
    grants["metadata"] = {"name": "default", "resourceVersion": "1", "uid": "r"}
    stores.runtimes.put(grants)
    for number, name in enumerate(names, start=2):
        document = job(name, output={"uri": "s3://runs/n/"})
        document["metadata"] = {
            "name": name,
            "namespace": "n",
            "uid": f"uid-{name}",
            "generation": 1,
            "resourceVersion": str(number),
            "creationTimestamp": stamp(START),
        }
        item = trim.training_job(document)
        stores.jobs.put(item)
        listeners["jobs"](None, item)
    while (key := queue.take(0)) is not None:
        controller.reconcile(key)
        queue.done(key)


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
