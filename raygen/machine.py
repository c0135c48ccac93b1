"""What this process may use of its machine: memory and cores, within the limits of its container.

Containers, batch systems and systemd limit processes by Linux control groups, which libraries that ask the machine do
not see. Groups are nested, and each level may have a limit: the least wins.
Source: the kernel's admin-guide/cgroup-v2.rst, admin-guide/cgroup-v1/memory.rst, scheduler/sched-bwc.rst,
and proc_pid_mountinfo(5).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import psutil

ROOT = Path("/")


@dataclass(frozen=True)
class Limits:
    """What control groups leave to this process; None where they set no limit.

    Attributes:
        memory: The least limit, in bytes.
        free: The least that a level leaves of its limit, in bytes. File cache that can be dropped counts as free.
        cpus: The least quota, in processors' time.
    """

    memory: int | None = None
    free: int | None = None
    cpus: float | None = None


@dataclass(frozen=True)
class Memory:
    """Memory in bytes.

    Attributes:
        free: What this process can still have.
        limit: Of the container; None if the machine itself has no more than that.
    """

    free: int
    limit: int | None = None

    def __str__(self) -> str:
        free = f"{self.free / 2**30:.1f} GiB are free"
        return (
            free if self.limit is None else f"{free} of the container's limit of {self.limit / 2**30:.1f} GiB"
        )


@dataclass(frozen=True)
class Cores:
    """Cores that this process may use.

    Attributes:
        count: As a whole number, at least 1.
        quota: The container's CPU limit, if it is what makes them fewer.
    """

    count: int
    quota: float | None = None

    def __str__(self) -> str:
        cores = f"{self.count} cores" if self.count > 1 else "1 core"
        return cores if self.quota is None else f"{cores} (the container's CPU limit is {self.quota:g})"


def memory(root: Path = ROOT) -> Memory:
    """Memory that this process may use.

    Args:
        root: Where /proc and the control groups are.
    """
    machine, limits = psutil.virtual_memory(), control_groups(root)
    limit = limits.memory if limits.memory is not None and limits.memory < machine.total else None
    return Memory(min(machine.available, machine.available if limits.free is None else limits.free), limit)


def kills(root: Path = ROOT) -> int:
    """How many processes of this process's control group the kernel has ended for lack of memory; 0 where it does not say.

    Where it ends one process and not the whole container (version 1, and Kubernetes' `singleProcessOOMKill`), nothing
    else tells of it.

    Args:
        root: Where /proc and the control groups are.
    """
    files = {1: "memory.oom_control", 2: "memory.events"}
    found = (
        _figures(levels[0] / files[version]).get("oom_kill", 0)
        for version, controllers, levels in _hierarchies(root)
        if "memory" in controllers and levels
    )
    return max(found, default=0)


def cores(root: Path = ROOT) -> Cores:
    """Cores that this process may use.

    Args:
        root: Where /proc and the control groups are.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = control_groups(root).cpus
    return Cores(count) if quota is None or quota >= count else Cores(max(int(quota), 1), quota)


def control_groups(root: Path = ROOT) -> Limits:
    """The limits of the control groups that this process is in, of either version.

    Args:
        root: Where /proc and the control groups are.
    """
    limits, left, quotas = list[int](), list[int](), list[float]()
    for version, controllers, levels in _hierarchies(root):
        for number, folder in enumerate(levels):
            if "memory" in controllers:
                found = _memory_v2(folder) if version == 2 else _memory_v1(folder, own=number == 0)
                limits += [limit for limit, _ in found]
                left += [max(limit - used, 0) for limit, used in found]
            if "cpu" in controllers:
                quotas += _quota_v2(folder) if version == 2 else _quota_v1(folder)
    return Limits(min(limits, default=None), min(left, default=None), min(quotas, default=None))


def _hierarchies(root: Path) -> Iterator[tuple[int, set[str], list[Path]]]:
    """Version and controllers of each mounted hierarchy, and this process's folders in it, the innermost first."""
    groups = dict(_groups(root / "proc/self/cgroup"))
    for kind, options, inner, point in _mounts(root / "proc/self/mountinfo"):
        if kind == "cgroup2":
            version, controllers, key = 2, {"memory", "cpu"}, ""
        elif kind == "cgroup" and (named := options & groups.keys()):
            version, controllers, key = 1, named, min(named)
        else:
            continue
        if key in groups:
            yield version, controllers, _levels(root / point.lstrip("/"), inner, groups[key])


def _groups(path: Path) -> Iterator[tuple[str, str]]:
    """Controllers and this process's group in their hierarchy; version 2 has the name ""."""
    for line in _lines(path):
        _, names, group = (*line.split(":", 2), "", "")[:3]
        for name in names.split(","):
            yield name, group


def _mounts(path: Path) -> Iterator[tuple[str, set[str], str, str]]:
    """File system, its options, the folder of it that is mounted, and where, of each mount."""
    for line in _lines(path):
        mount, _, system = line.partition(" - ")
        fields, described = mount.split(" "), system.split(" ")
        if len(fields) >= 5 and len(described) >= 3:
            yield described[0], set(described[2].split(",")), _unescaped(fields[3]), _unescaped(fields[4])


def _levels(point: Path, inner: str, group: str) -> list[Path]:
    """The folders from a group up to where its hierarchy is mounted.

    A container often sees its own group alone, mounted as the whole: under its name on the machine (`inner`), or as
    the root, if it has a namespace of groups. Names that lead elsewhere, as `/../x` for a group outside the namespace,
    leave what is mounted.
    """
    path, base = PurePosixPath(group), PurePosixPath(inner)
    parts = path.relative_to(base).parts if path.is_relative_to(base) and ".." not in path.parts else ()
    folders = [point.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]
    return [folder for folder in folders if folder.is_dir()]


def _memory_v2(folder: Path) -> list[tuple[int, int]]:
    """Limits and use: `memory.max` kills, above `memory.high` everything waits."""
    limits = [_integer(folder / name) for name in ("memory.max", "memory.high")]
    used = _used(folder / "memory.current", folder / "memory.stat", "inactive_file")
    return [(limit, used) for limit in limits if limit is not None]


def _memory_v1(folder: Path, *, own: bool) -> list[tuple[int, int]]:
    """The limit and use; for the process's own group also the limit of groups above that cannot be seen."""
    limits = [_integer(folder / "memory.limit_in_bytes")]
    if own:
        limits.append(_figures(folder / "memory.stat").get("hierarchical_memory_limit"))
    used = _used(folder / "memory.usage_in_bytes", folder / "memory.stat", "total_inactive_file")
    # No limit is a number near 2**63 here.
    return [(limit, used) for limit in limits if limit is not None and 0 <= limit < 2**60]


def _used(path: Path, statistics: Path, droppable: str) -> int:
    """Memory in use that cannot be dropped at once; Kubernetes counts in the same way."""
    return max((_integer(path) or 0) - _figures(statistics).get(droppable, 0), 0)


def _quota_v2(folder: Path) -> list[float]:
    quota, _, period = "".join(_lines(folder / "cpu.max")).partition(" ")
    return [int(quota) / int(period)] if quota.isdecimal() and period.isdecimal() and int(period) else []


def _quota_v1(folder: Path) -> list[float]:
    quota, period = _integer(folder / "cpu.cfs_quota_us"), _integer(folder / "cpu.cfs_period_us")
    return [quota / period] if quota is not None and quota > 0 and period else []


def _integer(path: Path) -> int | None:
    """The number in a file; None without one, as where it says `max`."""
    text = "".join(_lines(path)).strip()
    return int(text) if re.fullmatch(r"-?\d+", text) else None


def _figures(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in _lines(path))
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


def _lines(path: Path) -> list[str]:
    """The lines of a file; none where it is missing or may not be read, as outside Linux."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape").rstrip("\n").split("\n")
    except OSError:
        return []


def _unescaped(text: str) -> str:
    """A path of mountinfo, which writes blanks and the like in octal."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
