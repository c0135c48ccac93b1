"""How many losses of workers end an attempt, and how the driver hears of them."""

from __future__ import annotations

import pytest
from ray.exceptions import ActorDiedError, RayError

from raygen.machine import Memory
from raygen.training.engine.store import LEAVING, Table
from raygen.training.observers.events import Started, WorkersLost
from raygen.training.ray.launch import reason_of
from raygen.training.ray.losses import (
    LostWorkersReader,
    RestartLimit,
    cause_of,
    report_lost_workers,
    someone_trains,
    tell_kills,
)
from raygen.training.ray.mailbox import STARTS, TRAINS, Inbox
from tests.unit.training.runs import Watcher

LOST, DRAINED = WorkersLost("the processes of these workers ended: 1", False), WorkersLost("a pod went", True)
MONITOR = (
    "A worker health check failed.\n2 worker(s) were killed due to the node running low on memory. Memory on the node (IP:"
    " 192.0.2.2, ID: 2b13) was 0.96GB used / 1.00GB limit (0.960614)\nTo adjust the kill threshold, set ..."
)
PEER = "[gloo/transport/tcp/pair.cc:547] Connection closed by peer"


def plan(first_step: int) -> Started:
    return Started("runs/a", 1, 7, "cpu, 2 workers", first_step, 100)


def test_drains_never_end_an_attempt() -> None:
    limit = RestartLimit(8)
    for _ in range(100):
        limit.take(plan(1))
        limit.take(DRAINED)
    assert limit.exceeded is None


def test_an_attempt_that_cannot_get_on_ends_after_its_limit() -> None:
    limit = RestartLimit(8)
    limit.take(plan(51))
    for _ in range(8):
        limit.take(LOST)
        limit.take(DRAINED)
        limit.take(plan(51))
    assert limit.exceeded is None
    limit.take(LOST)
    assert limit.exceeded == LOST


def test_workers_that_never_begin_count_too() -> None:
    limit = RestartLimit(0)
    limit.take(LOST)
    assert limit.exceeded == LOST


def test_only_losses_after_which_workers_begin_again_are_told() -> None:
    class Losses(Watcher):
        losses = 0

        def workers_lost(self, lost: WorkersLost) -> None:
            self.losses += 1

    watcher = Losses()
    limit = RestartLimit(1, watcher)
    limit.take(plan(1))
    limit.take(LOST)
    limit.take(LOST)
    assert (watcher.plans, watcher.losses) == ([plan(1)], 1)


def test_a_newer_checkpoint_makes_up_for_losses() -> None:
    limit = RestartLimit(2)
    for number in range(100):
        limit.take(plan(1 + 50 * (number // 2)))
        limit.take(LOST)
    assert limit.exceeded is None
    # An older one, of a step that was reached before, does not.
    for _ in range(2):
        limit.take(plan(1))
        limit.take(LOST)
    assert limit.exceeded == LOST


def test_the_driver_hears_of_each_loss_once_and_whether_a_pod_was_drained() -> None:
    driver = Table(10)
    heard: list[WorkersLost] = []
    reader = LostWorkersReader(driver, heard.append)
    reader.deliver()
    report_lost_workers(driver, {0: RuntimeError(PEER), 1: ActorDiedError()})
    reader.deliver()
    driver.set(LEAVING, "")
    report_lost_workers(driver, {0: RuntimeError("about to go")})
    report_lost_workers(driver, {1: ValueError("boom")})
    reader.deliver()
    reader.deliver()
    assert heard == [
        LOST,
        WorkersLost("worker 0 raised RuntimeError: about to go", True),
        WorkersLost("worker 1 raised ValueError: boom", False),
    ]


def test_workers_train_from_when_they_say_so_until_a_loss() -> None:
    driver = Table(10)
    report_lost_workers(driver, {0: RuntimeError("before any has begun")})
    seen = [someone_trains(driver)]
    for start in (1, 2):
        driver.add(STARTS, 1)
        seen.append(someone_trains(driver))
        driver.set(TRAINS, str(start))
        seen.append(someone_trains(driver))
        report_lost_workers(driver, {0: ActorDiedError()})
        seen.append(someone_trains(driver))
    assert seen == [False, False, True, False, False, True, False]


def test_processes_that_the_kernel_ended_for_lack_of_memory_are_told_when_their_container_is_used_again() -> (
    None
):
    driver = Table(10)
    heard: list[WorkersLost] = []
    watcher = Watcher()
    reader, inbox = LostWorkersReader(driver, heard.append), Inbox(driver, watcher, lambda _: None)
    limit = Memory(free=1, limit=2**30)

    def begin(**kills: int) -> None:
        start = driver.add(STARTS, 1)
        for host, count in kills.items():
            tell_kills(driver, start, host, count, limit)
        report_lost_workers(driver, {0: ActorDiedError()})

    # The container has had another job before.
    begin(a=3, b=0)
    begin(a=3, b=1)
    begin(a=3, b=1)
    # It has begun anew, and counts from 0.
    begin(a=0)
    reader.deliver()
    inbox.deliver()
    said = "memory ran low in b, whose limit is 1 GiB, and the kernel ended a process there"
    ended = "the processes of these workers ended: 0"
    assert [one.cause for one in heard] == [ended, f"{ended}; {said}", ended, ended]
    assert watcher.notices == [said]


@pytest.mark.parametrize(
    ("errors", "cause"),
    [
        ({0: RuntimeError(PEER), 1: ActorDiedError()}, "the processes of these workers ended: 1"),
        ({1: ActorDiedError(), 2: ValueError("boom")}, "worker 2 raised ValueError: boom"),
        ({0: RuntimeError(PEER)}, PEER),
        ({}, "Ray gives no reason"),
        (
            {0: ActorDiedError(), 1: RayError(MONITOR)},
            "memory ran low (0.96GB of 1.00GB used), and Ray ended processes of workers",
        ),
    ],
)
def test_the_cause_is_an_error_before_a_lost_process_before_its_echoes(
    errors: dict[int, BaseException], cause: str
) -> None:
    assert cause_of(errors) == cause


def test_what_is_not_of_workers_is_told_by_its_last_line() -> None:
    assert reason_of([RuntimeError("Training failed:\nno resources\n")]) == "no resources"
