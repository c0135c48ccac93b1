"""The Lease on a virtual clock: what counts as held, and when it is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from raygen.controller.election import LEASE_SECONDS, RENEW_SECONDS, RETRY_SECONDS, Election
from raygen.kube import ApiError

Object = dict[str, Any]


class Time:
    """Goes on when all of `threads` threads wait for it, to what the first of them waits for."""

    def __init__(self) -> None:
        self.now, self.threads = 0.0, 1
        self._changed, self._due = threading.Condition(), list[float]()
        self._over = False

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> bool:
        with self._changed:
            due = self.now + seconds
            self._due.append(due)
            if len(self._due) >= self.threads and not self._over:
                self.now = max(self.now, min(self._due))
                self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._over or self.now >= due, 10)
            self._due.remove(due)
            return self._over

    def end(self) -> None:
        with self._changed:
            self._over = True
            self._changed.notify_all()


class Server:
    """Has one Lease. Each request takes as long as `takes` says, or raises what is there; 0 s when it is empty."""

    def __init__(self, time: Time) -> None:
        self.time, self.takes = time, list[float | Exception]()
        self.lease: Object | None = None
        self.pending = self.puts = 0
        self.before_put: Callable[[], None] = lambda: None

    def get(self, resource: Any, namespace: str, name: str) -> Object:
        self._answer()
        if self.lease is None:
            raise ApiError("not found", status=404)
        return self.lease

    def create(self, resource: Any, namespace: str, body: Object) -> Object:
        self._answer()
        return self._keep(body["spec"])

    def request(self, method: str, path: str, *, body: Object) -> Object:
        self._answer()
        self.puts += 1
        self.before_put()
        assert self.lease is not None
        if body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise ApiError("it has changed", status=409, reason="Conflict")
        return self._keep(body["spec"])

    def take(self, holder: str) -> None:
        """Somebody else has it."""
        self._keep({"holderIdentity": holder, "leaseDurationSeconds": 15})

    def _keep(self, spec: Object) -> Object:
        version = str(int(self.lease["metadata"]["resourceVersion"]) + 1) if self.lease else "1"
        metadata = {"name": "l", "namespace": "n", "uid": "u", "resourceVersion": version}
        self.lease = {"metadata": metadata, "spec": spec}
        return self.lease

    def _answer(self) -> None:
        takes = self.takes.pop(0) if self.takes else 0.0
        if isinstance(takes, Exception):
            raise takes
        self.pending += 1
        try:
            if takes and self.time.pause(takes):
                raise ApiError("the test is over")
        finally:
            self.pending -= 1


class Life:
    """An election that is being held in threads of its own."""

    def __init__(self) -> None:
        self.time = Time()
        self.server = Server(self.time)
        self.election = Election(self.server, "n", "l", "me", self.time, self.time.pause)  # type: ignore[arg-type]
        self.lost: list[tuple[float, int]] = []
        """When it was lost, and how many requests were under way."""

    def hold(self) -> None:
        """Returns when it is lost or stopped."""
        self.time.threads = 2

        def lose() -> None:
            assert not self.election.holds
            self.lost.append((self.time.now, self.server.pending))
            self.time.end()

        thread = threading.Thread(target=self.election.hold, args=(lose,))
        thread.start()
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def life() -> Life:
    made = Life()
    assert made.election.wait()
    return made


def test_the_lease_is_lost_at_its_time_while_a_request_hangs(life: Life) -> None:
    life.server.takes = [45.0]
    life.hold()
    assert life.lost == [(RENEW_SECONDS, 1)]


def test_time_counts_from_before_the_request_that_renewed(life: Life) -> None:
    get, put = 0.0, 4.0
    life.server.takes = [get, put, 45.0]
    life.hold()
    # Asked for after the first pause, and so that the Lease is others' no sooner than that and its 15 s.
    assert life.lost == [(RETRY_SECONDS + RENEW_SECONDS, 1)]
    assert RETRY_SECONDS + RENEW_SECONDS < RETRY_SECONDS + LEASE_SECONDS


def test_renewals_that_take_too_long_are_lost_though_they_are_answered(life: Life) -> None:
    life.server.takes = [4.5, 4.5]
    life.hold()
    assert life.lost == [(RENEW_SECONDS, 1)]
    assert not life.election.holds


def test_whoever_stood_still_asks_no_more(life: Life) -> None:
    life.time.now += RENEW_SECONDS
    assert not life.election.holds
    life.hold()
    assert life.lost == [(RENEW_SECONDS, 0)]
    assert life.server.puts == 0


def test_errors_of_any_kind_are_put_up_with_as_long_as_there_is_time(life: Life) -> None:
    life.server.takes = [ApiError("no answer"), ValueError("no JSON"), TypeError("no Lease")]

    def before_put() -> None:
        if life.server.puts == 300:
            life.election.stop()
            life.time.end()

    life.server.before_put = before_put
    life.hold()
    assert life.lost == []
    assert life.time.now > 300 * RETRY_SECONDS


def test_a_lease_that_another_took_is_lost_at_once(life: Life) -> None:
    life.server.take("another")
    life.hold()
    assert life.lost == [(RETRY_SECONDS, 0)]


def test_what_was_won_by_an_answer_that_came_too_late_is_asked_for_again() -> None:
    life = Life()
    life.server.takes = [0.0, RENEW_SECONDS]
    assert life.election.wait()
    assert life.election.holds
    assert (life.time.now, life.server.puts) == (RENEW_SECONDS + RETRY_SECONDS, 1)


def test_another_s_lease_is_waited_for_until_it_has_not_changed_for_its_time() -> None:
    life = Life()
    life.server.take("another")
    assert life.election.wait()
    assert LEASE_SECONDS < life.time.now <= LEASE_SECONDS + RETRY_SECONDS
