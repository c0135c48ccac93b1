"""How many worker pods a sweep has use for, and which have had nothing to train for a while."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from math import ceil
from typing import Any, Protocol

from raygen.spec.names import TRIAL_RESOURCE
from raygen.spec.sweep.pods import MOST_NAMED, Autoscaling
from raygen.spec.sweep.sweep import SweepSpec

_HELD = ("CPU", "GPU", TRIAL_RESOURCE)


class Processes(Protocol):
    """What trains trials."""

    @property
    def busy(self) -> int:
        """How many trials train, or wait for room to."""

    def rest(self, seconds: float) -> None:
        """Ends processes that have had nothing to do for so long."""


class PodDemand:
    """Tells what worker pods a sweep has use for; each call looks.

    Args:
        processes: Train its trials.
        spec: The sweep's.
        machines: The machines that trials can train on, by the names of their pods: whether something holds a part of them.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        processes: Processes,
        spec: SweepSpec,
        machines: Callable[[], Mapping[str, bool]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._processes, self._spec, self._machines, self._clock = processes, spec, machines, clock
        self._bounds = spec.autoscaling or Autoscaling()
        self._needed: deque[tuple[float, int]] = deque()
        self._idle: dict[str, float] = {}

    def __call__(self) -> dict[str, Any]:
        """`wanted`, a number, and `idle`, names, as the status of a Sweep has them."""
        now, patience = self._clock(), self._bounds.idle_seconds
        self._processes.rest(patience)
        pods = ceil(self._processes.busy / self._spec.each_worker) * self._spec.template.spec.scale.workers
        self._needed.append((now, pods))
        # A trial that has ended is mostly followed by another, which a pod should not have to come back for.
        while now - self._needed[0][0] > patience:
            self._needed.popleft()
        there = self._machines()
        self._idle = {name: self._idle.get(name, now) for name, used in there.items() if not used}
        rested = [name for name, since in self._idle.items() if now - since >= patience]
        needed = max(pods for _, pods in self._needed)
        wanted = max(self._bounds.min_workers, needed, len(there) - len(rested))
        surplus = max(len(there) - wanted, 0)
        return {"wanted": min(wanted, self._spec.most_workers), "idle": rested[: min(surplus, MOST_NAMED)]}


def machines() -> dict[str, bool]:
    """The machines of Ray's cluster that trials train on, by host name, which is a pod's: whether something holds a part of them."""
    import ray
    from ray._private.state import available_resources_per_node

    free = available_resources_per_node()  # type: ignore[no-untyped-call]
    return {
        node["NodeManagerHostname"]: any(
            free.get(node["NodeID"], {}).get(name, 0.0) < node["Resources"].get(name, 0.0) for name in _HELD
        )
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"] and node["Resources"].get(TRIAL_RESOURCE)
    }
