"""Trains trials in processes of Ray, one trial at a time in each, which is kept for the next one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raygen.errors import ObjectiveTimeoutError
from raygen.sweeps.trials.protocol import Left, Message, TrialTask
from raygen.sweeps.trials.training import RunningTrial
from raygen.training import drain

THREADS = 2
"""Of a process: one hands on what a trial says, while another takes what it is told."""


class TrialProcess:
    """What runs in a process of Ray."""

    def __init__(self) -> None:
        self._trial: RunningTrial | None = None
        self._stopped: set[int] = set()

    def run(self, task: TrialTask) -> Iterator[Message]:
        """Trains a trial; what it says, as it comes."""
        self._trial = RunningTrial(task)
        # What it is told may come before it.
        if task.trial in self._stopped:
            self._stopped.discard(task.trial)
            self._trial.stop()
        yield from self._trial.messages()

    def answer(self, until: int | None, stay: bool) -> None:
        """See `Workers.answer`."""
        if self._trial is not None:
            self._trial.answer(until, stay=stay)

    def stop(self, trial: int) -> None:
        """Asks a trial to leave."""
        if self._trial is not None and self._trial.number == trial:
            self._trial.stop()
        else:
            self._stopped.add(trial)


@dataclass
class _Busy:
    """A process with a trial."""

    actor: Any
    trial: int
    messages: Any


class RayWorkers:
    """Processes of Ray that train trials. Ray must have been started.

    Args:
        count: How many trials train at a time.
        cores: Of each.
        gpus: Of each; a part of one is possible.
        process: The class that runs in them.
        books: Further resources of Ray that each has.
    """

    def __init__(
        self,
        count: int,
        cores: float,
        gpus: float = 0.0,
        process: type = TrialProcess,
        books: Mapping[str, float] | None = None,
    ) -> None:
        import ray

        self._ray = ray
        self._count = count
        self._make: Any = ray.remote(process).options(
            num_cpus=cores, num_gpus=gpus, resources=dict(books or {}), max_concurrency=THREADS
        )
        self._idle: list[tuple[Any, float]] = []
        self._busy: dict[int, _Busy] = {}

    @property
    def free(self) -> int:
        """How many more trials may begin now."""
        return self._count - len(self._busy)

    @property
    def busy(self) -> int:
        """How many trials train, or wait for room to."""
        return len(self._busy)

    def rest(self, seconds: float) -> None:
        """Ends processes that have had nothing to do for so long, so that nothing of theirs is held."""
        late = time.monotonic() - seconds
        for actor in [actor for actor, since in self._idle if since <= late]:
            self._ray.kill(actor)
        self._idle = [one for one in self._idle if one[1] > late]

    def start(self, task: TrialTask) -> None:
        """Has a trial train in a process that is there, or else in a new one."""
        actor = self._idle.pop()[0] if self._idle else self._make.remote()
        messages = actor.run.options(num_returns="streaming").remote(task)
        self._busy[task.trial] = _Busy(actor, task.trial, messages)

    def answer(self, trial: int, until: int | None, *, stay: bool) -> None:
        """See `Workers.answer`."""
        if trial in self._busy:
            self._busy[trial].actor.answer.remote(until, stay)

    def stop(self, trial: int) -> None:
        """See `Workers.stop`."""
        if trial in self._busy:
            self._busy[trial].actor.stop.remote(trial)

    def wait(self, seconds: float) -> Sequence[Message]:
        """See `Workers.wait`."""
        if not self._busy:
            time.sleep(seconds)
            return []
        by_stream = {one.messages: one for one in self._busy.values()}
        ready, _ = self._ray.wait(list(by_stream), num_returns=1, timeout=seconds)
        if ready:
            # Whatever else is there by now comes along.
            ready, _ = self._ray.wait(list(by_stream), num_returns=len(by_stream), timeout=0)
        return [message for stream in ready for message in self._of(by_stream[stream])]

    def close(self) -> None:
        """Ends the processes."""
        for actor in [*(actor for actor, _ in self._idle), *(one.actor for one in self._busy.values())]:
            self._ray.kill(actor)
        self._idle, self._busy = [], {}

    def _of(self, one: _Busy) -> list[Message]:
        """The next thing that a trial says."""
        try:
            message: Message = self._ray.get(next(one.messages))
        except StopIteration:
            return []
        except self._ray.exceptions.RayError as error:
            del self._busy[one.trial]
            self._ray.kill(one.actor)
            return [Left(one.trial, 0, "WorkerLost", type(error).__name__, _last_line(error))]
        if isinstance(message, Left):
            del self._busy[one.trial]
            if message.reason in (drain.REASON, ObjectiveTimeoutError.__name__):
                # Its pod is about to go, or a function is still at work there.
                self._ray.kill(one.actor)
            else:
                self._idle.append((one.actor, time.monotonic()))
        return [message]


def _last_line(error: Exception) -> str:
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), "")[:300]
