"""What several workers do together, over a real store."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from raygen.training import drain
from raygen.training.engine.agreement import CONTROL, LEAVING, Group, TCPStore, connect
from raygen.training.engine.control import LOOK_S, Control

SECONDS = 30


def test_a_worker_whose_pod_goes_waits_for_the_checkpoint_of_the_first_one() -> None:
    """Ray ends all workers when one is gone: the first one, too, in the middle of what it writes."""
    driver = TCPStore(
        "127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=SECONDS)
    )
    first, other = (
        Group(connect("127.0.0.1", driver.port, timeout_s=SECONDS), 1, Control(), rank=rank, count=2)
        for rank in (0, 1)
    )
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
    driver = TCPStore(
        "127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=SECONDS)
    )
    driver.set(CONTROL, json.dumps({"paused": True, "at": None}))
    leaving = threading.Event()
    monkeypatch.setattr(drain, "asked", leaving.is_set)
    groups = [
        Group(connect("127.0.0.1", driver.port, timeout_s=SECONDS), 1, Control(), rank=rank, count=2)
        for rank in (0, 1)
    ]
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(group.pause, 6) for group in groups]
        with pytest.raises(TimeoutError):
            waiting[0].result(3 * LOOK_S)
        leaving.set()
        for one in waiting:
            one.result(SECONDS)
    assert driver.check([LEAVING])
