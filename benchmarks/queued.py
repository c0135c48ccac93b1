"""A hundred TrainingJobs and Kueue with room for two: order, fairness between two queues, the operator's CPU and memory.

    make cluster-up WITH=kueue
    PYTHONPATH=.:tests/cluster python benchmarks/queued.py
    PYTHONPATH=.:tests/cluster python benchmarks/queued.py --pods --jobs 20

All are submitted at once, in an order drawn at random, to the queues of two teams that lend each other what they do not use.
Kueue, API server and operator are real. With --pods KubeRay is too, and each job trains ten steps on one worker; without, a stub in
KubeRay's place ends each job some seconds after Kueue has let it in.
"""

from __future__ import annotations

import argparse
import itertools
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from harness import write_result
from image_data import verdict
from testcluster.paths import KUBECONFIG

from raygen.kube import RAY_JOBS, TRAINING_JOBS, Connection, Resource, connect
from raygen.kube.connection import MERGE
from tests.cluster import kueue
from tests.cluster.api import Cluster, until
from tests.cluster.trainingjob import NAMESPACE, Raygen, installed

JOB_CPU = "1300m"
"""A head of 300m and a worker of one core: room for one job a team, two in all."""
ROOM = 2
JOB_SECONDS = 5.0
"""For which a job runs without pods."""
LONGEST_SECONDS = 5400.0
RECIPE = (
    "training.duration.steps=10",
    "training.schedule.type=Constant",
    "evaluation.everySteps=10",
    "evaluation.samples=null",
    "checkpoint.everySteps=10",
    "scale.workers=1",
    "scale.memoryPerWorker=3Gi",
    f"runtimeRef.name={kueue.RUNTIME}",
)
WORKLOADS = Resource("kueue.x-k8s.io", "v1beta2", "workloads", "Workload")
Object = dict[str, Any]


@dataclass
class Watched:
    """What was seen while the jobs ran: who was admitted when, for the last time, and what the operator took."""

    admitted: dict[str, float] = field(default_factory=dict)
    admissions: int = 0
    most: int = 0
    memory: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--pods", action="store_true", help="train for real, a minute or so a job")
    parser.add_argument("--alpha", type=float, default=0.7, help="share of the jobs that one team has")
    parser.add_argument("--seed", type=int, default=0, help="of the order in which jobs are submitted")
    parser.add_argument("--out", type=Path, help="write the result here")
    arguments = parser.parse_args()
    teams = ["alpha"] * round(arguments.jobs * arguments.alpha)
    teams += ["beta"] * (arguments.jobs - len(teams))
    random.Random(arguments.seed).shuffle(teams)
    with (
        tempfile.TemporaryDirectory(prefix="queued-") as folder,
        installed(Cluster(), Path(folder)) as raygen,
    ):
        more = {
            "cohortName": "teams",
            "queueingStrategy": "StrictFIFO",
            "preemption": {"reclaimWithinCohort": "Any"},
        }
        with kueue.queues(raygen, JOB_CPU, **more), nullcontext() if arguments.pods else stub(raygen):
            result = run(raygen, teams)
    write_result("queued_pods" if arguments.pods else "queued", result, arguments.out)


@contextmanager
def stub(raygen: Raygen) -> Iterator[None]:
    """Ends jobs in KubeRay's place."""
    kuberay = ("--namespace", "kuberay-system", "deployment/kuberay-operator")
    raygen.cluster.kubectl(*kuberay[:2], "scale", kuberay[2], "--replicas=0")
    ends = threading.Event()
    thread = threading.Thread(target=end_ray_jobs, args=(connect(str(KUBECONFIG)), ends), daemon=True)
    try:
        until("KubeRay to go", 60, lambda: not raygen.cluster.get("pod", namespace="kuberay-system"))
        thread.start()
        yield
    finally:
        ends.set()
        thread.join()
        raygen.cluster.kubectl(*kuberay[:2], "scale", kuberay[2], "--replicas=1")
        raygen.cluster.kubectl(*kuberay[:2], "rollout", "status", kuberay[2], "--timeout=120s")


def end_ray_jobs(connection: Connection, ends: threading.Event) -> None:
    """Has each RayJob that nobody suspends run for a while, and succeed."""
    began: dict[str, float] = {}
    while not ends.wait(0.2):
        for one in connection.list(RAY_JOBS, NAMESPACE)[0]:
            name, state = one["metadata"]["name"], (one.get("status") or {}).get("jobDeploymentStatus")
            status: Object | None = None
            suspended = one["spec"].get("suspend")
            if suspended and state == "Running":
                # Kueue takes back what a team had lent to the other.
                status = {"jobDeploymentStatus": "Suspended", "jobStatus": ""}
            elif not suspended and state in (None, "", "Suspended"):
                began[name] = time.monotonic()
                status = {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}
            elif state == "Running" and time.monotonic() - began[name] > JOB_SECONDS:
                status = {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}
            if status is not None:
                path = RAY_JOBS.path(NAMESPACE, name, "status")
                connection.request("PATCH", path, body={"status": status}, content_type=MERGE)


def run(raygen: Raygen, teams: Sequence[str]) -> Object:
    """Submits a job for each entry, in this order, and looks on until all have ended."""
    names = {f"job-{number:03}": team for number, team in enumerate(teams)}
    connection = connect(str(KUBECONFIG))
    operators = operator_processes()
    busy, began = sum(cpu(one) for one in operators), time.monotonic()
    came: dict[str, float] = {}
    for name, team in names.items():
        changes = (f"metadata.name={name}", f"output.run={name}", f"scheduling.queueName={team}")
        raygen.apply(*RECIPE, *changes)
        came[name] = time.monotonic()
    submitted = time.monotonic() - began
    seen = watch(connection, names, operators, began)
    seconds = time.monotonic() - began
    jobs = {one["metadata"]["name"]: one for one in connection.list(TRAINING_JOBS, NAMESPACE)[0]}
    bad = [name for name in names if summary(jobs[name])["status"] != "True"]
    retried = [name for name in names if jobs[name]["status"]["attemptCount"] != 1]
    of_team = {team: [name for name in names if names[name] == team] for team in kueue.TEAMS}
    order = {team: out_of_order(of_team[team], seen, came) for team in kueue.TEAMS}
    shares = both_waiting(names, seen)
    waits = {team: [seen.admitted[name] for name in names if names[name] == team] for team in kueue.TEAMS}
    return {
        "must": {
            "failed": verdict(len(bad), 0, least=False),
            "more_than_one_attempt": verdict(len(retried), 0, least=False),
            "more_at_once_than_room": verdict(max(0, seen.most - ROOM), 0, least=False),
            "out_of_order": verdict(sum(order.values()), 0, least=False),
            "share_of_the_lesser_team_while_both_wait": verdict(
                min(shares.values()) / sum(shares.values()), 0.4, least=True
            ),
            "longest_pause_of_a_team_in_jobs": verdict(
                max(longest_pause(names, team, seen) for team in kueue.TEAMS) * len(names) / (seconds * ROOM),
                3.0,
                least=False,
            ),
        },
        "jobs": {team: teams.count(team) for team in kueue.TEAMS},
        "seconds": {"submit": submitted, "all": seconds, "a_job": seconds * ROOM / len(names)},
        "most_at_once": seen.most,
        "admitted_and_taken_back": seen.admissions - len(names),
        "admitted_while_both_teams_wait": shares,
        "admission_s": {
            team: {"first": min(one), "median": statistics.median(one), "last": max(one)}
            for team, one in waits.items()
        },
        "operator": {
            "cpu_s": sum(cpu(one) for one in operators) - busy,
            "cpu_s_a_job": (sum(cpu(one) for one in operators) - busy) / len(names),
            "share_of_a_core": (sum(cpu(one) for one in operators) - busy) / seconds,
            "peak_rss_mb_of_one": seen.memory,
            "processes": len(operators),
        },
    }


def watch(
    connection: Connection, names: dict[str, str], operators: list[psutil.Process], began: float
) -> Watched:
    """Looks twice a second until all jobs have ended."""
    seen = Watched()
    told, jobs = 0, 0
    dates: dict[str, str] = {}
    while jobs < len(names):
        now = time.monotonic() - began
        assert now < LONGEST_SECONDS, f"{jobs} of {len(names)} have ended"
        at_once = 0
        for one in connection.list(WORKLOADS, NAMESPACE)[0]:
            name = one["metadata"]["ownerReferences"][0]["name"].removesuffix("-r1")
            true = {
                each["type"]: each["lastTransitionTime"]
                for each in one.get("status", {}).get("conditions", ())
                if each["status"] == "True"
            }
            if name in names and "Admitted" in true:
                if dates.get(name) != true["Admitted"]:
                    seen.admissions += 1
                    dates[name], seen.admitted[name] = true["Admitted"], now
                at_once += "Finished" not in true
        seen.most = max(seen.most, at_once)
        seen.memory = max([seen.memory, *(one.memory_info().rss / 1e6 for one in operators)])
        jobs = sum(
            "completionTime" in (one.get("status") or {})
            for one in connection.list(TRAINING_JOBS, NAMESPACE)[0]
        )
        if jobs >= told + 10:
            told = jobs
            print(f"{told} of {len(names)} after {now:.0f} s", flush=True)
        time.sleep(0.5)
    return seen


def summary(job: Object) -> Object:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one["type"] == "Succeeded"), {"status": "Unknown"})


def out_of_order(of_team: Sequence[str], seen: Watched, came: dict[str, float]) -> int:
    """How many jobs of a team were admitted before one of the same team that had come more than a second before.

    Kubernetes dates objects to the second, and Kueue goes by these dates. Jobs that come within one look at the queues
    count as admitted at one time.
    """
    return sum(
        any(
            came[earlier] < came[name] - 1.0 and seen.admitted[earlier] > seen.admitted[name] + 1.0
            for earlier in of_team
        )
        for name in of_team
    )


def both_waiting(names: dict[str, str], seen: Watched) -> dict[str, int]:
    """How many of each team were admitted while jobs of both still waited."""
    last = {team: max(seen.admitted[name] for name in names if names[name] == team) for team in kueue.TEAMS}
    until_s = min(last.values())
    return {
        team: sum(seen.admitted[name] <= until_s for name in names if names[name] == team)
        for team in kueue.TEAMS
    }


def longest_pause(names: dict[str, str], team: str, seen: Watched) -> float:
    """The longest time in which none of a team was admitted, though jobs of its own waited, in seconds."""
    times = sorted(seen.admitted[name] for name in names if names[name] == team)
    return max(later - earlier for earlier, later in itertools.pairwise([0.0, *times]))


def operator_processes() -> list[psutil.Process]:
    """The operators' processes, which run on this machine."""
    return [
        one
        for one in psutil.process_iter(["cmdline"])
        if any(word.startswith("--lease-namespace") for word in one.info["cmdline"] or ())
    ]


def cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
