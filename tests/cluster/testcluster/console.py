"""What the tool says: one line for each step, with its time; and errors that name their remedy."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

POLL_SECONDS = 0.1


class ClusterError(Exception):
    """Something that the contributor can mend: what happened, and what to do."""


@contextmanager
def step(what: str) -> Iterator[None]:
    """Prints `what` and, once done, how long it took."""
    began = time.monotonic()
    interactive = sys.stderr.isatty()
    if interactive:
        print(f"{what} ...", end="\r", file=sys.stderr, flush=True)
    try:
        yield
    except BaseException:
        print(f"{what:<58} failed after {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
        raise
    print(f"{what:<58} {time.monotonic() - began:7.1f} s", file=sys.stderr, flush=True)


def wait_until(ready: Callable[[], object], what: str, seconds: float, *, hint: str = "") -> None:
    """Asks `ready` until it answers something true.

    Raises:
        ClusterError: Not within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise ClusterError(f"{what}: not within {seconds:.0f} s" + (f"\n{hint}" if hint else ""))
        time.sleep(POLL_SECONDS)
