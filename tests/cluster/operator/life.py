"""The life of the job that the documents are about."""

from __future__ import annotations

from collections.abc import Callable

from raygen.client.jobs import submit
from raygen.jobfile import load
from raygen.kube import RAY_JOBS, TRAINING_JOBS, Connection
from raygen.kube.resources import SECRETS
from tests.cluster.apiserver import ROOT
from tests.cluster.operator.stub import Harmed, Process, Surroundings

SAMPLE = ROOT / "manifests" / "samples" / "gpt.yaml"
NAMESPACE, JOB = "research", "gpt-tiny"


class Life:
    """The life of the documents' job: the operator, KubeRay and the driver move it on."""

    def __init__(self, admin: Connection) -> None:
        self.admin = admin
        self.world = Surroundings(admin, NAMESPACE, JOB)
        self._operator = Process(Harmed(admin), NAMESPACE)
        self.attempt = 0

    def work(self) -> None:
        """The operator does what there is to do."""
        self._operator.work()
        found = self.world.job() if self.exists() else {}
        self.attempt = (found.get("status") or {}).get("attemptCount", 0)

    def exists(self) -> bool:
        found, _ = self.admin.list(TRAINING_JOBS, NAMESPACE)
        return bool(found)

    def clear(self) -> None:
        """The job is gone, and the garbage collector has been there."""
        if self.exists():
            uid = self.world.job()["metadata"]["uid"]
            self.admin.delete(TRAINING_JOBS, NAMESPACE, JOB, uid=uid)
        for one in self.world.ray_jobs():
            self.world.no_pods(int(one["metadata"]["name"].rpartition("r")[2]))
            self.admin.delete(RAY_JOBS, NAMESPACE, one["metadata"]["name"], uid=one["metadata"]["uid"])
        self.attempt = 0

    def trains(self, step: int = 120, first: int = 1) -> None:
        """Its pods run, and the driver has done some steps."""
        self.work()
        if not self.world.job()["status"].get("driver"):
            self.world.runs(self.attempt)
        numbers = {"steps": 2000, "loss": 1.5, "throughput": 900.0, "eta": "1m", "goodput": 0.9}
        checkpoint = {"checkpoint": step // 250 * 250} if step >= 250 else {}
        self.world.driver(self.attempt, step, first, more=numbers | checkpoint)
        self.work()

    def rests(self) -> None:
        """A job that was asked to leaves a checkpoint, and its pods go."""
        attempt = self.attempt
        self.work()
        self.world.no_pods(attempt)
        self.work()

    def ends(self, *, well: bool) -> None:
        """The driver ends, and its RayJob."""
        state = "Succeeded" if well else "Failed"
        reason, code = ("Completed", 0) if well else ("DataError", 2)
        self.world.driver(
            self.attempt, 2000, state=state, reason=reason, message=f"{reason} it is", exitCode=code
        )
        self.world.over(self.attempt, succeeded=well)
        self.work()

    def again(self, *, well: bool | None = None) -> Callable[[], None]:
        """Another life of the same job, which trains, or has ended already."""

        def begin() -> None:
            self.clear()
            self.submit()
            self.trains()
            if well is not None:
                self.ends(well=well)

        return begin

    def submit(self) -> None:
        submit(self.admin, load(SAMPLE).job, NAMESPACE)
        self.work()

    def token(self) -> None:
        """KubeRay has made the Secret of the dashboard."""
        name = f"{JOB}-r{self.attempt}-c"
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE}}
        self.admin.create(SECRETS, NAMESPACE, secret | {"data": {"auth_token": "dG9rZW4="}})
