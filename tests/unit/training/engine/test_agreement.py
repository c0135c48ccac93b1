"""What several workers do together, through a store."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from raygen.training import drain
from raygen.training.engine.agreement import Group
from raygen.training.engine.control import POLL_S, Control
from raygen.training.engine.store import CONTROL, LEAVING, Table

SECONDS = 30


def test_a_worker_whose_pod_goes_waits_for_the_checkpoint_of_the_first_one() -> None:
    """Ray ends all workers when one is gone: the first one, too, in the middle of what it writes."""
    driver = Table(SECONDS)
    first, other = (Group(driver, 1, Control(), rank=rank, count=2) for rank in (0, 1))
    happened = []
    with ThreadPoolExecutor(1) as threads:
        gone = threads.submit(lambda: (other.settle(), happened.append("gone")))
        with pytest.raises(TimeoutError):
            gone.result(0.2)
        happened.append("written")
        first.settle()
        gone.result(SECONDS)
    assert happened == ["written", "gone"]


def test_a_pod_that_is_about_to_go_ends_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Table(SECONDS)
    driver.set(CONTROL, json.dumps({"paused": True, "at": None}))
    leaving = threading.Event()
    monkeypatch.setattr(drain, "asked", leaving.is_set)
    groups = [Group(driver, 1, Control(), rank=rank, count=2) for rank in (0, 1)]
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(group.pause, 6) for group in groups]
        with pytest.raises(TimeoutError):
            waiting[0].result(3 * POLL_S)
        leaving.set()
        for one in waiting:
            one.result(SECONDS)
    assert driver.check([LEAVING])
