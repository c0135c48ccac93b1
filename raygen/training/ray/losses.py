"""Lost workers: how Ray's controller tells the driver, and how many losses end an attempt."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict

from raygen.machine import Memory
from raygen.spec.names import LOW_MEMORY
from raygen.training.engine.store import LEAVING, Store
from raygen.training.observers.events import Broadcast, Event, EventSink, Notice, Started, WorkersLost
from raygen.training.ray.mailbox import STARTS, TRAINS, TRANSPORTS, RemoteSink

_LOSSES = "losses"
_ENDED = "ended-start"
"""Number of the newest start of the workers that a loss has ended."""
# Of Ray's memory monitor (python/ray/includes, memory_monitor_utils), in the errors of the workers that it ended.
_ENDED_BY_RAY = re.compile(r"running low on memory|RAY_memory_usage_threshold")
_USE = re.compile(r"was (\d\S*B) used / (\d\S*B) limit")


def report_lost_workers(store: Store, errors: Mapping[int, BaseException]) -> None:
    """Tells the driver that workers were lost; called once for each time that Ray starts them again.

    Args:
        store: The driver's.
        errors: What Ray knows of them, by rank.
    """
    drained = store.check([LEAVING])
    number = store.add(_LOSSES, 0) + 1
    cause = cause_of(errors)
    if store.check([starved := f"starved-{store.add(STARTS, 0)}"]) and LOW_MEMORY not in cause:
        cause += f"; {store.get(starved)}"
    store.set(_ENDED, str(store.add(STARTS, 0)))
    store.set(f"loss-{number}", json.dumps(asdict(WorkersLost(cause, drained))))
    store.add(_LOSSES, 1)
    store.delete_key(LEAVING)


def someone_trains(store: Store) -> bool:
    """Whether workers have begun to train that, as far as Ray knows, were not lost.

    Args:
        store: The driver's.
    """
    trains, ended = (int(store.get(key)) if store.check([key]) else 0 for key in (TRAINS, _ENDED))
    return trains > ended


def tell_kills(store: Store, start: int, host: str, kills: int, memory: Memory) -> None:
    """Tells the driver if the kernel ended processes of this worker's container since workers began there before.

    Nobody else knows: Ray only sees that they are gone, and Kubernetes that the container is there.

    Args:
        store: The driver's.
        start: Number of this start of the workers.
        host: The container, or the machine.
        kills: How many it has ended there so far (`machine.kills`).
        memory: What the container may use.
    """
    known = f"kills-{host}"
    before = int(store.get(known)) if store.check([known]) else kills
    store.set(known, str(kills))
    # Workers of one container begin at the same time.
    if kills > before and store.add(f"starved-{start}-{host}", 1) == 1:
        limit = "" if memory.limit is None else f", whose limit is {memory.limit / 2**30:.3g} GiB,"
        said = f"{LOW_MEMORY} in {host}{limit} and the kernel ended a process there"
        store.set(f"starved-{start}", said)
        RemoteSink(store).take(Notice(said))


class LostWorkersReader:
    """The driver's side of `report_lost_workers`.

    Args:
        store: The driver's.
        take: Takes each loss.
    """

    def __init__(self, store: Store, take: Callable[[WorkersLost], None]) -> None:
        self._store, self._take = store, take
        self._read = 0

    def deliver(self) -> None:
        """Hands on the losses that have come."""
        while self._read < self._store.add(_LOSSES, 0):
            self._read += 1
            key = f"loss-{self._read}"
            document = json.loads(self._store.get(key))
            self._store.delete_key(key)
            self._take(WorkersLost(**document))


class RestartLimit(Broadcast):
    """Passes every event on to several sinks, in order, and says when workers were lost too often; that loss is not
    passed on, since nobody starts workers again.

    A drained pod is not a loss, and a newer checkpoint makes up for all losses before it: a long attempt on machines that
    come and go does not end by their number, and one that cannot get on does.

    Args:
        limit: Losses in a row, without a newer checkpoint between them, that an attempt survives.
        sinks: Take the events.

    Attributes:
        exceeded: The loss that was one too many, or None.
    """

    def __init__(self, limit: int, *sinks: EventSink) -> None:
        super().__init__(*sinks)
        self.exceeded: WorkersLost | None = None
        self._limit = limit
        self._count = 0
        self._first_step = 0

    def take(self, event: Event) -> None:
        """Counts losses, and passes on all that are not one too many."""
        if isinstance(event, Started) and event.first_step > self._first_step:
            # Workers begin after a newer checkpoint than ever before.
            self._first_step, self._count = event.first_step, 0
        if isinstance(event, WorkersLost):
            self._count += not event.drained
            if self._count > self._limit:
                self.exceeded = self.exceeded or event
                return
        super().take(event)


def cause_of(errors: Mapping[int, BaseException]) -> str:
    """Why workers were lost, in one sentence: an error of their own first, then lost processes; that the others could no
    longer reach a lost one is not a reason.
    """
    workers = dict(sorted(errors.items()))
    lost = [str(rank) for rank, error in workers.items() if type(error).__module__.startswith("ray.")]
    for rank, error in workers.items():
        if str(rank) not in lost and not any(name in str(error) for name in TRANSPORTS):
            return f"worker {rank} raised {type(error).__name__}: {error}"
    said = "\n".join(str(error) for error in workers.values())
    if lost and not _ENDED_BY_RAY.search(said):
        return f"the processes of these workers ended: {', '.join(lost)}"
    return last_line(workers.values())


def last_line(errors: Iterable[BaseException]) -> str:
    """The last words of some errors; of Ray's many about memory the figures."""
    errors = [*errors]
    said = "\n".join(str(error) for error in errors)
    if _ENDED_BY_RAY.search(said):
        use = _USE.search(said)
        return f"{LOW_MEMORY}{f' ({use[1]} of {use[2]} used)' if use else ''}, and Ray ended processes of workers"
    lines = [line for error in errors for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else "Ray gives no reason"
