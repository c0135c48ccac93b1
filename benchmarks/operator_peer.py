"""Jobs to children per second beside Kubeflow Trainer, on one API server and etcd, in turns.

    python benchmarks/operator_peer.py --jobs 1000 --rounds 3

raygen makes RayJobs, Trainer makes JobSets (its runtime torch-distributed). Neither KubeRay nor JobSet runs, and no webhooks.
Every side begins with no objects and a process that is ready; eight clients make its jobs. Three kinds of Trainer:

- `trainer`: as its own manifests configure it.
- `trainer_raised`: 2000 requests a second instead of 50, 20 reconciles at once. The second setting has no effect in this
  version: the controller of TrainJobs is one worker.
- `trainer_parallel`: built anew with 20 workers.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml
from harness import ROOT, spread, write_result
from image_data import verdict
from operator_scale import CLIENTS, operator, watched

sys.path.insert(0, str(ROOT / "tests" / "cluster"))

from testcluster import parts, tools

from raygen.kube import RAY_JOBS, TRAINING_JOBS, ApiError, Connection
from raygen.kube.resources import Resource
from tests.cluster.api import until
from tests.cluster.apiserver import NAMESPACES, ApiServer, apply, free_port, serving
from tests.cluster.operator.stub import Surroundings
from tests.unit.operator.attempts.world import job

Object = dict[str, Any]

NAMESPACE = "load"
TRAIN_JOBS = Resource("trainer.kubeflow.org", "v1alpha1", "trainjobs", "TrainJob")
JOB_SETS = Resource("jobset.x-k8s.io", "v1alpha2", "jobsets", "JobSet")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
RUNTIME = "torch-distributed"
WARM = 50
QPS, BURST, WORKERS = 2000, 4000, 20
RAISED = {
    "clientConnection": {"qps": QPS, "burst": BURST},
    "controller": {"groupKindConcurrency": {"TrainJob.trainer.kubeflow.org": WORKERS}},
}
AT_DEFAULTS, RAISED_SHARE, PARALLEL_SHARE = 1.0, 0.8, 1.0


@dataclass(frozen=True)
class Side:
    """One operator: how it runs, what its jobs are, and what it makes of them."""

    running: Callable[[ApiServer], Any]
    job: Callable[[str], Object]
    jobs: Resource
    children: Resource


def main() -> None:
    arguments = parse()
    trainer = tools.build(parts.TRAINER.tool) / parts.TRAINER.program
    with tempfile.TemporaryDirectory(prefix="trainer-") as folder:
        parallel = build_parallel(Path(folder))
        sides = {
            "raygen": Side(operator, training_job, TRAINING_JOBS, RAY_JOBS),
            "trainer": trainer_side(trainer, {}),
            "trainer_raised": trainer_side(trainer, RAISED),
            "trainer_parallel": trainer_side(parallel, RAISED),
        }
        rounds: list[dict[str, Object]] = []
        for number in range(arguments.rounds):
            names = list(sides)
            shift = number % len(names)
            with tempfile.TemporaryDirectory(prefix="operator-") as state, serving(Path(state)) as server:
                install(server.connection())
                found = {
                    name: measured(server, sides[name], arguments.jobs)
                    for name in names[shift:] + names[:shift]
                }
            print({name: round(one["per_second"], 1) for name, one in found.items()}, flush=True)
            rounds.append(found)
    write_result("operator_peer", summary(rounds, arguments.jobs), arguments.out)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--out", type=Path, help="write the result here")
    return parser.parse_args()


def summary(rounds: list[dict[str, Object]], jobs: int) -> Object:
    """Medians over the rounds, and of raygen's ratio to each of the others within a round."""
    ratios = {
        name: spread([one["raygen"]["per_second"] / one[name]["per_second"] for one in rounds])
        for name in rounds[0]
        if name != "raygen"
    }
    return {
        "unit": "children per second, from the first job's creation to the last child's",
        "jobs": jobs,
        "must": {
            "to_trainer": verdict(ratios["trainer"]["median"], AT_DEFAULTS, least=True),
            "to_trainer_raised": verdict(ratios["trainer_raised"]["median"], RAISED_SHARE, least=True),
            "to_trainer_parallel": verdict(ratios["trainer_parallel"]["median"], PARALLEL_SHARE, least=True),
        },
        "ratios_of_raygen": ratios,
        "sides": {
            name: {figure: spread([one[name][figure] for one in rounds]) for figure in rounds[0][name]}
            for name in rounds[0]
        },
    }


def measured(server: ApiServer, side: Side, count: int) -> Object:
    """One side with this many jobs; everything that it made is deleted afterwards."""
    arrivals: dict[str, float] = {}
    created: dict[str, float] = {}
    ends = threading.Event()

    def note() -> None:
        for item in watched(server.connection(), side.children, ends):
            owner = item["metadata"]["ownerReferences"][0]["name"]
            arrivals.setdefault(owner, time.monotonic())

    connections = [server.connection() for _ in range(CLIENTS)]

    def make(number: int, name: str) -> None:
        connections[number % CLIENTS].create(side.jobs, NAMESPACE, side.job(name))
        created[name] = time.monotonic()

    threading.Thread(target=note, daemon=True).start()
    with side.running(server) as (process, _), ThreadPoolExecutor(CLIENTS) as threads:
        warm = [f"warm-{number:02}" for number in range(WARM)]
        list(threads.map(make, range(WARM), warm))
        until("the first children", 60, lambda: len(arrivals) == WARM)
        arrivals.clear()
        created.clear()
        before, began = process.cpu_times(), time.monotonic()
        list(threads.map(make, range(count), [f"job-{number:05}" for number in range(count)]))
        made = time.monotonic() - began
        until("all children", 600, lambda: len(arrivals) >= count)
        seconds = max(arrivals.values()) - began
        cpu = process.cpu_times()
        rss = process.memory_info().rss / 1e6
    ends.set()
    empty(server.connection(), side)
    waits = sorted(arrivals[name] - created[name] for name in created)
    return {
        "per_second": count / seconds,
        "creating_s": made,
        "wait_p50_s": waits[count // 2],
        "wait_p99_s": waits[int(count * 0.99)],
        "cpu_s": cpu.user + cpu.system - before.user - before.system,
        "rss_mb": rss,
    }


def empty(connection: Connection, side: Side) -> None:
    """Deletes a side's objects; among them are the copies of its runtime that Trainer makes for each job."""
    for resource in (side.jobs, side.children, CONFIG_MAPS):
        connection.request("DELETE", resource.path(NAMESPACE), body={"propagationPolicy": "Background"})
        until("no objects", 120, lambda resource=resource: not connection.list(resource, NAMESPACE)[0])


def training_job(name: str) -> Object:
    """A TrainingJob of one worker."""
    document = job(name, output={"uri": "s3://runs/load/"})
    document["metadata"] = {"name": name, "namespace": NAMESPACE}
    return document


def train_job(name: str) -> Object:
    """A TrainJob of one node."""
    return {
        "apiVersion": TRAIN_JOBS.api_version,
        "kind": TRAIN_JOBS.kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"runtimeRef": {"name": RUNTIME}, "trainer": {"numNodes": 1, "image": "example.org/train:1"}},
    }


def trainer_side(program: Path, changes: Object) -> Side:
    """Kubeflow Trainer with changes to its configuration."""
    return Side(lambda server: trainer_process(server, program, changes), train_job, TRAIN_JOBS, JOB_SETS)


@contextmanager
def trainer_process(
    server: ApiServer, program: Path, changes: Object
) -> Iterator[tuple[psutil.Process, str]]:
    """Trainer's controller, ready, with the account and role of its manifests."""
    source = tools.module("trainer", parts.TRAINER.module) / parts.TRAINER.manifests
    document = yaml.safe_load((source / "base/manager/controller_manager_config.yaml").read_text())
    health = free_port()
    for section, values in changes.items():
        document[section] = document.get(section, {}) | values
    document["health"]["healthProbeBindAddress"] = f"127.0.0.1:{health}"
    document["metrics"] = {"bindAddress": "0", "secureServing": False}
    document["webhook"] = {"port": free_port(), "host": "127.0.0.1"}
    document["statusServer"]["port"] = free_port()
    # Its webhooks are not registered; their server still wants a certificate.
    document["certManagement"]["enable"] = False
    document["leaderElection"] |= {"resourceNamespace": NAMESPACE, "resourceName": f"trainer-{health}"}
    with tempfile.TemporaryDirectory(prefix="trainer-") as name:
        folder = Path(name)
        (folder / "config.yaml").write_text(yaml.safe_dump(document))
        certificates = folder / "k8s-webhook-server" / "serving-certs"
        certificates.mkdir(parents=True)
        issued = server.issued(socket.gethostname(), "localhost")
        issued.private_key_pem.write_to_path(str(certificates / "tls.key"))
        (certificates / "tls.crt").write_bytes(b"".join(one.bytes() for one in issued.cert_chain_pems))
        command = [str(program), f"--config={folder / 'config.yaml'}", "--zap-log-level=error"]
        environment = {**os.environ, "KUBECONFIG": str(server.kubeconfig), "TMPDIR": name}
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield psutil.Process(process.pid), ""
        except AssertionError:
            print((folder / "log").read_text()[-2000:], file=sys.stderr)
            raise
        finally:
            process.terminate()
            process.wait(30)


def build_parallel(folder: Path) -> Path:
    """Trainer with as many workers as its configuration asks for."""
    source = folder / "source"
    # Not as it lies in the cache of modules, which nobody may write to.
    shutil.copytree(tools.module("trainer", parts.TRAINER.module), source, copy_function=shutil.copyfile)
    for path in (source, *source.rglob("*/")):
        path.chmod(0o755)
    file = source / "cmd" / parts.TRAINER.program / "main.go"
    text = file.read_text()
    changed = text.replace("ctrlpkg.Options{}", f"ctrlpkg.Options{{MaxConcurrentReconciles: {WORKERS}}}")
    assert changed != text
    file.write_text(changed)
    program = folder / parts.TRAINER.program
    command = [str(tools.GO), "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", str(program)]
    environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    subprocess.run([*command, f"./cmd/{parts.TRAINER.program}"], cwd=source, env=environment, check=True)
    return program


def install(connection: Connection) -> None:
    """A namespace, raygen's runtime, and Trainer's and JobSet's definitions with one runtime."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    connection.create(NAMESPACES, "", namespace)
    Surroundings(connection, NAMESPACE).runtime()
    trainer = tools.module("trainer", parts.TRAINER.module) / parts.TRAINER.manifests / "base"
    jobset = tools.module("jobset", parts.JOBSET.module) / "config"
    definitions = [
        *sorted((trainer / "crds").glob("trainer*.yaml")),
        *sorted((jobset / "components/crd/bases").glob("*.yaml")),
    ]
    for path in definitions:
        for document in yaml.safe_load_all(path.read_text()):
            apply(connection, document)
    runtime = yaml.safe_load((trainer / "runtimes" / "torch_distributed.yaml").read_text())
    runtimes = Resource(
        "trainer.kubeflow.org",
        "v1alpha1",
        "clustertrainingruntimes",
        "ClusterTrainingRuntime",
        namespaced=False,
    )

    def is_there() -> bool:
        try:
            connection.apply(runtimes, "", RUNTIME, runtime, manager="benchmark")
            connection.list(JOB_SETS, NAMESPACE)
        except ApiError:
            return False
        return True

    until("Trainer's definitions", 60, is_there)


if __name__ == "__main__":
    main()
