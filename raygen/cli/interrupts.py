"""Ctrl-C: whenever it comes, a verb ends without a traceback."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

RESUMABLE = {"train": 3, "sweep run": 3}
"""Exit codes of verbs that the same command continues."""
INTERRUPTED = 128 + signal.SIGINT
"""Of all others; shells give the same code to a process that SIGINT ended."""


def exit_code(verb: str) -> int:
    """The exit code of a verb that was interrupted before its end."""
    return RESUMABLE.get(verb, INTERRUPTED)


@contextmanager
def end_at_once(verb: str) -> Iterator[None]:
    """Within it, SIGINT ends the process where it stands; of a verb that can be resumed, SIGTERM too.

    It is for verbs that leave nothing half done, and for the time before the others have begun. An exception would be
    raised in the middle of some library's import, which may drop it or turn it into another one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        _end(exit_code(verb))

    numbers = (signal.SIGINT, signal.SIGTERM) if verb in RESUMABLE else (signal.SIGINT,)
    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        # A process in the background was started to ignore the keyboard.
        if handler != signal.SIG_IGN:
            signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def unwound() -> Iterator[None]:
    """Within it, SIGINT raises KeyboardInterrupt, for what has to be cleaned up. A second one ends the process at once."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before == signal.SIG_IGN:
        yield
        return
    asked = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        del number, frame
        if asked:
            _end(INTERRUPTED)
        asked = True
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    except Exception as error:
        # A library that was interrupted in its C code may report that as a failure of its own.
        if asked:
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGINT, before)


def _end(code: int) -> None:
    # A buffered stream may be locked by what was interrupted.
    with suppress(OSError):
        os.write(2, b"interrupted\n")
    os._exit(code)
