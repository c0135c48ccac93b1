"""Lost workers: how Ray's controller tells the driver, and how many losses end an attempt."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict

from raygen.train.events import Loss, Observer, Plan, Several
from raygen.train.group import LEAVING, Store
from raygen.train.remote import TRANSPORTS

_LOSSES = "losses"


def report_loss(store: Store, errors: Mapping[int, BaseException]) -> None:
    """Tells the driver that workers were lost; called once for each time that Ray starts them again.

    Args:
        store: The driver's.
        errors: What Ray knows of them, by rank.
    """
    drained = bool(store.check([LEAVING]))
    number = store.add(_LOSSES, 0) + 1
    store.set(f"loss-{number}", json.dumps(asdict(Loss(cause_of(errors), drained))))
    store.add(_LOSSES, 1)
    store.delete_key(LEAVING)


class LossReader:
    """The driver's side of `report_loss`.

    Args:
        store: The driver's.
        take: Takes each loss.
    """

    def __init__(self, store: Store, take: Callable[[Loss], None]) -> None:
        self._store, self._take = store, take
        self._read = 0

    def deliver(self) -> None:
        """Hands on the losses that have come."""
        while self._read < self._store.add(_LOSSES, 0):
            self._read += 1
            key = f"loss-{self._read}"
            document = json.loads(self._store.get(key))
            self._store.delete_key(key)
            self._take(Loss(**document))


class LossLimit(Several):
    """Passes every event on to several observers, in order, and says when workers were lost too often; that loss is not
    passed on, since nobody starts workers again.

    A drained pod is not a loss, and a newer checkpoint makes up for all losses before it: a long attempt on machines that
    come and go does not end by their number, and one that cannot get on does.

    Args:
        limit: Losses in a row, without a newer checkpoint between them, that an attempt survives.
        observers: Take the events.

    Attributes:
        exceeded: The loss that was one too many, or None.
    """

    def __init__(self, limit: int, *observers: Observer) -> None:
        super().__init__(*observers)
        self.exceeded: Loss | None = None
        self._limit = limit
        self._count = 0
        self._first_step = 0

    def started(self, plan: Plan) -> None:
        """Workers begin: after a newer checkpoint than ever before, losses count from 0."""
        if plan.first_step > self._first_step:
            self._first_step, self._count = plan.first_step, 0
        super().started(plan)

    def lost(self, loss: Loss) -> None:
        """Counts it."""
        self._count += not loss.drained
        if self._count > self._limit:
            self.exceeded = self.exceeded or loss
        else:
            super().lost(loss)


def cause_of(errors: Mapping[int, BaseException]) -> str:
    """Why workers were lost, in one sentence: an error of their own first, then lost processes; that the others could no
    longer reach a lost one is not a reason.
    """
    workers = dict(sorted(errors.items()))
    lost = [str(rank) for rank, error in workers.items() if type(error).__module__.startswith("ray.")]
    for rank, error in workers.items():
        if str(rank) not in lost and not any(name in str(error) for name in TRANSPORTS):
            return f"worker {rank} raised {type(error).__name__}: {error}"
    if lost:
        return f"the processes of these workers ended: {', '.join(lost)}"
    return last_line(workers.values())


def last_line(errors: Iterable[BaseException]) -> str:
    """The last words of some errors."""
    lines = [line for error in errors for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else "Ray gives no reason"
