"""Goodput is the share of an attempt's time, from its claim."""

from __future__ import annotations

from pathlib import Path

import pytest

from raygen.training.observers.events import Progress, Started
from raygen.training.observers.goodput import Goodput, Measured
from tests.unit.training.clock import Clock
from tests.unit.training.runs import Watcher, train


def plan(first_step: int) -> Started:
    return Started("runs/a", 1, 7, "cpu", first_step, 100)


def progress(step: int, trained: float) -> Progress:
    return Progress(step, 100, 2.5, 300.0, "tokens", 9.0, None, trained)


def test_start_up_and_recovery_lower_it() -> None:
    clock, watcher = Clock(), Watcher()
    observer = Measured(Goodput(clock), watcher)
    clock.now += 20.0
    observer.take(plan(1))
    clock.now += 20.0
    observer.take(progress(20, 20.0))
    # Workers are lost, and others begin a minute later; they count their own time from 0.
    clock.now += 60.0
    observer.take(plan(11))
    clock.now += 100.0
    observer.take(progress(110, 60.0))
    assert [one.goodput for one in watcher.progress] == [pytest.approx(0.5), pytest.approx(0.4)]


def test_it_is_a_share_even_where_clocks_differ() -> None:
    clock = Clock()
    goodput = Goodput(clock)
    assert goodput.of(progress(1, 3.0)).goodput == 1.0


def test_a_run_tells_it(base: Path) -> None:
    watcher = Watcher()
    train(base, observer=watcher)
    shares = [one.goodput for one in watcher.progress]
    assert shares
    assert all(share is not None and 0 < share < 1 for share in shares)
