"""Memory and cores within the limits of control groups, from folders that look like /proc and /sys/fs/cgroup."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen import machine
from raygen.machine import Cores, Limits, Memory, control_groups
from tests.budget import examples

V2 = "cgroup2 cgroup rw,nsdelegate"
GIB = 2**30
UNLIMITED_V1 = "9223372036854771712"


def proc(root: Path, groups: str, *mounts: tuple[str, str, str]) -> None:
    """What the kernel says of the groups, and of mounts: the part of the hierarchy, where, and which."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    lines = ["21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw"]
    lines += [
        f"3{n} 21 0:2{n} {inner} {at} rw shared:9 - {kind}" for n, (inner, at, kind) in enumerate(mounts)
    ]
    (root / "proc/self/mountinfo").write_text("\n".join(lines) + "\n")


def group(folder: Path, files: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(content + "\n")


def test_a_machine_without_control_groups_has_no_limits(tmp_path: Path) -> None:
    assert control_groups(tmp_path) == Limits()
    assert machine.memory(tmp_path).limit is None
    assert machine.cores(tmp_path).quota is None


def test_version_2_in_a_namespace_of_its_own(tmp_path: Path) -> None:
    proc(tmp_path, "0::/\n", ("/", "/sys/fs/cgroup", V2))
    group(
        tmp_path / "sys/fs/cgroup",
        {
            "memory.max": str(4 * GIB),
            "memory.high": "max",
            "memory.current": str(3 * GIB),
            "memory.stat": f"anon {GIB}\ninactive_file {GIB}\nactive_file 5",
            "cpu.max": "150000 100000",
        },
    )
    assert control_groups(tmp_path) == Limits(4 * GIB, 2 * GIB, 1.5)


def test_version_2_as_a_service_of_systemd_sees_it(tmp_path: Path) -> None:
    proc(tmp_path, "0::/user.slice/run-u1.scope\n", ("/", "/sys/fs/cgroup", V2))
    top = tmp_path / "sys/fs/cgroup"
    group(top, {"cgroup.controllers": "cpu memory"})
    group(top / "user.slice", {"memory.max": "900", "memory.current": "800", "cpu.max": "50000 100000"})
    group(
        top / "user.slice/run-u1.scope", {"memory.max": "max", "memory.high": "500", "cpu.max": "max 100000"}
    )
    assert control_groups(tmp_path) == Limits(500, 100, 0.5)


def test_version_1_where_a_container_sees_its_own_groups_alone(tmp_path: Path) -> None:
    inner = "/kubepods/pod1/c1"
    proc(
        tmp_path,
        f"4:memory:{inner}\n3:cpu,cpuacct:{inner}\n1:name=systemd:{inner}\n",
        (inner, "/sys/fs/cgroup/memory", "cgroup cgroup rw,memory"),
        (inner, "/sys/fs/cgroup/cpu,cpuacct", "cgroup cgroup rw,cpu,cpuacct"),
        (inner, "/sys/fs/cgroup/systemd", "cgroup cgroup rw,xattr,name=systemd"),
    )
    # The pod's limit, whose group is out of sight.
    statistics = "hierarchical_memory_limit 1000\ntotal_inactive_file 50\ninactive_file 7"
    group(
        tmp_path / "sys/fs/cgroup/memory",
        {
            "memory.limit_in_bytes": UNLIMITED_V1,
            "memory.usage_in_bytes": "300",
            "memory.stat": statistics,
        },
    )
    quota = {"cpu.cfs_quota_us": "250000", "cpu.cfs_period_us": "100000"}
    group(tmp_path / "sys/fs/cgroup/cpu,cpuacct", quota)
    assert control_groups(tmp_path) == Limits(1000, 750, 2.5)


def test_version_1_without_limits(tmp_path: Path) -> None:
    proc(
        tmp_path,
        "4:memory:/\n3:cpu:/\n",
        ("/", "/sys/fs/cgroup/memory", "cgroup cgroup rw,memory"),
        ("/", "/sys/fs/cgroup/cpu", "cgroup cgroup rw,cpu"),
    )
    group(tmp_path / "sys/fs/cgroup/memory", {"memory.limit_in_bytes": UNLIMITED_V1})
    group(tmp_path / "sys/fs/cgroup/cpu", {"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"})
    assert control_groups(tmp_path) == Limits()


def test_processes_that_the_kernel_ended_are_counted_in_either_version(tmp_path: Path) -> None:
    assert machine.kills(tmp_path) == 0
    own = "cgroup cgroup rw,memory"
    proc(tmp_path / "v1", "4:memory:/\n", ("/", "/sys/fs/cgroup/memory", own))
    assert machine.kills(tmp_path / "v1") == 0
    said = {"memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2"}
    group(tmp_path / "v1/sys/fs/cgroup/memory", said)
    proc(tmp_path / "v2", "0::/a\n", ("/", "/sys/fs/cgroup", V2))
    group(tmp_path / "v2/sys/fs/cgroup", {"memory.events": "oom 9\noom_kill 9"})
    group(tmp_path / "v2/sys/fs/cgroup/a", {"memory.events": "low 0\noom 4\noom_kill 3\noom_group_kill 0"})
    assert [machine.kills(tmp_path / version) for version in ("v1", "v2")] == [2, 3]


def test_both_versions_side_by_side(tmp_path: Path) -> None:
    proc(
        tmp_path,
        "4:memory:/a\n0::/b\n",
        ("/", "/sys/fs/cgroup/memory", "cgroup cgroup rw,memory"),
        ("/", "/sys/fs/cgroup/unified", V2),
    )
    group(tmp_path / "sys/fs/cgroup/memory/a", {"memory.limit_in_bytes": "700"})
    group(tmp_path / "sys/fs/cgroup/unified/b", {"cpu.max": "100000 100000"})
    assert control_groups(tmp_path) == Limits(700, 700, 1.0)


def test_a_group_outside_what_is_mounted_leaves_what_is(tmp_path: Path) -> None:
    for number, (name, inner) in enumerate([("/../other", "/"), ("/other", "/docker/c1"), ("/", "/../..")]):
        root = tmp_path / str(number)
        proc(root, f"0::{name}\n", (inner, "/sys/fs/cgroup", V2))
        group(root / "sys/fs/cgroup", {"memory.max": "600"})
        assert control_groups(root).memory == 600


def test_names_with_blanks_and_files_with_nonsense(tmp_path: Path) -> None:
    proc(tmp_path, "odd\n0::/a b\n", ("/", "/mnt/my\\040groups", V2), ("/", "/else", "cgroup2"))
    files = {"memory.max": "", "memory.high": "400", "memory.stat": "x\ny z", "cpu.max": "1000 0"}
    group(tmp_path / "mnt/my groups/a b", files)
    assert control_groups(tmp_path) == Limits(400, 400)


LEVEL = st.fixed_dictionaries(
    {
        "max": st.none() | st.integers(1, 2**50),
        "used": st.integers(0, 2**50),
        "cache": st.integers(0, 2**50),
        "quota": st.none() | st.integers(1000, 10**7),
        "period": st.integers(1000, 10**6),
    }
)


@examples(50)
@given(
    levels=st.lists(LEVEL, min_size=1, max_size=5), hidden=st.integers(0, 4), version=st.sampled_from([1, 2])
)
def test_the_least_limit_of_all_levels_in_sight_wins(
    levels: list[dict[str, int | None]], hidden: int, version: int
) -> None:
    names = [f"g{number}" for number in range(len(levels) - 1)]
    hidden = min(hidden, len(names))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        inner, own = "/" + "/".join(names[:hidden]), "/" + "/".join(names)
        if version == 2:
            proc(root, f"0::{own}\n", (inner, "/cg", V2))
        else:
            proc(root, f"7:memory,cpu:{own}\n", (inner, "/cg", "cgroup cgroup rw,memory,cpu"))
        seen = levels[hidden:]
        for depth, level in enumerate(seen):
            group(root / "cg" / "/".join(names[hidden : hidden + depth]), files_of(level, version))
        limits = [level["max"] for level in seen if level["max"] is not None]
        left = [
            max(level["max"] - max((level["used"] or 0) - (level["cache"] or 0), 0), 0)
            for level in seen
            if level["max"] is not None
        ]
        quotas = [level["quota"] / (level["period"] or 1) for level in seen if level["quota"] is not None]
        expected = Limits(min(limits, default=None), min(left, default=None), min(quotas, default=None))
        assert control_groups(root) == expected


def files_of(level: Mapping[str, int | None], version: int) -> dict[str, str]:
    if version == 2:
        return {
            "memory.max": str(level["max"] or "max"),
            "memory.current": str(level["used"]),
            "memory.stat": f"inactive_file {level['cache']}",
            "cpu.max": f"{level['quota'] or 'max'} {level['period']}",
        }
    return {
        "memory.limit_in_bytes": str(level["max"] or UNLIMITED_V1),
        "memory.usage_in_bytes": str(level["used"]),
        "memory.stat": f"total_inactive_file {level['cache']}",
        "cpu.cfs_quota_us": str(level["quota"] or -1),
        "cpu.cfs_period_us": str(level["period"]),
    }


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000", Cores(4)),
        ("400000 100000", Cores(4)),
        ("390000 100000", Cores(3, 3.9)),
        ("20000 100000", Cores(1, 0.2)),
    ],
)
def test_cores_are_the_whole_ones_of_the_quota_and_at_least_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, cores: Cores
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(4)), raising=False)
    proc(tmp_path, "0::/\n", ("/", "/cg", V2))
    group(tmp_path / "cg", {"cpu.max": quota})
    assert machine.cores(tmp_path) == cores


def test_memory_is_what_machine_and_container_both_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=8 * GIB, available=6 * GIB))
    proc(tmp_path, "0::/\n", ("/", "/cg", V2))
    for limit, used, expected in (
        ("max", 0, Memory(6 * GIB)),
        (str(9 * GIB), GIB, Memory(6 * GIB)),
        (str(7 * GIB), 0, Memory(6 * GIB, 7 * GIB)),
        (str(3 * GIB), GIB, Memory(2 * GIB, 3 * GIB)),
    ):
        group(tmp_path / "cg", {"memory.max": limit, "memory.current": str(used)})
        assert machine.memory(tmp_path) == expected


def test_limits_are_named() -> None:
    assert str(Memory(3 * GIB)) == "3.0 GiB are free"
    assert str(Memory(GIB, 2 * GIB)) == "1.0 GiB are free of the container's limit of 2.0 GiB"
    assert str(Cores(2)) == "2 cores"
    assert str(Cores(1, 1.5)) == "1 core (the container's CPU limit is 1.5)"
