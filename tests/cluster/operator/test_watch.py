"""A whole operator before a real API server whose watches lose, repeat and reorder events, break, lie still, and start anew."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from raygen.controller.conditions import find
from raygen.kube import ApiError, Connection, Resource
from raygen.operator.kinds import KINDS
from raygen.operator.process import Operator, Settings
from tests.cluster.api import until
from tests.cluster.operator.stub import Surroundings
from tests.cluster.operator.test_controller import life

Object = dict[str, Any]

HARMS = ("none", "none", "none", "repeat", "swap", "break", "gone", "silence")


class Mangled(Connection):
    """A connection whose watches cannot be trusted.

    Attributes:
        harms: How often each harm was done.
        made: How often each RayJob was made.
    """

    def __init__(self, healthy: Connection, seed: int) -> None:
        super().__init__(healthy.configuration, healthy.namespace)
        self.harms: Counter[str] = Counter()
        self.made: Counter[str] = Counter()
        self._draw = random.Random(seed)
        # By choices: those that are left of each round, so that every few events have had them all.
        self._left: dict[tuple[str, ...], list[str]] = {}
        self._lock = threading.Lock()
        self._answers: dict[str, tuple[list[Object], str]] = {}

    def create(self, resource: Resource, namespace: str, body: Object, **query: str) -> Object:
        """Counts RayJobs."""
        answer = super().create(resource, namespace, body, **query)
        if resource.kind == "RayJob":
            self.made[body["metadata"]["name"]] += 1
        return answer

    def list(self, resource: Resource, namespace: str = "", **query: str) -> tuple[list[Object], str]:
        """Sometimes the answer of the time before."""
        answer = super().list(resource, namespace, **query)
        with self._lock:
            before = self._answers.get(resource.plural, answer)
            self._answers[resource.plural] = answer
        return before if self._harm(("none", "stale")) == "stale" else answer

    def watch(
        self,
        resource: Resource,
        namespace: str,
        version: str,
        *,
        seconds: float,
        silence: float,
        **query: str,
    ) -> Iterator[Object]:
        """Events as they come, and every few of them a harm. An event that is lost breaks the watch, as it does in reality."""
        held: Object | None = None
        for event in super().watch(resource, namespace, version, seconds=seconds, silence=silence, **query):
            if event["type"] == "BOOKMARK":
                continue
            harm = self._harm(HARMS)
            if held is None and harm == "swap":
                held = event
                continue
            if harm == "break":
                raise ApiError("the connection was reset", status=0)
            if harm == "gone":
                raise ApiError("too old resource version", status=410, reason="Expired")
            if harm == "silence":
                time.sleep(0.2)
                raise ApiError("nothing was heard", status=0)
            yield event
            if harm == "repeat":
                yield event
            if held is not None:
                yield held
                held = None
        if held is not None:
            yield held

    def _harm(self, choices: tuple[str, ...]) -> str:
        with self._lock:
            left = self._left.setdefault(choices, [])
            if not left:
                left += self._draw.sample(choices, len(choices))
            harm = left.pop()
            self.harms[harm] += 1
        return harm


def settled(world: Surroundings) -> list[Callable[[], bool]]:
    """For each step of a life, whether the operator has done what follows from it."""

    def reason() -> str:
        found = find((world.job().get("status") or {}).get("conditions") or [], "Succeeded")
        return found["reason"] if found is not None else ""

    def there(attempt: int) -> bool:
        return world.ray_job(attempt) in [one["metadata"]["name"] for one in world.ray_jobs()]

    def head(attempt: int) -> bool:
        driver = world.job()["status"].get("driver") or {}
        return driver.get("podName") == f"{world.ray_job(attempt)}-head"

    def training() -> bool:
        return reason() == "Training"

    return [
        lambda: there(1),
        lambda: head(1),
        training,
        lambda: True,
        lambda: there(2),
        lambda: head(2),
        training,
        lambda: not there(2),
        lambda: reason() == "Suspended",
        lambda: there(3),
        lambda: head(3),
        training,
        lambda: True,
        lambda: reason() == "Completed",
    ]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_its_watches_do_a_life_ends_as_it_should(admin: Connection, team: str, seed: int) -> None:
    connection = Mangled(admin, seed)
    world = Surroundings(admin, team)
    world.runtime()
    settings = Settings(namespaces=(team,), health_port=0, watch_seconds=1.0, silent_seconds=2.0)
    operator = Operator(connection, KINDS, settings)
    thread = threading.Thread(target=operator.run, daemon=True)
    thread.start()
    try:
        for number, (step, done) in enumerate(zip(life(world), settled(world), strict=True)):
            step()
            until(f"what follows from step {number}", 60, done)
    finally:
        operator.stop()
        thread.join(30)
    assert not thread.is_alive()
    status = world.job()["status"]
    ended = [(one["number"], one["cause"]) for one in status["attempts"]]
    assert ended == [(1, "RunError"), (2, "Suspended"), (3, "Completed")]
    assert status["attempts"][0]["lostSteps"] == 5
    assert connection.made == {f"tiny-r{number}": 1 for number in (1, 2, 3)}
    assert min(connection.harms[harm] for harm in set(HARMS) | {"stale"}) > 0
