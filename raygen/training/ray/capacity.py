"""Whether Ray's machines have room for a run's workers, and for those that prepare or read its data."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from raygen.errors import InputError
from raygen.spec import Scale
from raygen.spec.data.reading import RayDataReading
from raygen.spec.names import JOIN_VARIABLE, PREPARATION_RESOURCE, READING_RESOURCE
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
    remedy = "Lower scale.workers or what each worker gets, or add machines."

    def lack() -> InputError | None:
        found = _lack(nodes(), scale, cpus)
        return InputError(found, where="spec.scale", remedy=remedy) if found is not None else None

    return _wait(lack, control, notice, seconds, ask)


def find_preparation_room(
    nodes: Callable[[], Sequence[Mapping[str, Any]]],
    cpus: int,
    control: Control,
    notice: Callable[[str], None],
    *,
    seconds: float,
) -> dict[str, Any] | None:
    """Waits until a machine has room for a task that prepares data; before that Ray Data would wait without end.

    Where machines have Ray's resource for it (`PREPARATION_RESOURCE`), tasks go to these and to no others. More of them may join
    later: tasks do not need each other.

    Args:
        nodes: Gives Ray's machines (`ray.nodes`).
        cpus: Cores that a task books.
        control: Ends the waiting, if it asks to stop.
        notice: Takes what is waited for.
        seconds: Longest wait.

    Returns:
        What each task books, as Ray's options of a task; None if it was to stop first.

    Raises:
        InputError: There is no room by then.
    """
    found: list[dict[str, Any]] = []

    def lack() -> InputError | None:
        there = [node["Resources"] for node in nodes() if node["Alive"]]
        chosen = [one for one in there if one.get(PREPARATION_RESOURCE, 0) >= 1]
        if any(one.get("CPU", 0) >= cpus for one in chosen or there):
            found.append({"num_cpus": cpus} | ({"resources": {PREPARATION_RESOURCE: 1}} if chosen else {}))
            return None
        cores = ", ".join(f"{one.get('CPU', 0):g}" for one in chosen or there)
        return InputError(
            f"preparing data needs a machine with {cpus} CPUs, and Ray's {len(chosen or there)} machines have {cores}",
            where="spec.preparation",
            remedy="Lower preparation.cpusPerWorker, or add machines.",
        )

    return found[-1] if _wait(lack, control, notice, seconds, lambda: lambda: None) else None


def find_reading_room(
    nodes: Callable[[], Sequence[Mapping[str, Any]]],
    scale: Scale,
    cpus: int,
    reading: RayDataReading,
    control: Control,
    notice: Callable[[str], None],
    *,
    seconds: float,
) -> dict[str, Any] | None:
    """Waits until the machines have room for a task that reads data beside all workers, which hold what they book: they would
    wait for data, and Ray Data for room, without end.

    Where machines have Ray's resource for it (`READING_RESOURCE`), tasks go to these and to no others, and book none of their cores.

    Args:
        nodes: Gives Ray's machines (`ray.nodes`).
        scale: The workers.
        cpus: Cores that each worker books.
        reading: What a task books.
        control: Ends the waiting, if it asks to stop.
        notice: Takes what is waited for.
        seconds: Longest wait.

    Returns:
        What each task books, as Ray's options of a task; None if it was to stop first.

    Raises:
        InputError: There is no room by then.
    """
    found: list[dict[str, Any]] = []
    each, wanted = resources(scale, cpus), reading.cpus_per_worker

    def lack() -> InputError | None:
        there = [node["Resources"] for node in nodes() if node["Alive"]]
        if any(one.get(READING_RESOURCE, 0) >= 1 for one in there):
            found.append({"num_cpus": 0, "resources": {READING_RESOURCE: 1}})
            return None
        for place, one in enumerate(there):
            left = one.get("CPU", 0) - wanted
            beside = [*there[:place], {**one, "CPU": left}, *there[place + 1 :]]
            if left >= 0 and _room(beside, each) >= scale.workers:
                found.append({"num_cpus": wanted})
                return None
        cores = ", ".join(f"{one.get('CPU', 0):g}" for one in there)
        return InputError(
            f"reading data needs {wanted} CPUs of a machine beside {scale.workers} workers with {cpus} each, and Ray's"
            f" {len(there)} machines have {cores}",
            where="spec.data.reading",
            remedy="Add machines, lower scale.workers or what each gets, or remove data.reading, which changes no sample.",
        )

    return found[-1] if _wait(lack, control, notice, seconds, lambda: lambda: None) else None


def _wait(
    lack: Callable[[], InputError | None],
    control: Control,
    notice: Callable[[str], None],
    seconds: float,
    ask: Callable[[], Callable[[], None]],
) -> bool:
    """Waits until nothing lacks; False if it was to stop first."""
    deadline = time.monotonic() + seconds
    told = False
    with ExitStack() as asked:
        while (error := lack()) is not None:
            if time.monotonic() >= deadline:
                raise error
            if drain.asked():
                control.stop(drain.REASON)
            if control.requested:
                return False
            if not told:
                notice(f"{error.what}; waiting up to {seconds:.0f} s for more to join")
                asked.callback(ask())
                told = True
            time.sleep(POLL_S)
    return True


def resources(scale: Scale, cpus: int) -> dict[str, int]:
    """What each worker books of Ray."""
    return {"CPU": cpus} | ({"GPU": scale.gpus_per_worker} if scale.gpus_per_worker else {})


def _room(there: Sequence[Mapping[str, float]], each: Mapping[str, int]) -> int:
    """How many that book `each` machines with these resources have room for."""
    return sum(min(int(node.get(name, 0) // amount) for name, amount in each.items()) for node in there)


def _lack(nodes: Sequence[Mapping[str, Any]], scale: Scale, cpus: int) -> str | None:
    each = resources(scale, cpus)
    there = [node["Resources"] for node in nodes if node["Alive"]]
    room = _room(there, each)
    if room >= scale.workers:
        return None
    wanted = " and ".join(f"{amount} {name}s" for name, amount in each.items())
    found = "; ".join(", ".join(f"{node.get(name, 0):g} {name}s" for name in each) for node in there)
    return f"{scale.workers} workers need {wanted} each, and Ray's {len(there)} nodes have room for {room}: {found}"
