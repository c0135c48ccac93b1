from __future__ import annotations

import threading
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raygen.controller.queue import FIRST_SECONDS, LONGEST_SECONDS, PATIENCE_SECONDS, Key, Urgency, WorkQueue

A, B = Key("Job", "n", "a"), Key("Job", "n", "b")


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def queue() -> tuple[WorkQueue, Clock]:
    clock = Clock()
    return WorkQueue(clock, jitter=lambda: 1.0), clock


def drain(waiting: WorkQueue) -> list[Key]:
    found = []
    while (key := waiting.take(0)) is not None:
        found.append(key)
        waiting.done(key)
    return found


def test_keys_of_equal_names_and_different_kinds_are_apart() -> None:
    waiting, _ = queue()
    other = A._replace(kind="Sweep")
    for key in (A, other, A):
        waiting.add(key)
    assert waiting.take(0) == A
    assert waiting.take(0) == other, "at the same time as the first"
    assert (A.place, str(other)) == (other.place, "Sweep n/a")


def test_a_key_is_there_once_however_often_it_was_added() -> None:
    waiting, _ = queue()
    for key in (A, B, A, A):
        waiting.add(key)
    assert waiting.depth == 2
    assert drain(waiting) == [A, B]


def test_a_key_that_changes_while_it_is_worked_on_comes_again_and_not_before() -> None:
    waiting, _ = queue()
    waiting.add(A)
    assert waiting.take(0) == A
    waiting.add(A)
    waiting.add(A)
    assert waiting.take(0) is None
    waiting.done(A)
    assert drain(waiting) == [A]


def test_changes_go_before_keys_that_are_looked_at_once_more() -> None:
    waiting, clock = queue()
    waiting.add_after(A, 1)
    clock.now = 2
    waiting.add(B)
    assert drain(waiting) == [B, A]
    waiting.add(A, Urgency.AGAIN)
    waiting.add(B, Urgency.AGAIN)
    waiting.add(B)
    assert drain(waiting) == [B, A]


def test_new_jobs_go_before_changes_and_a_change_makes_a_new_job_no_less_urgent() -> None:
    waiting, _ = queue()
    waiting.add(A)
    waiting.add(B, Urgency.NEW)
    waiting.add(B)
    assert waiting.waits(Urgency.NEW)
    assert drain(waiting) == [B, A]
    assert not waiting.waits(Urgency.NEW)


def test_a_key_that_is_added_while_it_is_worked_on_comes_again_as_the_most_urgent_that_it_was_added_for() -> (
    None
):
    waiting, _ = queue()
    waiting.add(A)
    assert waiting.take(0) == A
    waiting.add(A, Urgency.AGAIN)
    waiting.add(A, Urgency.CHANGED)
    waiting.add(A, Urgency.AGAIN)
    waiting.add(B, Urgency.AGAIN)
    waiting.done(A)
    assert drain(waiting) == [A, B]


@pytest.mark.parametrize("urgency", [Urgency.CHANGED, Urgency.UNTOLD, Urgency.AGAIN])
def test_what_has_waited_for_long_takes_turns_with_the_more_urgent(urgency: Urgency) -> None:
    waiting, clock = queue()
    for number in range(3):
        waiting.add(Key("Job", "n", f"again-{number}"), urgency)
    clock.now = PATIENCE_SECONDS[urgency] - 1
    waiting.add(A, Urgency.NEW)
    waiting.add(B, Urgency.NEW)
    assert [waiting.take(0), waiting.take(0)] == [A, B], "it is not late yet"
    clock.now += 2
    found = []
    for number in range(6):
        # There is always something new.
        waiting.add(Key("Job", "n", f"new-{number}"), Urgency.NEW)
        key = waiting.take(0)
        assert key is not None
        waiting.done(key)
        found.append(key.name.split("-")[0])
    assert found.count("again") == 3
    assert found.count("new") == 3


def test_the_earliest_time_that_was_asked_for_counts() -> None:
    waiting, clock = queue()
    waiting.add_after(A, 10)
    waiting.add_after(A, 3)
    waiting.add_after(A, 20)
    clock.now = 2.9
    assert drain(waiting) == []
    clock.now = 3
    assert drain(waiting) == [A]
    clock.now = 100
    assert drain(waiting) == []


def test_pauses_double_up_to_a_limit_and_begin_anew_after_a_success() -> None:
    waiting, _ = queue()
    pauses = [waiting.retry(A) for _ in range(12)]
    assert pauses[:3] == [FIRST_SECONDS, 2 * FIRST_SECONDS, 4 * FIRST_SECONDS]
    assert pauses[-1] == LONGEST_SECONDS
    assert waiting.retry(A, at_least=400) == 400
    waiting.forget(A)
    assert waiting.retry(A) == FIRST_SECONDS


def test_the_age_is_that_of_the_key_that_waits_longest_or_is_worked_on() -> None:
    waiting, clock = queue()
    assert waiting.age == 0
    waiting.add(A)
    clock.now = 5
    waiting.add(B)
    assert waiting.age == 5
    assert waiting.take(0) == A
    clock.now = 7
    assert waiting.age == 2
    waiting.done(A)
    assert waiting.age == 2
    assert drain(waiting) == [B]
    assert waiting.age == 0


def test_closing_ends_those_who_wait() -> None:
    waiting = WorkQueue()
    found: list[Key | None] = []
    thread = threading.Thread(target=lambda: found.append(waiting.take()))
    thread.start()
    waiting.close()
    thread.join(10)
    assert found == [None]
    assert waiting.take() is None


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(1, 4))
def test_no_key_is_worked_on_twice_at_a_time_and_no_change_is_missed(added: list[int], workers: int) -> None:
    waiting, lock = WorkQueue(), threading.Lock()
    busy: dict[Key, int] = defaultdict(int)
    version, seen = defaultdict(int), defaultdict(int)
    clashes: list[Key] = []

    def work() -> None:
        while (key := waiting.take()) is not None:
            with lock:
                busy[key] += 1
                if busy[key] > 1:
                    clashes.append(key)
                seen[key] = version[key]
            with lock:
                busy[key] -= 1
            waiting.done(key)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for number in added:
        key = Key("Job", "n", str(number))
        with lock:
            version[key] += 1
        waiting.add(key)
    while waiting.depth or waiting.age:
        threading.Event().wait(0.001)
    waiting.close()
    for thread in threads:
        thread.join(10)
    assert clashes == []
    assert dict(seen) == dict(version)


def test_a_long_line_that_moves_is_not_still_and_one_that_does_not_is() -> None:
    waiting, clock = queue()
    for number in range(100):
        waiting.add(Key("Job", "n", str(number)))
    for _ in range(50):
        clock.now += 10
        key = waiting.take(0)
        assert key is not None
        waiting.done(key)
    assert waiting.age == 500
    assert waiting.stillness == 0
    clock.now += 7
    assert waiting.stillness == 7
    # What begins to wait later has not waited as long.
    assert len(drain(waiting)) == 50
    clock.now += 1000
    assert waiting.stillness == 0
    waiting.add(A)
    clock.now += 3
    assert waiting.stillness == 3


def test_a_key_that_is_worked_on_for_too_long_is_still_whatever_the_others_do() -> None:
    waiting, clock = queue()
    waiting.add(A)
    assert waiting.take(0) == A
    for _ in range(5):
        clock.now += 10
        waiting.add(B)
        assert drain(waiting) == [B]
    assert waiting.stillness == 50
    waiting.done(A)
    assert waiting.stillness == 0
