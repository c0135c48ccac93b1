"""The workers of one run: sums over all of them, and decisions that all of them take at the same step.

Decisions travel through the driver's store, never through the device, and only about twice a second.
What all have read is deleted, so that the store does not grow with the run.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch.distributed as dist
from torch import Tensor

from raygen.models.protocol import Pending
from raygen.parallel import collectives
from raygen.training import drain
from raygen.training.engine.control import POLL_S, Control
from raygen.training.engine.store import CONTROL, LEAVING, REPORT, STOP, STOPPING, Store

ABANDONED = "abandoned"
"""Counts the workers that have no samples for the next step, and is what they say instead of what others wait for."""
SETTLE_S = 60.0
"""How long a worker that has none waits for rank 0, which on CUDA may be kept by its device."""
SETTLED = "settled"
"""Set by rank 0, when it has written its last checkpoint."""
AGREE_SECONDS = 0.5
LONGEST_STRIDE = 1000
"""Most steps between two agreements."""


class AbandonedError(Exception):
    """Another worker cannot go on, leaves a checkpoint and tells why; there is nothing to add to it."""


class Agreement(Protocol):
    """How the loop decides what all workers must decide alike."""

    def begin(self, step: int, overdue: bool) -> bool:
        """Called before each step; brings the control up to date. Returns whether a checkpoint is overdue."""

    def pause(self, step: int) -> None:
        """Returns when all may take this step, or are to stop."""

    def report(self, step: int, values: Mapping[str, float]) -> None:
        """Passes on an evaluation, and brings the control up to date with what whoever hears it decides."""

    def stopping(self) -> bool:
        """Whether a stop has been asked for, although not all may know of it yet: long work between two steps is left
        unfinished then, by all workers if one of them asks in time.
        """

    def decide_at(self, step: int) -> None:
        """Has all decide before this step, and not only when it is time to. All call it alike."""

    def gather(self, values: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The values of all workers, in the order of their ranks."""

    def abandon(self) -> bool:
        """Called by a worker that has no samples for the next step, between two steps; the others, which wait for it in the
        next one, get errors there. Returns whether it is the first one, which is to leave a checkpoint: once all that rank 0
        had to write before is written.
        """

    def abandoned(self) -> bool:
        """Whether some worker has called `abandon`: why the step that this one is in fails."""

    def settle(self) -> None:
        """Called when this worker has written all that it will; the others learn it of rank 0."""


class OwnDecisions:
    """The only worker decides by itself.

    Args:
        control: What the loop looks at. Default: one that nobody uses.
    """

    def __init__(self, control: Control | None = None) -> None:
        self._control = control or Control()

    def begin(self, step: int, overdue: bool) -> bool:  # noqa: ARG002
        """What it finds."""
        return overdue

    def pause(self, step: int) -> None:  # noqa: ARG002
        """Waits by itself."""
        self._control.wait()

    def report(self, step: int, values: Mapping[str, float]) -> None:
        """Passes it on at once."""
        self._control.notify(step, values)

    def stopping(self) -> bool:
        """Whether it has been asked to stop."""
        return self._control.requested

    def decide_at(self, step: int) -> None:
        """It always does."""

    def gather(self, values: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The values of the only worker."""
        return [values]

    def abandon(self) -> bool:
        """Nobody waits for it."""
        return True

    def abandoned(self) -> bool:
        """There is no other."""
        return False

    def settle(self) -> None:
        """Nobody waits for it."""


class Group:
    """One of several workers.

    Args:
        store: The driver's store, with a timeout.
        start: Number of this start of the workers; keeps the keys of an earlier one apart.
        control: What the loop looks at; it changes at the step that all have agreed on.
        clock: Seconds that only grow.
        rank: This one's number. Default: that in PyTorch's process group.
        count: How many there are. Default: likewise.
        sleep: Waits for so many seconds.

    Attributes:
        rank: This one's number, from 0.
        count: How many there are.
        start: Number of this start of the workers.
    """

    def __init__(
        self,
        store: Store,
        start: int,
        control: Control,
        clock: Callable[[], float] = time.monotonic,
        *,
        rank: int | None = None,
        count: int | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.rank = dist.get_rank() if rank is None else rank
        self.count = dist.get_world_size() if count is None else count
        self.start = start
        self._store = store
        self._control = control
        self._clock = clock
        self._next = 0
        self._sleep = sleep
        self._asked = self._decided = self._paused = self._reported = 0
        self._looked = -math.inf
        self._stopping = False
        self._last: tuple[int, float] | None = None

    def sum(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """The sums of these tensors over all workers, in one message."""
        return collectives.sum_tensors(*tensors)

    def start_sum(self, tensor: Tensor) -> Pending:
        """Begins to replace a tensor by its sum over all workers."""
        return collectives.start_sum(tensor)

    def begin(self, step: int, overdue: bool) -> bool:
        """Rank 0 decides from time to time, and says at which step it will decide again."""
        if step < self._next:
            return False
        self._decided += 1
        key = self._own(f"decision-{self._decided}")
        self._tell_drain()
        if self.rank == 0:
            decision = self._steering() | {"overdue": overdue, "next": step + self._stride(step)}
            self._store.set(key, json.dumps(decision))
            # All have read the decision before the last one: since then they have trained together.
            self._store.delete_key(self._own(f"decision-{self._decided - 2}"))
        found = json.loads(self._store.get(key))
        self._next = found["next"]
        self._follow(found)
        return bool(found["overdue"])

    def pause(self, step: int) -> None:
        """Rank 0 looks at the driver's store, and says when all go on; at this step they decide once more."""
        self._paused += 1
        key = self._own(f"resumed-{self._paused}")
        if self.rank == 0:
            while (steering := self._steering())["paused"] and steering["stop"] is None:
                self._rest(POLL_S)
            self._store.set(key, "")
        wait_for(self._store, key, self._rest)
        self._control.resume()
        self.decide_at(step)

    def report(self, step: int, values: Mapping[str, float]) -> None:
        """Rank 0 asks the driver, and all do what it answers; nothing where nobody hears of evaluations."""
        if not self._control.reports:
            return
        self._reported += 1
        key = self._own(f"answer-{self._reported}")
        if self.rank == 0:
            question = {"answer": key, "step": step, "values": dict(values)}
            # All have read the answer before this one, or they could not have evaluated again.
            self._store.delete_key(self._own(f"answer-{self._reported - 1}"))
            self._store.set(REPORT, json.dumps(question))
        self._follow(json.loads(wait_for(self._store, key, self._sleep)))

    def stopping(self) -> bool:
        """Looks at the driver's store about twice a second."""
        now = self._clock()
        if now - self._looked >= AGREE_SECONDS:
            self._looked = now
            self._tell_drain()
            self._stopping = self._store.check([STOP]) or self._store.check([LEAVING])
        return self._stopping or self._control.requested

    def decide_at(self, step: int) -> None:
        """All come together before this step."""
        self._next = step

    def _steering(self) -> dict[str, Any]:
        """What the driver wants, and pods that are about to go."""
        reason = self._store.get(STOP) if self._store.check([STOP]) else None
        if reason is None and self._store.check([LEAVING]):
            reason = drain.REASON
        # Without a word of the driver's this worker keeps what its task said.
        own: dict[str, Any] = {"paused": self._control.paused, "at": self._control.stop_step}
        told = json.loads(self._store.get(CONTROL)) if self._store.check([CONTROL]) else own
        return {"stop": reason, "paused": told["paused"], "at": told["at"]}

    def _own(self, name: str) -> str:
        """The key of this start; an earlier one may have left the same."""
        return f"start-{self.start}/{name}"

    def _tell_drain(self) -> None:
        if drain.asked():
            self._store.set(LEAVING, "")

    def _rest(self, seconds: float) -> None:
        """Sleeps, and says if this pod is about to go, which ends a pause."""
        self._tell_drain()
        self._sleep(seconds)

    def _follow(self, steering: Mapping[str, Any]) -> None:
        self._control.stop_at(steering["at"])
        if steering["paused"]:
            self._control.pause()
        if steering["stop"] is not None:
            self._control.stop(steering["stop"])
            if self.rank == 0:
                self._store.set(STOPPING, "")

    def settle(self) -> None:
        """Returns when rank 0 has written its last checkpoint, and so has called this too.

        A pod that is let go before takes the others with it, since Ray starts all workers again when one is lost.
        """
        if self.rank == 0:
            self._store.set(self._own(SETTLED), "")
        else:
            self._store.get(self._own(SETTLED))

    def gather(self, values: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The values of all workers, as JSON through the store."""
        self._asked += 1
        self._store.set(self._own(f"gather-{self._asked}-{self.rank}"), json.dumps(values))
        # All have read what came before the last one, or they could not have answered that.
        self._store.delete_key(self._own(f"gather-{self._asked - 2}-{self.rank}"))
        found = []
        for rank in range(self.count):
            found.append(json.loads(self._store.get(self._own(f"gather-{self._asked}-{rank}"))))
            if ABANDONED in found[-1]:
                raise AbandonedError
        return found

    def abandon(self) -> bool:
        """Tells those who wait for this worker's values, and those who wait in a sum by leaving the process group."""
        first = self._store.add(self._own(ABANDONED), 1) == 1
        self._store.set(self._own(f"gather-{self._asked + 1}-{self.rank}"), json.dumps({ABANDONED: True}))
        collectives.leave()
        if first and self.rank > 0:
            end = self._clock() + SETTLE_S
            while not self._store.check([self._own(SETTLED)]) and self._clock() < end:
                self._sleep(POLL_S)
        return first

    def abandoned(self) -> bool:
        """Looks at the driver's store."""
        return self._store.check([self._own(ABANDONED)])

    def _stride(self, step: int) -> int:
        now, last = self._clock(), self._last
        self._last = step, now
        if last is None:
            return 1
        per_step = (now - last[1]) / max(step - last[0], 1)
        return max(1, min(int(AGREE_SECONDS / max(per_step, 1e-6)), LONGEST_STRIDE))


def wait_for(store: Store, key: str, sleep: Callable[[float], None] = time.sleep) -> str:
    """The value of a key once it is there, however long that takes; `Store.get` has a limit."""
    while not store.check([key]):
        sleep(POLL_S)
    return store.get(key)
