"""Twenty jobs on the test cluster, and fifty kills at random moments: operator, API server, heads, workers, drivers.

    make soak

Every job must succeed with the losses of a run that nobody disturbed, bit for bit; no attempt may have two RayJobs, no job two
at a time; and nothing may be left when the jobs are deleted.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from harness import write_result
from image_data import verdict
from testcluster import cluster as real
from testcluster.console import ClusterError

from raygen.kube import PODS, RAY_JOBS, TRAINING_JOBS, ApiError, Connection, Resource, connect
from raygen.kube.connection import MERGE
from raygen.kube.errors import NO_PARAMETERS
from raygen.operator.attempts.endings import is_over
from raygen.spec.names import JOB_LABEL, RAY_NODE_TYPE
from tests.cluster.api import Cluster, until
from tests.cluster.trainingjob import NAMESPACE, SYSTEM, Raygen, installed

Object = dict[str, Any]

RAY_CLUSTERS = Resource("ray.io", "v1", "rayclusters", "RayCluster")
STEPS = 300
AT_ONCE = 2
"""Jobs that run at the same time: what two cores carry."""
LONGEST_SECONDS = 900.0
"""In which a job must end after the last kill."""
RECIPE = (
    f"training.duration.steps={STEPS}",
    "training.schedule.type=Constant",
    f"evaluation.everySteps={STEPS}",
    "evaluation.samples=null",
    "checkpoint.everySteps=25",
    "scale.workers=1",
    "attempts.limit=50",
)


def main() -> None:
    arguments = parse()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, installed(Cluster(), Path(folder)) as raygen:
        began = time.monotonic()
        submit(raygen, "calm")
        assert raygen.ends(300, "calm")["status"] == "True"
        alone = time.monotonic() - began
        expected = dict(raygen.losses("calm"))
        assert sorted(expected) == list(range(1, STEPS + 1))
        soak = Soak(raygen, arguments.jobs, arguments.kills, arguments.seed)
        began = time.monotonic()
        soak.run()
        seconds = time.monotonic() - began
        result = soak.result(expected)
        result["left"] = soak.left()
    result |= {"calm_job_s": alone, "all_jobs_s": seconds, "jobs": arguments.jobs, "kills": arguments.kills}
    result["must"] = {
        name: verdict(len(result[name]), 0)
        for name in ("failed", "different", "missing_steps", "two_ray_jobs", "left")
    }
    write_result("soak", result, arguments.out)
    if not all(one["holds"] for one in result["must"].values()):
        sys.exit("a promise was broken; see the result")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="of the kinds and moments of the kills")
    parser.add_argument("--out", type=Path, help="write the result here")
    return parser.parse_args()


def submit(raygen: Raygen, name: str) -> None:
    """kubectl apply, again while an API server that was killed is away or cannot judge a job yet."""
    deadline = time.monotonic() + 90
    while True:
        try:
            return raygen.apply(*RECIPE, f"output.run={name}", f"metadata.name={name}")
        except ClusterError as error:
            passes = any(words in str(error) for words in (NO_PARAMETERS, "refused", "EOF", "timed out"))
            if not passes or time.monotonic() > deadline:
                raise
            time.sleep(1)


class Soak:
    """The jobs, the kills, and what was seen meanwhile.

    Attributes:
        kills: What was killed, and of which job.
    """

    def __init__(self, raygen: Raygen, jobs: int, kills: int, seed: int) -> None:
        self.raygen, self.names = raygen, [f"soak-{number:02}" for number in range(1, jobs + 1)]
        self.kills: list[tuple[str, str]] = []
        self._wanted, self._draw = kills, random.Random(seed)
        self._connection = connect(str(real.KUBECONFIG))
        self._uids: dict[str, set[str]] = defaultdict(set)
        self._alive: dict[str, set[str]] = defaultdict(set)
        self._twice: list[str] = []
        self._ends = threading.Event()

    def run(self) -> None:
        """Runs all jobs, some at a time, and kills until the kills are used up; then lets them end."""
        threading.Thread(target=self._look_on, daemon=True).start()
        waiting, running = list(self.names), set[str]()
        kill_at, give_up = time.monotonic() + 20, time.monotonic() + 4 * 3600
        while waiting or running:
            assert time.monotonic() < give_up, f"{running} never end"
            while waiting and len(running) < AT_ONCE:
                submit(self.raygen, name := waiting.pop(0))
                running.add(name)
            if time.monotonic() >= kill_at and len(self.kills) < self._wanted:
                self._kill(self._draw.choice(sorted(running)))
                # So often that jobs are hit again before they have recovered; the last ones run as they would alone.
                kill_at = time.monotonic() + self._draw.uniform(2, 24)
                if len(self.kills) == self._wanted:
                    give_up = time.monotonic() + LONGEST_SECONDS * (len(waiting) / AT_ONCE + 1)
            for name in [name for name in running if self._is_over(name)]:
                running.remove(name)
                print(name, self._job(name)["status"]["attemptCount"], "attempts", flush=True)
            time.sleep(0.5)
        self._ends.set()

    def result(self, expected: dict[int, float]) -> Object:
        """What went wrong, and what there was of everything."""
        failed, different, missing, attempts, causes = [], [], [], {}, Counter[str]()
        compared = 0
        for name in self.names:
            status = self._job(name)["status"]
            summary = next(one for one in status["conditions"] if one["type"] == "Succeeded")
            if summary["status"] != "True":
                failed.append(f"{name}: {summary['reason']}: {summary['message']}")
            logged = self.raygen.losses(name)
            compared += len(logged)
            different += [
                f"{name}: step {step}: {loss}" for step, loss in logged if loss != expected.get(step)
            ]
            missing += [f"{name}: step {step}" for step in sorted(set(expected) - dict(logged).keys())]
            attempts[name] = status["attemptCount"]
            causes.update(one["cause"] for one in status["attempts"])
        return {
            "killed": dict(Counter(kind for kind, _ in self.kills)),
            "attempts": sum(attempts.values()),
            "most_attempts": max(attempts.values()),
            "causes": dict(causes),
            "losses_compared": compared,
            "failed": failed,
            "different": different,
            "missing_steps": missing,
            "two_ray_jobs": [name for name, uids in self._uids.items() if len(uids) > 1] + self._twice,
        }

    def left(self) -> list[str]:
        """Deletes all jobs; what is still there after two minutes."""
        for name in (*self.names, "calm"):
            uid = self._job(name)["metadata"]["uid"]
            self._connection.delete(TRAINING_JOBS, NAMESPACE, name, uid=uid)
        kinds = (RAY_JOBS, RAY_CLUSTERS, PODS)
        with suppress(AssertionError):
            until("all to go", 120, lambda: not any(self._names(kind) for kind in kinds))
        return [f"{kind.kind} {name}" for kind in kinds for name in self._names(kind)]

    def _names(self, kind: Resource) -> list[str]:
        return [one["metadata"]["name"] for one in self._connection.list(kind, NAMESPACE)[0]]

    def _job(self, name: str) -> Object:
        return self._patiently(lambda: self._connection.get(TRAINING_JOBS, NAMESPACE, name))

    def _is_over(self, name: str) -> bool:
        conditions = (self._job(name).get("status") or {}).get("conditions") or ()
        return any(one["type"] == "Succeeded" and one["status"] != "Unknown" for one in conditions)

    def _patiently(self, ask: Callable[[], Any]) -> Any:
        """What the API server says, once it is back."""
        while True:
            try:
                return ask()
            except ApiError as error:
                if error.status not in (0, 429, 500, 503) and not error.is_early:
                    raise
                time.sleep(0.5)

    def _kill(self, job: str) -> None:
        kinds = {
            "operator": self._kill_operator,
            "api server": self._kill_api_server,
            "head": lambda: self._kill_pod(job, "head"),
            "worker": lambda: self._kill_pod(job, "worker"),
            "driver": lambda: self._kill_process(job, "train", "env:RAYGEN_JOB"),
            "training process": lambda: self._kill_process(job, "ray::"),
            "RayJob": lambda: self._delete_ray_job(job),
            "suspend and resume": lambda: self._suspend(job),
        }
        kind = self._draw.choice(sorted(kinds))
        if kinds[kind]():
            self.kills.append((kind, job))
            print(f"{len(self.kills):3} {kind} of {job}", flush=True)

    def _kill_operator(self) -> bool:
        """Its process, and then its pod: kubelets restart a pod after ever longer pauses, and it is killed often here."""
        done = _signalled(lambda command: "operator" in command and "--lease-namespace" in " ".join(command))
        pods = self._patiently(lambda: self._connection.list(PODS, SYSTEM))[0]
        for pod in pods:
            with suppress(ApiError):
                path = PODS.path(SYSTEM, pod["metadata"]["name"])
                self._connection.request("DELETE", path, body={"gracePeriodSeconds": 0})
        return done

    def _kill_api_server(self) -> bool:
        state = str(real.STATE)
        return _signalled(
            lambda command: command[0].endswith("kube-apiserver") and state in " ".join(command)
        )

    def _kill_pod(self, job: str, kind: str) -> bool:
        selector = f"{JOB_LABEL}={job},{RAY_NODE_TYPE}={kind}"
        pods = self._patiently(lambda: self._connection.list(PODS, NAMESPACE, labelSelector=selector))[0]
        pods = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        if not pods:
            return False
        path = PODS.path(NAMESPACE, pods[0]["metadata"]["name"])
        with suppress(ApiError):
            self._connection.request("DELETE", path, body={"gracePeriodSeconds": 0})
            return True
        return False

    def _kill_process(self, job: str, *words: str) -> bool:
        """SIGKILL to a process in one of the job's pods, which are namespaces of this machine."""
        own = f"{job}-r"

        def chosen(process: psutil.Process, command: list[str]) -> bool:
            if not all(any(word in part for part in command) for word in words):
                return False
            return own in process.environ().get("HOSTNAME", "")

        for process in psutil.process_iter(["cmdline"]):
            with suppress(psutil.Error):
                if chosen(process, process.info["cmdline"] or []):
                    process.send_signal(signal.SIGKILL)
                    return True
        return False

    def _delete_ray_job(self, job: str) -> bool:
        found = self._patiently(
            lambda: self._connection.list(RAY_JOBS, NAMESPACE, labelSelector=f"{JOB_LABEL}={job}")
        )[0]
        alive = [one for one in found if not is_over(one) and "deletionTimestamp" not in one["metadata"]]
        if not alive:
            return False
        metadata = alive[-1]["metadata"]
        with suppress(ApiError):
            self._connection.delete(RAY_JOBS, NAMESPACE, metadata["name"], uid=metadata["uid"])
            return True
        return False

    def _suspend(self, job: str) -> bool:
        path = TRAINING_JOBS.path(NAMESPACE, job)
        for value in (True, False):
            body = {"spec": {"suspend": value}}
            self._patiently(
                lambda body=body: self._connection.request("PATCH", path, body=body, content_type=MERGE)
            )
            time.sleep(self._draw.uniform(0, 3))
        return True

    def _look_on(self) -> None:
        """Takes note of every RayJob: which there were, and whether two of a job were alive at once."""
        connection: Connection = connect(str(real.KUBECONFIG))
        while not self._ends.is_set():
            with suppress(ApiError):
                items, version = connection.list(RAY_JOBS, NAMESPACE)
                self._alive.clear()
                for item in items:
                    self._note(item, there=True)
                for event in connection.watch(RAY_JOBS, NAMESPACE, version, seconds=60, silence=90):
                    if event["type"] != "BOOKMARK":
                        self._note(event["object"], there=event["type"] != "DELETED")
            time.sleep(0.2)

    def _note(self, item: Object, *, there: bool) -> None:
        metadata = item["metadata"]
        self._uids[metadata["name"]].add(metadata["uid"])
        alive = self._alive[metadata["labels"][JOB_LABEL]]
        (alive.add if there and not is_over(item) else alive.discard)(metadata["name"])
        if len(alive) > 1:
            self._twice.append(" and ".join(sorted(alive)))


def _signalled(chosen: Callable[[list[str]], bool]) -> bool:
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if command and process.pid != os.getpid() and chosen(command):
            process.send_signal(signal.SIGKILL)
            return True
    return False


if __name__ == "__main__":
    main()
