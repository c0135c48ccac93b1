"""How long a device stands still while training waits for data, without waiting for the device."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


class IdleTime:
    """Adds up the time inside `waiting`.

    A host that waits costs nothing for as long as a CUDA device has steps before it. So there the device's own clock counts,
    between the end of one step's kernels and the beginning of the next one's; elsewhere the host's.

    Args:
        device: The device that trains.
        clock: Seconds of the host.
    """

    def __init__(self, device: torch.device, clock: Callable[[], float] = time.perf_counter) -> None:
        self._device = device
        self._clock = clock
        self._seconds = 0.0
        self._spans: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []
        self._unused: deque[tuple[torch.cuda.Event, torch.cuda.Event]] = deque()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Inside, the host waits for data, and gives the device nothing to do."""
        if self._device.type != "cuda":
            began = self._clock()
            yield
            self._seconds += self._clock() - began
            return
        span = self._unused.popleft() if self._unused else (_event(), _event())
        stream = torch.cuda.current_stream(self._device)
        span[0].record(stream)
        yield
        span[1].record(stream)
        self._spans.append(span)

    def take(self) -> float:
        """Seconds since the last call; the device has done what it was given."""
        seconds, self._seconds = self._seconds, 0.0
        for began, ended in self._spans:
            seconds += began.elapsed_time(ended) / 1000
        self._unused.extend(self._spans)
        self._spans.clear()
        return seconds


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
