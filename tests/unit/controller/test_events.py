"""Events on a thread of their own: in their order, and never in the way of whoever records them."""

from __future__ import annotations

import logging
import threading

import pytest

from raygen.controller import events as module
from raygen.controller.events import EventQueue, Note
from raygen.kube import TRAINING_JOBS, Resource
from raygen.kube.bodies import Body


class Sink:
    """Keeps what it is given; waits for `go`, and fails at the note `odd`."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.at_work, self.go = threading.Event(), threading.Event()

    def record(self, resource: Resource, item: Body, note: Note) -> None:
        self.at_work.set()
        self.go.wait(20)
        if note.reason == "odd":
            raise ZeroDivisionError
        self.notes.append(f"{resource.kind} {item['metadata']['name']} {note.reason}")


def record(events: EventQueue, *reasons: str) -> None:
    item: Body = {"metadata": {"namespace": "n", "name": "a"}}
    for reason in reasons:
        events.record(TRAINING_JOBS, item, Note(reason, "it says"))


def test_events_are_written_in_their_order_and_nobody_waits_for_them() -> None:
    sink = Sink()
    events = EventQueue(sink)
    events.start()
    record(events, "first", "second", "third")
    assert sink.at_work.wait(10)
    assert sink.notes == [], "who recorded them has gone on"
    sink.go.set()
    assert events.close(20)
    assert sink.notes == [f"TrainingJob a {reason}" for reason in ("first", "second", "third")]


def test_one_that_cannot_be_written_keeps_no_other(caplog: pytest.LogCaptureFixture) -> None:
    sink = Sink()
    sink.go.set()
    events = EventQueue(sink)
    events.start()
    record(events, "odd", "even")
    assert events.close(20)
    assert sink.notes == ["TrainingJob a even"]
    assert "an Event is lost" in caplog.text


def test_closing_waits_no_longer_than_it_may() -> None:
    sink = Sink()
    events = EventQueue(sink)
    events.start()
    record(events, "hangs", "is lost")
    assert sink.at_work.wait(10)
    assert not events.close(0.01)
    sink.go.set()
    events._thread.join(20)
    assert sink.notes == ["TrainingJob a hangs"]


def test_what_never_began_has_nothing_to_wait_for() -> None:
    assert EventQueue(Sink()).close(20)


def test_more_than_there_is_room_for_is_lost_and_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    sink = Sink()
    sink.go.set()
    events = EventQueue(sink)
    with caplog.at_level(logging.WARNING):
        record(events, "first", "second", "third")
    assert caplog.messages == ["an Event about TrainingJob n/a is lost: too many wait"]
    events.start()
    assert events.close(20)
    assert len(sink.notes) == 2
