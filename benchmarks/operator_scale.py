"""How fast the operator is with thousands of jobs: a real API server and etcd, and a stub that ends every RayJob at once.

    python benchmarks/operator_scale.py --jobs 1000 5000

Everything shares this machine's cores: the server, the operator (one process, with its defaults), and eight clients that
make jobs. Latency is from the answer to a job's creation until its RayJob arrives on a watch, most of it waiting in line.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from harness import ROOT, spread, write_result
from image_data import verdict

sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tests" / "cluster"))

from raygen.controller.conditions import find
from raygen.kube import RAY_JOBS, RUNTIMES, TRAINING_JOBS, ApiError, Connection
from raygen.kube.connection import MERGE
from raygen.spec.names import JOB_LABEL
from tests.cluster.api import until
from tests.cluster.apiserver import NAMESPACES, ApiServer, free_port, serving
from tests.cluster.operator.stub import Surroundings
from tests.unit.operator.attempts.world import job

Object = dict[str, Any]

CLIENTS = 8
RECONCILES, WRITES, RSS_MB, READY_S = 200, 8, 200, 8
SUSTAINED_S = 60.0
BUSY, BUSY_JOBS = "busy", 500
"""Name of the runtime of jobs that train, and how many of them there are beside those that have ended."""


def main() -> None:
    arguments = parse()
    found: dict[str, Object] = {}
    for count in arguments.jobs:
        with tempfile.TemporaryDirectory(prefix="operator-") as folder, serving(Path(folder)) as server:
            found[str(count)] = measured(server, count)
            print(
                count,
                {name: value for name, value in found[str(count)].items() if name != "latency"},
                flush=True,
            )
    most = found[str(max(arguments.jobs))]
    result = {
        "must": {
            "reconciles_per_second": verdict(most["reconciles_per_second"], RECONCILES, least=True),
            "writes_per_job": verdict(most["writes_per_job"], WRITES),
            "rss_mb": verdict(most["rss_mb"], RSS_MB),
            "ready_seconds": verdict(most["ready_seconds"], READY_S),
        },
        "jobs": found,
    }
    write_result("operator_scale", result, arguments.out)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument("--out", type=Path, help="write the result here")
    return parser.parse_args()


def measured(server: ApiServer, count: int) -> Object:
    """All figures with this many jobs."""
    admin = server.connection()
    admin.create(NAMESPACES, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "load"}})
    Surroundings(admin, "load").runtime()
    ends, arrivals, done = threading.Event(), {}, set[str]()
    for target in (
        lambda: end_ray_jobs(server.connection(), arrivals, ends),
        lambda: note_ends(server.connection(), done, ends),
    ):
        threading.Thread(target=target, daemon=True).start()
    with operator(server) as (process, address):
        before, began = requests(server), time.monotonic()
        created = create(server, count)
        until("all RayJobs", 1800, lambda: len(arrivals) >= count)
        made = max(arrivals.values()) - began
        until("all to succeed", 1800, lambda: len(done) >= count)
        ended = time.monotonic() - began
        after = requests(server)
        rate = sustained(admin, address, "default")
        train(admin, arrivals)
        running = sustained(admin, address, BUSY)
        rss = process.memory_info().rss / 1e6
    ends.set()
    ready = time.monotonic()
    with operator(server):
        ready = time.monotonic() - ready
    latency = sorted(arrivals[name] - created[name] for name in created)
    writes = {kind: after.get(kind, 0) - before.get(kind, 0) for kind in after}
    # The stub's own: one creation and one status of a RayJob for each job.
    own = {
        "create RayJob": writes.get("rayjobs POST", 0),
        "apply status": writes.get("trainingjobs/status APPLY", 0),
        "create Event": writes.get("events POST", 0),
        "patch Event": writes.get("events PATCH", 0),
        "delete": writes.get("rayjobs DELETE", 0),
    }
    return {
        "ray_jobs_after_s": made,
        "succeeded_after_s": ended,
        "ray_jobs_per_second": count / made,
        "latency": {"p50": latency[len(latency) // 2], "p99": latency[int(len(latency) * 0.99)]},
        "writes": own,
        "writes_per_job": sum(own.values()) / count,
        "reconciles_per_second": running["median"],
        "reconciles": running,
        "reconciles_of_ended_jobs": rate,
        "rss_mb": rss,
        "ready_seconds": ready,
    }


@contextmanager
def operator(server: ApiServer) -> Iterator[tuple[psutil.Process, str]]:
    """An operator that is ready; its process and the address of its probes."""
    port = free_port()
    command = [
        str(Path(sys.executable).with_name("raygen")),
        "operator",
        "--kubeconfig",
        str(server.kubeconfig),
    ]
    process = subprocess.Popen([*command, "--health-port", str(port)], stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        until("the operator", 120, lambda: asked(f"{address}/readyz") is not None)
        yield psutil.Process(process.pid), address
    finally:
        process.terminate()
        process.wait(30)


def asked(url: str) -> str | None:
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 (our own)
        return str(answer.read().decode())
    return None


def create(server: ApiServer, count: int) -> dict[str, float]:
    """Makes the jobs; when the answer to each came."""
    connections = [server.connection() for _ in range(CLIENTS)]
    created: dict[str, float] = {}

    def one(number: int) -> None:
        name = f"job-{number:05}"
        document = job(name, output={"uri": "s3://runs/load/"})
        document["metadata"] = {"name": name, "namespace": "load"}
        connections[number % CLIENTS].create(TRAINING_JOBS, "load", document)
        created[name] = time.monotonic()

    with ThreadPoolExecutor(CLIENTS) as threads:
        list(threads.map(one, range(count)))
    return created


def watched(connection: Connection, resource: Any, ends: threading.Event) -> Iterator[Object]:
    """Objects as they change."""
    _, version = connection.list(resource, "load")
    while not ends.is_set():
        with suppress(ApiError):
            for event in connection.watch(resource, "load", version, seconds=300, silence=100):
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    yield event["object"]


def end_ray_jobs(connection: Connection, arrivals: dict[str, float], ends: threading.Event) -> None:
    """Says of every RayJob, as soon as it is there, that it has succeeded."""
    with ThreadPoolExecutor(4) as threads:
        for item in watched(connection, RAY_JOBS, ends):
            name = item["metadata"]["labels"][JOB_LABEL]
            if name not in arrivals:
                arrivals[name] = time.monotonic()
                if not name.startswith(BUSY):
                    threads.submit(succeed, connection, item["metadata"]["name"])


def succeed(connection: Connection, name: str) -> None:
    body = {"status": {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}}
    connection.request("PATCH", RAY_JOBS.path("load", name, "status"), body=body, content_type=MERGE)


def note_ends(connection: Connection, done: set[str], ends: threading.Event) -> None:
    for item in watched(connection, TRAINING_JOBS, ends):
        summary = find((item.get("status") or {}).get("conditions") or [], "Succeeded")
        if summary is not None and summary["status"] == "True":
            done.add(item["metadata"]["name"])


def train(admin: Connection, arrivals: dict[str, float]) -> None:
    """Makes jobs whose pods run, and whose drivers have made steps."""
    grants = admin.get(RUNTIMES, "", "default")
    document = {key: grants[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": BUSY}}
    admin.create(RUNTIMES, "", document)
    worlds = [Surroundings(admin, "load", f"{BUSY}-{number:03}") for number in range(BUSY_JOBS)]
    with ThreadPoolExecutor(CLIENTS) as threads:
        list(threads.map(lambda world: world.submit(runtimeRef={"name": BUSY}), worlds))
        until("their RayJobs", 300, lambda: all(world.name in arrivals for world in worlds))
        list(threads.map(lambda world: world.runs(1), worlds))
        list(threads.map(lambda world: world.driver(1, 10), worlds))

    def reason(item: Object) -> str:
        found = find((item.get("status") or {}).get("conditions") or [], "Succeeded")
        return found["reason"] if found is not None else ""

    def trains() -> bool:
        items, _ = admin.list(TRAINING_JOBS, "load")
        return sum(reason(item) == "Training" for item in items) == BUSY_JOBS

    until("them to train", 300, trains)


def sustained(admin: Connection, address: str, runtime: str) -> dict[str, float]:
    """Looks per second while every job of a runtime is due again and again since that changes; none of them writes."""
    rates = []
    end, number = time.monotonic() + SUSTAINED_S, 0
    while time.monotonic() < end:
        began, first = time.monotonic(), looks(address)
        number += 1
        changed = {"metadata": {"annotations": {"load/number": str(number)}}}
        admin.request("PATCH", RUNTIMES.path(name=runtime), body=changed, content_type=MERGE)
        last, still = first, 0
        while still < 3:
            time.sleep(0.05)
            now = looks(address)
            still = still + 1 if now == last and now > first else 0
            last = now
        rates.append((last - first) / (time.monotonic() - began))
    return spread(rates)


def looks(address: str) -> int:
    found = re.search(
        r"^raygen_reconcile_seconds_count\S* (\S+)", asked(f"{address}/metrics") or "", re.MULTILINE
    )
    return int(float(found[1])) if found else 0


def requests(server: ApiServer) -> dict[str, int]:
    """Writes that the API server has answered, by kind and verb."""
    connection = server.connection()
    with connection._answer("GET", "/metrics") as answer:
        text = answer.data.decode()
    found: dict[str, int] = {}
    for line in text.splitlines():
        if line.startswith("apiserver_request_total{"):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
            kind = labels["resource"] + (f"/{labels['subresource']}" if labels["subresource"] else "")
            key = f"{kind} {labels['verb']}"
            found[key] = found.get(key, 0) + int(float(line.rsplit(" ", 1)[1]))
    return found


if __name__ == "__main__":
    main()
