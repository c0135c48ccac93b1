"""Whether Ray's machines have room for a run's workers."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from raygen.errors import InputError
from raygen.spec import Scale
from raygen.spec.names import JOIN_VARIABLE
from raygen.training import drain
from raygen.training.engine.control import Control
from raygen.training.ray.cluster import on_cluster

JOIN_S = 120.0
"""How long machines of a cluster may take to join: a head that was replaced comes back before its workers."""
POLL_S = 0.5


def joining_seconds() -> float:
    """How long to wait for machines: none join a Ray of our own, some may join a cluster (RAY_ADDRESS).

    Raises:
        InputError: the variable holds no number of seconds.
    """
    if not on_cluster():
        return 0.0
    text = os.environ.get(JOIN_VARIABLE, str(JOIN_S))
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise InputError(
            f"{text!r} is not a number of seconds", where=JOIN_VARIABLE, remedy="Set it to 300, say."
        )
    return seconds


def find_room(
    nodes: Callable[[], Sequence[Mapping[str, Any]]],
    scale: Scale,
    cpus: int,
    control: Control,
    notice: Callable[[str], None],
    *,
    seconds: float,
    ask: Callable[[], Callable[[], None]] = lambda: lambda: None,
) -> bool:
    """Waits until the machines, with nothing else on them, have room for all workers.

    Args:
        nodes: Gives Ray's machines (`ray.nodes`).
        scale: The workers.
        cpus: Cores that each worker books.
        control: Ends the waiting, if it asks to stop.
        notice: Takes what is waited for.
        seconds: Longest wait.
        ask: Asks an autoscaler, if there is one, for that room; what it gives takes that back.

    Returns:
        False if it was to stop first.

    Raises:
        InputError: There is no room by then.
    """
    deadline = time.monotonic() + seconds
    told = False
    with ExitStack() as asked:
        while (lack := _lack(nodes(), scale, cpus)) is not None:
            if time.monotonic() >= deadline:
                raise InputError(
                    lack,
                    where="spec.scale",
                    remedy="Lower scale.workers or what each worker gets, or add machines.",
                )
            if drain.asked():
                control.stop(drain.REASON)
            if control.requested:
                return False
            if not told:
                notice(f"{lack}; waiting up to {seconds:.0f} s for more to join")
                asked.callback(ask())
                told = True
            time.sleep(POLL_S)
    return True


def resources(scale: Scale, cpus: int) -> dict[str, int]:
    """What each worker books of Ray."""
    return {"CPU": cpus} | ({"GPU": scale.gpus_per_worker} if scale.gpus_per_worker else {})


def _lack(nodes: Sequence[Mapping[str, Any]], scale: Scale, cpus: int) -> str | None:
    each = resources(scale, cpus)
    there = [node["Resources"] for node in nodes if node["Alive"]]
    room = sum(min(int(node.get(name, 0) // amount) for name, amount in each.items()) for node in there)
    if room >= scale.workers:
        return None
    wanted = " and ".join(f"{amount} {name}s" for name, amount in each.items())
    found = "; ".join(", ".join(f"{node.get(name, 0):g} {name}s" for name in each) for node in there)
    return f"{scale.workers} workers need {wanted} each, and Ray's {len(there)} nodes have room for {room}: {found}"
