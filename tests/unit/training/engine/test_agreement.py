"""What several workers do together, over a real store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from raygen.training.engine.agreement import Group, TCPStore, connect
from raygen.training.engine.control import Control

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
