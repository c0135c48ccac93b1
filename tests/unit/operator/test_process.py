"""The operator's threads before a server that hangs, fails and refuses as it is told to; a real one is in tests/cluster."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kubernetes.client import Configuration

from raygen.controller import election as election_module
from raygen.controller import reflector as reflector_module
from raygen.controller.queue import Key
from raygen.kube import ApiError, Connection
from raygen.operator import process as module
from raygen.operator.kinds import KINDS
from raygen.operator.process import Operator, Settings

Object = dict[str, Any]

JOB = Key("TrainingJob", "n", "job")


class Answer:
    """JSON, or a watch that says nothing until it is over."""

    def __init__(self, document: Object, over: threading.Event) -> None:
        self.data, self._over = json.dumps(document).encode(), over

    def stream(self, size: int) -> Iterator[bytes]:
        self._over.wait(20)
        yield b""


class Server(Connection):
    """Has a Lease and no other objects.

    Attributes:
        hangs: For a method and a path, what it waits for before it answers.
        writes: What was written, in order.
    """

    def __init__(self) -> None:
        super().__init__(Configuration(host="http://127.0.0.1:1"))
        self.lease: Object = {}
        self.hangs: Callable[[str, str], threading.Event | None] = lambda method, path: None
        self.over, self.released = threading.Event(), threading.Event()
        self.writes: list[str] = []
        self.renewals = 0

    @contextmanager
    def _answer(self, method: str, path: str, **options: Any) -> Iterator[Any]:
        hang = self.hangs(method, path)
        if hang is not None:
            hang.wait(20)
        if "/leases/" in path or path.endswith("/leases"):
            yield Answer(self._lease(method, options.get("body")), self.over)
            return
        if method != "GET":
            self.writes.append(path)
        yield Answer({"items": [], "metadata": {"resourceVersion": "1"}}, self.over)

    def _lease(self, method: str, body: Object | None) -> Object:
        if body is not None:
            version = str(int(self.lease["metadata"]["resourceVersion"]) + 1) if self.lease else "1"
            names = {"name": "raygen-operator", "namespace": "n", "uid": "u", "resourceVersion": version}
            self.lease = {**body, "metadata": names}
            self.renewals += 1
            if not body["spec"]["holderIdentity"]:
                self.writes.append("release")
                self.released.set()
        if not self.lease:
            raise ApiError("not found", status=404)
        return self.lease


class Running:
    """An operator with a Lease, and what `run` gave."""

    def __init__(self) -> None:
        self.server, self.leases = Server(), Server()
        # One order of all writes.
        self.leases.writes = self.server.writes
        settings = Settings(lease_namespace="n", health_port=0, workers=2)
        self.operator = Operator(self.server, KINDS, settings, lambda: self.leases)
        self.codes: list[int] = []
        self._thread = threading.Thread(target=lambda: self.codes.append(self.operator.run()))

    def start(self) -> None:
        self._thread.start()

    def ended(self) -> int:
        self._thread.join(20)
        assert not self._thread.is_alive()
        return self.codes[0]

    def close(self) -> None:
        self.server.over.set()
        self.operator.stop()
        if self._thread.ident is not None:
            self._thread.join(20)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(election_module, "RETRY_SECONDS", 0.01)


@pytest.fixture
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(election_module, "RENEW_SECONDS", 1.0)


@pytest.fixture
def running() -> Iterator[Running]:
    made = Running()
    yield made
    made.close()


def use(operator: Operator, reconcile: Callable[[Key], None]) -> None:
    """Has jobs looked after by a function."""
    operator.reconcilers[JOB.kind].reconcile = reconcile  # type: ignore[method-assign]


class Worker:
    """Writes `first`, waits for `go`, writes `second`, whatever the job."""

    def __init__(self, running: Running) -> None:
        self._server = running.server
        self.at_work, self.go, self.has_ended = threading.Event(), threading.Event(), threading.Event()
        use(running.operator, self._reconcile)
        running.operator.queue.add(JOB)

    def _reconcile(self, key: Key) -> None:
        try:
            self._server.request("POST", "/first", body={})
            self.at_work.set()
            self.go.wait(20)
            self._server.request("POST", "/second", body={})
        finally:
            self.has_ended.set()


def wait_for(condition: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(2000):
        if condition():
            return
        waiting.wait(0.005)
    raise AssertionError("it never came")


def test_the_lease_is_given_back_after_the_last_write(running: Running) -> None:
    worker = Worker(running)
    running.start()
    assert worker.at_work.wait(10)
    running.operator.stop()
    assert not running.leases.released.wait(0.2)
    renewals = running.leases.renewals
    wait_for(lambda: running.leases.renewals > renewals)
    worker.go.set()
    assert running.ended() == 0
    assert running.server.writes == ["/first", "/second", "release"]


def test_a_lease_is_not_given_back_while_a_write_hangs(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEAVE_SECONDS", 0.1)
    worker = Worker(running)
    running.start()
    assert worker.at_work.wait(10)
    running.operator.stop()
    assert running.ended() == 0
    assert running.server.writes == ["/first"]
    worker.go.set()


@pytest.mark.usefixtures("_brief")
def test_whoever_has_lost_the_lease_begins_no_further_write(running: Running) -> None:
    worker = Worker(running)
    running.start()
    assert worker.at_work.wait(10)
    hang = threading.Event()
    running.leases.hangs = lambda method, path: hang
    assert running.ended() == 1
    worker.go.set()
    assert worker.has_ended.wait(10)
    assert running.server.writes == ["/first"]
    hang.set()


def test_the_lease_is_renewed_while_watches_have_yet_to_begin(running: Running) -> None:
    begun, listed = threading.Event(), threading.Event()
    use(running.operator, lambda key: begun.set())
    running.operator.queue.add(JOB)
    running.server.hangs = lambda method, path: listed if path.endswith("/rayjobs") else None
    running.start()
    wait_for(lambda: running.leases.renewals > 5)
    assert not begun.is_set()
    listed.set()
    assert begun.wait(10)


@pytest.mark.usefixtures("_brief")
def test_no_worker_starts_when_the_lease_is_lost_before_watches_have_begun(running: Running) -> None:
    worker = Worker(running)
    listed, hang = threading.Event(), threading.Event()
    running.server.hangs = lambda method, path: listed if path.endswith("/rayjobs") else None
    running.start()
    wait_for(lambda: running.leases.renewals > 0)
    running.leases.hangs = lambda method, path: hang
    assert running.ended() == 1
    listed.set()
    assert not worker.has_ended.is_set()
    assert running.server.writes == []
    hang.set()


def test_watches_that_only_fail_are_alive_and_one_that_hangs_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reflector_module, "LONGEST_SECONDS", 0.02)
    monkeypatch.setattr(module, "STUCK_SECONDS", 0.3)
    server = Server()
    operator = Operator(server, KINDS, Settings(health_port=0, silent_seconds=0.1))
    hang = threading.Event()
    pods_hang = False

    def hangs(method: str, path: str) -> threading.Event | None:
        if pods_hang and path.endswith("/pods"):
            return hang
        raise ApiError("no answer")

    server.hangs = hangs
    for one in operator.reflectors:
        one.start()
    try:
        # On a busy machine a thread may get no turn for longer than the limit; one that is alive moves in the end.
        wait_for(lambda: min(one.silence for one in operator.reflectors) > 0.6 and not operator._deaf())
        pods_hang = True
        wait_for(lambda: operator._deaf() == "the watch of pods has ended or hangs")
    finally:
        for one in operator.reflectors:
            one.stop()
        hang.set()
        # It was never started, so it cannot be stopped.
        operator.health._server.server_close()


def test_a_queue_is_stuck_when_nothing_moves_and_not_when_it_is_long(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STUCK_SECONDS", 0.3)
    operator, hang = running.operator, threading.Event()
    done: list[Key] = []

    def reconcile(key: Key) -> None:
        # Few keys in a second, so that the last ones wait for long.
        threading.Event().wait(0.02)
        if key.name == "hangs":
            hang.wait(20)
        done.append(key)

    use(operator, reconcile)
    for number in range(60):
        operator.queue.add(JOB._replace(name=str(number)))
    wait_for(lambda: operator.queue.age > 0.4)
    assert operator._stuck() == "", "it does not lead"
    running.start()
    # Longer than the limit, two at a time.
    wait_for(lambda: len(done) >= 45)
    assert operator.queue.age > 0.3
    assert operator._stuck() == ""
    wait_for(lambda: len(done) == 60)
    operator.queue.add(JOB._replace(name="hangs"))
    wait_for(lambda: operator._stuck() != "")
    hang.set()
    wait_for(lambda: operator._stuck() == "")
