"""A worker's samples, read and copied to its device ahead of the step that needs them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from raygen.data.protocol import Dataset
from raygen.parallel.lanes import Batches, Part, parts_of
from raygen.parallel.strategy import Strategy
from raygen.spec import TrainingJob
from raygen.training.engine.control import POLL_S

AHEAD_BYTES, MOST_AHEAD, LEAST_AHEAD = 64 << 20, 16, 2
"""Samples that wait: as many steps as fit into so much memory, within these bounds."""
CORES_PER_READER = 4
"""One thread of so many of PyTorch's computes what is read; the others would take cores from the step."""
LEAVE_S = 2.0
"""How long a thread that reads has to end."""

_Made = tuple[list[Part], torch.cuda.Event | None]


class Feed:
    """Reads the samples of one step after another on a thread of its own, so that training waits for none of it.

    What it gives is a function of the step, so reading ahead changes no number. On CUDA copies run on a stream of their own,
    beside the kernels of the step before.

    Args:
        job: The job.
        data: Its data.
        device: Where the samples go.
        strategy: Says which samples are this worker's.
        steps: The steps to come, from 1.

    Attributes:
        failed: Whether `next` has raised, so that the step whose samples these were has not begun.
    """

    def __init__(
        self, job: TrainingJob, data: Dataset, device: torch.device, strategy: Strategy, steps: range
    ) -> None:
        self.failed = False
        self._job, self._data, self._device = job, data, device
        self._batches = Batches(data)
        self._rank, self._count = strategy.data_rank, strategy.data_count
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._made: deque[_Made | BaseException] = deque()
        self._changed = threading.Condition()
        self._room = LEAST_AHEAD
        self._filling = True
        self._closed = False
        self._began = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(steps,), name="raygen-feed", daemon=True)

    def __enter__(self) -> Self:
        threads = torch.get_num_threads()
        self._thread.start()
        # A thread sets its own number, and that of threads to come, which is given back here.
        self._began.wait()
        torch.set_num_threads(threads)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the thread, after the step that it reads; a source that hangs keeps it, and is left to the process's end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(LEAVE_S)

    def next(self, stopping: Callable[[], bool] | None = None) -> list[Part] | None:
        """The samples of the next step.

        Args:
            stopping: Asked while they are not there yet; True gives up waiting for them.

        Returns:
            None if it gave up.

        Raises:
            Exception: whatever reading them raised.
        """
        with self._changed:
            while not self._made:
                if not self._changed.wait(POLL_S) and stopping is not None and stopping():
                    return None
            made = self._made.popleft()
            # Refilled when half is gone: a thread that woke for each step would disturb those that compute.
            if len(self._made) <= self._room // 2 and not self._filling:
                self._filling = True
                self._changed.notify_all()
        if isinstance(made, BaseException):
            self.failed = True
            raise made
        parts, copied = made
        if copied is not None:
            current = torch.cuda.current_stream(self._device)
            current.wait_event(copied)
            for tensor in _tensors(parts):
                # Its memory belongs to the other stream, which must not give it away while this one reads it.
                tensor.record_stream(current)
        return parts

    def _read(self, steps: range) -> None:
        torch.set_num_threads(max(torch.get_num_threads() // CORES_PER_READER, 1))
        self._began.set()
        try:
            for step in steps:
                if not self._has_room():
                    return
                made = self._made_for(step)
                if step == steps.start:
                    size = sum(tensor.nbytes for tensor in _tensors(made[0]))
                    self._room = max(LEAST_AHEAD, min(AHEAD_BYTES // max(size, 1), MOST_AHEAD))
                self._put(made)
        except BaseException as error:  # noqa: BLE001 (raised again where the samples are used)
            self._put(error)

    def _has_room(self) -> bool:
        """Waits until samples are wanted; False when none are any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._filling or self._closed)
            return not self._closed

    def _put(self, made: _Made | BaseException) -> None:
        with self._changed:
            self._made.append(made)
            self._filling = len(self._made) < self._room
            self._changed.notify_all()

    def _made_for(self, step: int) -> _Made:
        if self._stream is None:
            return self._parts(step), None
        with torch.cuda.stream(self._stream):
            parts = self._parts(step)
            return parts, self._stream.record_event()

    def _parts(self, step: int) -> list[Part]:
        place = step, self._rank, self._count
        return parts_of(self._job, self._data, self._device, *place, batches=self._batches)


def _tensors(parts: list[Part]) -> Iterator[Tensor]:
    for part in parts:
        yield from part.batch.values()
        if part.weights is not None:
            yield part.weights
