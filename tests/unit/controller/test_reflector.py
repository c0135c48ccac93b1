"""Watches that end, lie still, repeat and reorder: what a real server cannot be made to do is said by a script."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from raygen.controller import reflector as module
from raygen.controller.reflector import Reflector
from raygen.controller.store import Store
from raygen.kube import RAY_JOBS, ApiError

Object = dict[str, Any]


def item(name: str, version: int, uid: str = "u") -> Object:
    return {"metadata": {"namespace": "n", "name": name, "uid": uid, "resourceVersion": str(version)}}


def event(kind: str, name: str, version: int, uid: str = "u") -> Object:
    return {"type": kind, "object": item(name, version, uid)}


class Script:
    """A server that gives one answer after another; after the last one its watch waits for the end."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.exhausted = threading.Event()
        self.over = threading.Event()

    def list(self, resource: Any, namespace: str = "", **query: str) -> tuple[list[Object], str]:
        self.asked.append("list")
        answer = self._next()
        if isinstance(answer, Exception):
            raise answer
        items, version = answer
        return items, str(version)

    def watch(
        self, resource: Any, namespace: str, version: str, *, seconds: float, silence: float, **query: str
    ) -> Iterator[Object]:
        self.asked.append(f"watch {version}")
        answer = self._next()
        if isinstance(answer, Exception):
            raise answer
        for one in answer:
            if isinstance(one, Exception):
                raise one
            yield one

    def _next(self) -> Any:
        if self.answers:
            return self.answers.pop(0)
        self.exhausted.set()
        self.over.wait(10)
        return []


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(module, "LONGEST_SECONDS", 0.0)


Run = Callable[..., tuple[Store, list[tuple[str, str]], Script]]


@pytest.fixture
def play() -> Iterator[Run]:
    """Plays a script to its end; gives the store, the changes that were told of, and the script."""
    running: list[tuple[Script, Reflector]] = []

    def run(*answers: Any, **options: Any) -> tuple[Store, list[tuple[str, str]], Script]:
        script, store = Script(*answers), Store()
        told: list[tuple[str, str]] = []

        def listen(before: Object | None, after: Object | None) -> None:
            one = after or before or {}
            kind = "gone" if after is None else "new" if before is None else "changed"
            told.append((kind, one["metadata"]["name"]))

        reflector = Reflector(script, RAY_JOBS, store, listen, **options)  # type: ignore[arg-type]
        running.append((script, reflector))
        reflector.start()
        assert script.exhausted.wait(10)
        assert reflector.wait(0)
        return store, told, script

    yield run
    for script, reflector in running:
        reflector.stop()
        script.over.set()


def names(store: Store) -> list[str]:
    return sorted(name for _, name in store.places())


def test_a_list_and_then_a_watch_from_there(play: Run) -> None:
    store, told, script = play(
        ([item("a", 1)], 5), [event("ADDED", "b", 6), event("MODIFIED", "a", 7), event("DELETED", "b", 8)]
    )
    assert names(store) == ["a"]
    assert told == [("new", "a"), ("new", "b"), ("changed", "a"), ("gone", "b")]
    assert script.asked == ["list", "watch 5", "watch 8"]


def test_bookmarks_move_the_place_from_which_the_next_watch_goes_on(play: Run) -> None:
    _, told, script = play(([], 5), [event("BOOKMARK", "", 90)])
    assert told == []
    assert script.asked == ["list", "watch 5", "watch 90"]


@pytest.mark.parametrize("where", ["at once", "in the stream"])
def test_a_place_that_is_too_old_leads_to_a_new_list(play: Run, where: str) -> None:
    gone = ApiError("too old", status=410, reason="Expired")
    watch = gone if where == "at once" else [event("ADDED", "b", 6), gone]
    store, told, script = play(([item("a", 1)], 5), watch, ([item("c", 9)], 9))
    assert names(store) == ["c"]
    assert ("gone", "a") in told
    assert script.asked[-2:] == ["list", "watch 9"]


@pytest.mark.parametrize("status", [0, 429, 500])
def test_a_watch_that_breaks_or_lies_still_is_taken_up_again(play: Run, status: int) -> None:
    # What happened in between came without events, as when the server was another one.
    broken = ApiError("nothing was heard", status=status)
    store, told, _ = play(([item("a", 1)], 5), broken, ([item("a", 1), item("b", 7)], 8))
    assert names(store) == ["a", "b"]
    assert told == [("new", "a"), ("new", "b")]


def test_a_list_that_fails_is_tried_again(play: Run) -> None:
    missing = ApiError("the server could not find the requested resource", status=404)
    store, _, script = play(missing, missing, ([item("a", 1)], 5))
    assert names(store) == ["a"]
    assert script.asked[:3] == ["list", "list", "list"]


def test_events_that_come_twice_late_or_in_another_order_leave_the_newest_state(play: Run) -> None:
    store, told, _ = play(
        ([], 5),
        [
            event("MODIFIED", "a", 9),
            event("ADDED", "a", 6),
            event("MODIFIED", "a", 9),
            event("DELETED", "b", 8),
            event("ADDED", "b", 7),
        ],
    )
    assert names(store) == ["a"]
    assert told == [("new", "a")]


def test_a_pair_of_events_that_was_dropped_is_found_by_the_next_list(play: Run) -> None:
    expired = ApiError("too old", status=410)
    # Deleted and made again under the same name while nobody watched.
    store, told, _ = play(([item("a", 1, "u")], 5), expired, ([item("a", 8, "v")], 9))
    found = store.get(("n", "a"))
    assert found is not None
    assert found["metadata"]["uid"] == "v"
    assert told == [("new", "a"), ("changed", "a")]


def test_a_list_that_lags_behind_is_not_believed(play: Run) -> None:
    expired = ApiError("too old", status=410)
    store, told, script = play(([], 5), [event("ADDED", "a", 9), expired], ([], 8), ([item("a", 9)], 9))
    assert names(store) == ["a"]
    assert told == [("new", "a")]
    assert script.asked == ["list", "watch 5", "list", "list", "watch 9"]


def test_a_server_that_was_brought_back_to_an_earlier_state_is_believed_in_the_end(play: Run) -> None:
    expired = ApiError("too old", status=410)
    lists = [([item("b", 3)], 4)] * (module.OLD_LISTS + 1)
    store, _, _ = play(([], 5), [event("ADDED", "a", 9), expired], *lists)
    assert names(store) == ["b"]


def test_whatever_goes_wrong_is_logged_once_with_its_traceback_and_tried_again(
    play: Run, caplog: pytest.LogCaptureFixture
) -> None:
    faults = [ValueError("no JSON")] * 3
    store, _, script = play(*faults, ([item("a", 1)], 5), [{"type": "ADDED"}], ([item("b", 6)], 7))
    assert names(store) == ["b"]
    assert script.asked == ["list"] * 4 + ["watch 5", "list", "watch 7"]
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [bool(record.exc_info) for record in logged] == [True, False, False, True]
    assert "no JSON; again in" in logged[0].getMessage()


def _fragile(one: Object) -> Object:
    if one.get("odd"):
        raise KeyError("what nobody foresaw")
    return one


def test_an_object_that_cannot_be_read_is_passed_over_and_stays_as_it_was(
    play: Run, caplog: pytest.LogCaptureFixture
) -> None:
    odd = {"odd": True}
    store, told, script = play(
        ([item("a", 1), item("b", 2) | odd, item("c", 3)], 5),
        [
            event("MODIFIED", "a", 6) | {"object": item("a", 6) | odd},
            event("ADDED", "d", 7),
            event("DELETED", "c", 8) | {"object": item("c", 8) | odd},
            ApiError("too old", status=410),
        ],
        ([item("a", 6) | odd, item("d", 7)], 9),
        trim=_fragile,
    )
    # Nobody takes what cannot be read for deleted.
    assert names(store) == ["a", "d"]
    assert told == [("new", "a"), ("new", "c"), ("new", "d"), ("gone", "c")]
    assert script.asked == ["list", "watch 5", "list", "watch 9"]
    assert "n/b is passed over" in caplog.text
    assert "n/a is passed over" in caplog.text
    assert caplog.text.count("Traceback") == 1


def test_a_listener_that_fails_keeps_the_others_changes_from_nobody() -> None:
    script, store = Script(([item("a", 1), item("b", 2)], 5), [event("ADDED", "c", 6)]), Store()
    told: list[str] = []

    def listen(before: Object | None, after: Object | None) -> None:
        name = (after or before or {})["metadata"]["name"]
        if name == "a":
            raise KeyError(name)
        told.append(name)

    reflector = Reflector(script, RAY_JOBS, store, listen)  # type: ignore[arg-type]
    reflector.start()
    assert script.exhausted.wait(10)
    reflector.stop()
    script.over.set()
    assert told == ["b", "c"]


GONE = ApiError("too old", status=410)


@pytest.mark.parametrize(
    "rounds",
    [
        [([], 5), GONE] * 6,
        [([], 5), [GONE]] * 6,
        [([], 5), *[[]] * 6],
        [([], 5), *([event("BOOKMARK", "", number)] for number in range(6, 12))],
        [([], 5), ApiError("harm", status=500)] * 6,
    ],
    ids=["gone at once", "gone in the stream", "ends at once", "ends after a bookmark", "fails at once"],
)
def test_a_watch_that_is_always_for_nothing_is_asked_for_ever_more_seldom(
    play: Run, monkeypatch: pytest.MonkeyPatch, rounds: list[Any]
) -> None:
    monkeypatch.setattr(module, "FIRST_SECONDS", 0.2)
    monkeypatch.setattr(module, "LONGEST_SECONDS", 5.0)
    pauses: list[float] = []
    play(*rounds, clock=lambda: 0.0, pause=pauses.append)
    assert len(pauses) >= 5
    # Each is drawn from half of its length to all of it.
    assert pauses[4] > 2 * pauses[0] > 0


def test_a_watch_that_lasted_is_followed_by_the_next_without_a_pause(play: Run) -> None:
    pauses: list[float] = []
    time = iter(range(1000))
    play(([], 5), [], [], [], clock=lambda: float(next(time)), pause=pauses.append)
    assert pauses == []


def test_a_server_that_asks_for_a_pause_gets_one_but_no_endless_one(play: Run) -> None:
    pauses: list[float] = []
    asks = [ApiError("busy", status=429, retry_after=after) for after in (7.0, 86_400.0)]
    play(*asks, ([], 5), pause=pauses.append)
    assert pauses == [7.0, module.ASKED_SECONDS]


def test_a_reflector_that_fails_again_and_again_is_silent_and_not_still() -> None:
    class Clock:
        now = 0.0

        def __call__(self) -> float:
            return self.now

    clock, done = Clock(), threading.Event()

    def pause(seconds: float) -> None:
        clock.now += 60
        if clock.now >= 600:
            done.set()
            script.over.wait(10)

    script = Script(*[ApiError("no answer")] * 20)
    reflector = Reflector(script, RAY_JOBS, Store(), lambda before, after: None, clock=clock, pause=pause)  # type: ignore[arg-type]
    assert reflector.stillness == math.inf, "it has not begun"
    reflector.start()
    assert done.wait(10)
    assert reflector.silence == 600
    assert reflector.stillness == 60
    reflector.stop()
    script.over.set()
    reflector._thread.join(10)
    assert reflector.stillness == math.inf, "its thread has ended"
