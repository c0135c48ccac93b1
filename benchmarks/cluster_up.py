"""How long `make cluster-up` takes: with everything to build, with nothing to build, and after a change of the code.

    python benchmarks/cluster_up.py --fresh       # on a machine whose caches are empty
    python benchmarks/cluster_up.py

A change of the code is a file more in the package; it ends when a pod of the new image on each node has read it.
Needs root and what the test cluster needs; ends a cluster that runs.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from harness import ROOT, read_result, spread, write_result
from image_data import verdict

FOLDER = ROOT / "tests" / "cluster"
PROBE = ROOT / "raygen" / "probe.txt"
STEP = re.compile(r"^(?P<name>\S.*?)\s+(?P<seconds>\d+\.\d) s$")
FRESH_S, WARM_S, CHANGE_S, DISK_GB = 20 * 60, 25, 60, 35


def main() -> None:
    arguments = parse()
    result = {
        name: value
        for name, value in read_result("cluster_up").items()
        if name in ("must", "fresh", "warm", "change")
    }
    result.setdefault("must", {})
    if arguments.fresh:
        seconds, steps = timed("up")
        disk = sum(gigabytes(path) for path in arguments.caches)
        result["fresh"] = {"seconds": seconds, "steps": steps, "disk_gb": disk}
        result["must"] |= {
            "fresh_seconds": verdict(seconds, FRESH_S),
            "disk_gb": verdict(disk, DISK_GB),
        }
    else:
        timed("up")
        warm, steps = [], {}
        for _ in range(arguments.times):
            timed("down")
            seconds, steps = timed("up")
            warm.append(seconds)
            print(f"warm {seconds:.1f} s", flush=True)
        change = []
        for number in range(arguments.times):
            change.append(changed(number))
            print(f"change {change[-1]:.1f} s", flush=True)
        result |= {"warm": spread(warm) | {"steps": steps}, "change": spread(change)}
        result["must"] |= {
            "warm_seconds": verdict(max(warm), WARM_S),
            "change_seconds": verdict(max(change), CHANGE_S),
        }
    write_result("cluster_up", result, arguments.out)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--fresh", action="store_true", help="measure one start that builds everything")
    parser.add_argument("--times", type=int, default=5)
    home = Path.home()
    parser.add_argument(
        "--caches",
        type=Path,
        nargs="*",
        default=[
            home / ".cache" / "raygen-cluster",
            home / ".cache" / "go-build",
            home / "go",
            Path("/var/lib/containers"),
        ],
        help="folders whose sizes are counted",
    )
    parser.add_argument("--out", type=Path, help="write the result here")
    return parser.parse_args()


def timed(verb: str) -> tuple[float, dict[str, float]]:
    """Seconds of a verb of testcluster, in all and by step."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "testcluster", verb],
        env=os.environ | {"PYTHONPATH": str(FOLDER)},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - began
    if done.returncode:
        sys.exit(done.stderr)
    found = (STEP.match(line) for line in done.stderr.splitlines())
    return seconds, {match["name"]: float(match["seconds"]) for match in found if match}


def changed(number: int) -> float:
    """Seconds from a change of the code until a pod on each node has read it."""
    sys.path[:0] = [str(ROOT), str(FOLDER)]
    from tests.cluster.api import Cluster, pod, until

    cluster = Cluster()
    namespace = f"change-{number}"
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    until("its service account", 30, lambda: cluster.get("serviceaccount", "default", namespace=namespace))
    text = f"{time.time_ns()}"
    began = time.monotonic()
    try:
        PROBE.write_text(text)
        timed("up")
        program = (
            "import pathlib, raygen; print(pathlib.Path(raygen.__file__).with_name('probe.txt').read_text())"
        )
        nodes = ("node-1", "node-2")
        cluster.apply(*(pod(f"reads-{node}", node, program, namespace) for node in nodes))
        for node in nodes:
            until(
                "a pod",
                120,
                lambda node=node: cluster.phase(f"reads-{node}", namespace) in ("Succeeded", "Failed"),
            )
            assert cluster.kubectl("--namespace", namespace, "logs", f"reads-{node}").strip() == text
        return time.monotonic() - began
    finally:
        PROBE.unlink()
        cluster.remove_namespace(namespace)


def gigabytes(path: Path) -> float:
    """What a folder takes on the disk."""
    said = subprocess.run(["du", "--summarize", "--bytes", path], capture_output=True, text=True, check=False)
    return int(said.stdout.split()[0]) / 1e9 if said.stdout else 0.0


if __name__ == "__main__":
    main()
