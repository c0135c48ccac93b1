"""Turns Ctrl-C and SIGTERM into a request to stop at the next step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """A request to stop.

    Attributes:
        reason: Name of the signal, or None while nobody has asked.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self._at_once = False

    @property
    def requested(self) -> bool:
        """Whether somebody has asked."""
        return self.reason is not None

    def request(self, reason: str) -> None:
        """Asks to stop; the first reason counts."""
        self.reason = self.reason or reason

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Listens to SIGINT and SIGTERM. A second SIGINT interrupts at once.

        Outside the main thread, where Python takes no signals, it listens to nothing.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """While in it, the first SIGINT interrupts too: before training there is nothing to save."""
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        if (self.requested or self._at_once) and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.request(signal.Signals(number).name)
