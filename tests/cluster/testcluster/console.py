"""What the tool says: when each step begins, that it goes on, and its time; and errors that name their remedy."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

POLL_SECONDS = 0.1
HEARTBEAT_SECONDS = 30.0


class ClusterError(Exception):
    """Something that the contributor can fix: what happened, and what to do."""


@contextmanager
def step(what: str, detail: str = "") -> Iterator[None]:
    """Prints `what` when it begins, each half minute while it lasts, and how long it took once it is done.

    Args:
        what: A few words, by which every line of the step begins.
        detail: What it takes or waits for.
    """
    began = time.monotonic()
    _print(f"{what} ..." + (f" ({detail})" if detail else ""), passing=True)
    done = threading.Event()
    beat = threading.Thread(target=_beat, args=(what, began, done), name="step", daemon=True)
    beat.start()
    try:
        yield
    except BaseException:
        _stop(beat, done)
        _print(f"{what:<58} failed after {time.monotonic() - began:.1f} s")
        raise
    _stop(beat, done)
    _print(f"{what:<58} {time.monotonic() - began:7.1f} s")


def _beat(what: str, began: float, done: threading.Event) -> None:
    while not done.wait(HEARTBEAT_SECONDS):
        _print(f"{what} ... {time.monotonic() - began:.0f} s so far", passing=True)


def _stop(beat: threading.Thread, done: threading.Event) -> None:
    done.set()
    beat.join()


def _print(line: str, *, passing: bool = False) -> None:
    """Prints a line; on a terminal one that is `passing` makes room for the next."""
    terminal = sys.stderr.isatty()
    # The cursor stands at the beginning of what is to be erased.
    erase, end = ("\x1b[K", "\r") if terminal else ("", "\n")
    print(f"{erase}{line}", end=end if passing else "\n", file=sys.stderr, flush=True)


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
