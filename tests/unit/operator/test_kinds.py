"""A second kind beside TrainingJobs: one more line in the registry, and the operator looks after both."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from kubernetes.client import Configuration

from raygen.controller.conditions import stamp
from raygen.controller.queue import Key
from raygen.controller.reflector import Listener
from raygen.controller.store import place_of
from raygen.kube import RAY_JOBS, RUNTIMES, TRAINING_JOBS, ApiError, Connection, Resource
from raygen.kube.bodies import Body, Fields
from raygen.operator.kind import Kind, Tools, Watch
from raygen.operator.kinds import KINDS
from raygen.operator.process import Operator, Settings
from raygen.operator.trainingjob import watches
from tests.unit.operator.trainingjob.world import START, job, runtime

SWEEPS = Resource("raygen.io", "v1alpha1", "sweeps", "Sweep")


def kept(item: Fields) -> Body:
    return {"metadata": item["metadata"], "status": item.get("status") or {}}


class Sweeps:
    """Looks after Sweeps: says in the status of each that it was seen, and knows the RayJobs of TrainingJobs too."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self.looks: list[Key] = []
        self.ray_jobs: list[str] = []

    def listeners(self) -> Mapping[Watch, Listener]:
        return {OWN: self._on_sweep, watches.RAY_JOBS: self._on_ray_job}

    def _on_sweep(self, before: Body | None, after: Body | None) -> None:
        if after is not None:
            self._tools.queue.add(Key(SWEEPS.kind, *place_of(after)))

    def _on_ray_job(self, before: Body | None, after: Body | None) -> None:
        if after is not None:
            self.ray_jobs.append(after["metadata"]["name"])

    def reconcile(self, key: Key) -> None:
        self.looks.append(key)
        item = self._tools.stores[OWN].get(key.place)
        assert item is not None
        if item["metadata"]["name"] == "odd":
            raise ZeroDivisionError("nobody foresaw this")
        body = {"metadata": item["metadata"], "status": {"trials": 3}}
        self._tools.connection.apply(SWEEPS, *key.place, body, manager="tests", subresource="status")


OWN = Watch(SWEEPS, kept)
SWEEP = Kind(own=OWN, watches=(OWN, watches.RAY_JOBS), reconciler=Sweeps, own_status=dict)


class Server(Connection):
    """Lists two kinds with an object of the same name each, and keeps what is written.

    Attributes:
        requests: Paths of all requests that read.
        writes: Kind and name of what was written, with its body.
    """

    def __init__(self) -> None:
        super().__init__(Configuration(host="http://127.0.0.1:1"))
        self.over = threading.Event()
        self.requests: list[str] = []
        self.writes: list[tuple[str, str, Fields]] = []
        self._numbers = iter(range(100, 10_000))
        self.ray_job: Fields = {}

    def list(self, resource: Resource, namespace: str = "", **query: str) -> tuple[list[Fields], str]:
        self.requests.append(resource.path(namespace))
        names = {SWEEPS.kind: ("same", "odd"), TRAINING_JOBS.kind: ("same",)}.get(resource.kind, ())
        items = [self._made(job(name, output={"uri": "s3://runs/team/"})) for name in names]
        if resource.kind == RUNTIMES.kind:
            items = [self._made(runtime())]
        return items, "99"

    def watch(self, resource: Resource, *_: Any, **options: Any) -> Iterator[Fields]:
        if resource.kind == RAY_JOBS.kind:
            wait_for(lambda: bool(self.ray_job))
            yield {"type": "ADDED", "object": self._made(self.ray_job)}
        self.over.wait(20)

    def create(self, resource: Resource, namespace: str, body: Fields, **query: str) -> Fields:
        self.writes.append((resource.kind, body["metadata"]["name"], body))
        if resource.kind == RAY_JOBS.kind:
            self.ray_job = body
        return self._made(body)

    def apply(self, resource: Resource, namespace: str, name: str, body: Fields, **how: Any) -> Fields:
        self.writes.append((resource.kind, name, body))
        return self._made(body | {"spec": job(name)["spec"]})

    def request(self, method: str, path: str, **options: Any) -> Fields:
        raise ApiError(f"nobody asked for {path} before", status=404)

    def _made(self, item: Fields) -> Fields:
        name = item["metadata"]["name"]
        added = {
            "resourceVersion": str(next(self._numbers)),
            "uid": f"uid-{name}",
            "creationTimestamp": stamp(START),
        }
        return item | {"metadata": item["metadata"] | added}

    def of(self, kind: str, name: str) -> list[Fields]:
        """Bodies that were written."""
        return [body for one, other, body in self.writes if (one, other) == (kind, name)]


def wait_for(condition: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(2000):
        if condition():
            return
        waiting.wait(0.005)
    raise AssertionError("it never came")


@contextmanager
def working(server: Server) -> Iterator[Operator]:
    operator = Operator(server, (*KINDS, SWEEP), Settings(health_port=0, workers=2))
    thread = threading.Thread(target=operator.run)
    thread.start()
    try:
        yield operator
    finally:
        server.over.set()
        operator.stop()
        thread.join(20)


@pytest.fixture
def server() -> Server:
    return Server()


def test_a_second_kind_is_looked_after_beside_one_of_the_same_name(server: Server) -> None:
    with working(server) as operator:
        sweeps = operator.reconcilers[SWEEPS.kind]
        assert isinstance(sweeps, Sweeps)
        wait_for(lambda: bool(server.of("Sweep", "same") and server.of("TrainingJob", "same")))
        wait_for(lambda: sweeps.ray_jobs == ["same-r1"])
    assert server.of("Sweep", "same")[0]["status"] == {"trials": 3}
    assert server.of("TrainingJob", "same")[0]["status"]["attemptCount"] == 1
    assert [body["metadata"]["name"] for body in server.of("RayJob", "same-r1")] == ["same-r1"]
    assert Key("Sweep", "team", "same") in sweeps.looks
    assert {key.kind for key in sweeps.looks} == {"Sweep"}


def test_kinds_share_the_watch_of_what_both_watch(server: Server) -> None:
    with working(server) as operator:
        wait_for(lambda: operator.leads)
        names = [one.resource.plural for one in operator.reflectors]
    assert sorted(names) == ["pods", "raygenruntimes", "rayjobs", "sweeps", "trainingjobs"]
    assert len(server.requests) == len(set(server.requests)) == 5


def test_an_internal_error_is_told_on_the_object_of_its_kind(server: Server) -> None:
    with working(server) as operator:
        wait_for(lambda: any(kind == "Event" and "odd" in name for kind, name, _ in server.writes))
        wait_for(lambda: bool(server.of("TrainingJob", "same")))
        text = operator.metrics.text().decode()
    (condition,) = server.of("Sweep", "odd")[0]["status"]["conditions"]
    assert (condition["status"], condition["reason"]) == ("Unknown", "OperatorFault")
    assert "ZeroDivisionError: nobody foresaw this" in condition["message"]
    events = [body for kind, name, body in server.writes if kind == "Event" and "odd" in name]
    assert events[0]["regarding"]["kind"] == "Sweep"
    assert 'raygen_reconcile_errors_total{kind="sweeps",reason="fault"} 0.0' not in text
    assert 'raygen_reconcile_errors_total{kind="trainingjobs",reason="fault"} 0.0' in text
    assert 'raygen_reconcile_seconds_count{kind="sweeps"}' in text
