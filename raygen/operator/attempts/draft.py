"""A plan while it is made: what is seen, the status as it is to be, and what is to be done."""

from __future__ import annotations

import copy

from raygen.controller import conditions
from raygen.controller.conditions import RUNNING, SUCCEEDED, SUSPENDED, VALIDATED, moment, stamp
from raygen.controller.events import Note
from raygen.kube.bodies import Body, Condition, Fields, Metadata
from raygen.kube.resources import RAY_JOBS, Resource
from raygen.operator.attempts.endings import Ending
from raygen.operator.attempts.model import Deletion, Observed, Plan
from raygen.operator.rayjob.render import job_hash, ray_job_name
from raygen.operator.rayjob.trouble import Trouble
from raygen.operator.stored import cluster_of, shared_cluster
from raygen.spec.job.cluster import Attempts
from raygen.spec.names import HASH_ANNOTATION, RAY_JOB_LABEL
from raygen.spec.status import MAX_ATTEMPTS, PREPARATION

OWN = (
    "conditions",
    "observedGeneration",
    "startTime",
    "activeSeconds",
    "completionTime",
    "attempts",
    "attemptCount",
    "failedAttempts",
    "driver",
    "run",
    "dashboardUrl",
    "prepared",
    "endedWith",
)
"""The part of the status that the operator applies."""


def own_part(status: Fields) -> Fields:
    """What of a status the operator says."""
    return {key: status[key] for key in OWN if key in status}


class Draft:
    """A plan in the making; `status` is changed in place until it is what it should be.

    Attributes:
        seen: The cluster's state around the job.
        work: The job's kind.
        grants: The runtime's spec; empty if there is none.
        obstacle: Why the RayJob that was to be made could not be.
        is_fresh: Whether the job and the RayJob of its attempt were read just now.
        result: The plan.
    """

    def __init__(self, observed: Observed, obstacle: Trouble | None, is_fresh: bool) -> None:
        self.seen, self.obstacle, self.is_fresh = observed, obstacle, is_fresh
        self.work = observed.work
        self.metadata, self.spec = observed.job["metadata"], observed.job["spec"]
        self.grants: Fields = observed.runtime["spec"] if observed.runtime is not None else {}
        told = observed.job.get("status") or {}
        self.status = copy.deepcopy(own_part(told))
        self.progress, self.outcome = told.get("progress") or {}, told.get("outcome")
        self.preparation: Fields = told.get("preparation") or {}
        self.conditions: list[Condition] = self.status.setdefault("conditions", [])
        self.attempts: list[Fields] = self.status.setdefault("attempts", [])
        self.result = Plan()

    def is_finished(self) -> bool:
        """Whether the job has ended for good."""
        summary = conditions.find(self.conditions, SUCCEEDED)
        return summary is not None and summary["status"] != "Unknown"

    def current(self) -> Fields | None:
        """The attempt that has not ended."""
        last = self.attempts[-1] if self.attempts else None
        return last if last is not None and "ended" not in last else None

    def pods(self, ray_job: str) -> list[Body]:
        """The pods of a RayJob; of one that shares its cluster, the head pod of that."""
        own = [pod for pod in self.seen.pods if pod["metadata"]["labels"].get(RAY_JOB_LABEL) == ray_job]
        return own or self.shared_heads(ray_job)

    def shared_heads(self, ray_job: str) -> list[Body]:
        """Head pods of the cluster that a RayJob shares with others; none if it has its own."""
        names = {
            one["rayCluster"] for one in self.attempts if one["rayJob"] == ray_job and "rayCluster" in one
        }
        for one in self.seen.ray_jobs:
            if one["metadata"]["name"] == ray_job:
                names.add(shared_cluster(one))
        return [pod for pod in self.seen.shared_heads if cluster_of(pod) in names]

    def starting(self, number: int, again: str = "") -> str:
        """What an attempt does before its first step."""
        if self.shared_cluster:
            where = f"the RayCluster {self.shared_cluster}{again}, and starts once that has room for its driver and workers"
            return f"Attempt {number} was handed to {where}."
        purpose = ", to prepare the data" if self.attempts[-1].get("stage") == PREPARATION else ""
        return f"Attempt {number} starts its pods and its driver{again}{purpose}."

    @property
    def shared_cluster(self) -> str:
        """The RayCluster that the runtime sends jobs to; "" if each gets its own."""
        return str(self.grants.get("sharedCluster") or "")

    def add_attempt(self, number: int, started: str, stage: str) -> None:
        """Takes note of an attempt that has begun; `stage` is "" if it trains."""
        name = ray_job_name(self.metadata["name"], number, self.work.resource.kind)
        made = {"number": number, "rayJob": name, "started": started}
        ray_job = next((one for one in self.seen.ray_jobs if one["metadata"]["name"] == name), None)
        told = (ray_job["metadata"].get("annotations") or {}).get(HASH_ANNOTATION) if ray_job else None
        if self.work.reopens:
            made["specHash"] = told or job_hash(self.seen.job)
        self.attempts.append(made | ({"stage": stage} if stage else {}))
        del self.attempts[:-MAX_ATTEMPTS]
        self.status["attemptCount"] = max(number, self.status.get("attemptCount", 0))
        self.status.setdefault("startTime", started)
        self.status["run"] = self.work.directory(self.spec, self.metadata["name"])
        self.put(VALIDATED, True, "Valid", "")
        if conditions.find(self.conditions, SUSPENDED) is not None:
            self.put(SUSPENDED, False, "Resumed", "")
        said = f"Attempt {number} was started as RayJob {self.attempts[-1]['rayJob']}."
        self.result.notes.append(Note("AttemptStarted", said))

    def end(self, attempt: Fields, ending: Ending) -> None:
        """Takes note of how an attempt ended, and of what follows for the job."""
        number = attempt["number"]
        attempt |= {
            "ended": stamp(self.seen.now),
            "cause": ending.cause,
            "message": ending.message[:1024],
        }
        attempt.pop("trouble", None)
        if self.progress.get("rayJob") == attempt["rayJob"]:
            attempt["lastStep"] = self.progress["step"]
        attempt.pop("stopping", None)
        for name in ("driver", "dashboardUrl"):
            self.status.pop(name, None)
        self.put(RUNNING, False, "NotTraining", "")
        if ending.succeeded:
            self.finish(True, ending.cause, ending.message)
            return
        said = f"Attempt {number} ended: {ending.message}"
        is_asked_for = ending.cause in ("Suspended", "SpecChanged", "Prepared")
        self.result.notes.append(Note(ending.cause, said, warning=not is_asked_for))
        failures = self.status.get("failedAttempts", 0) + ending.counts
        self.status["failedAttempts"] = failures
        limit = (self.spec.get("attempts") or {}).get("limit") or Attempts().limit
        if ending.final:
            self.finish(False, ending.cause, ending.message)
        elif ending.counts and failures >= limit:
            more = f" {failures} attempts failed, and attempts.limit is {limit}."
            self.finish(False, ending.cause, ending.message + more)

    def pause_clock(self, until: str | None = None) -> None:
        """From a time on, by default now, no time of activity passes; what has passed is kept."""
        since = self.status.pop("startTime", None)
        if since is not None:
            end = self.seen.now if until is None else moment(until)
            passed = int((end - moment(since)).total_seconds())
            self.status["activeSeconds"] = self.status.get("activeSeconds", 0) + max(passed, 0)

    def finish(self, succeeded: bool, reason: str, message: str) -> None:
        """Ends the job for good."""
        self.put(SUCCEEDED, succeeded, reason, message)
        if self.work.reopens:
            # Of the attempt that ended, which may not have had the newest spec.
            self.status["endedWith"] = self._ran_with() or job_hash(self.seen.job)
        self.put(RUNNING, False, "Finished", "")
        self.status["completionTime"] = stamp(self.seen.now)
        if succeeded:
            self.result.notes.append(Note(reason, message))

    def _ran_with(self) -> str:
        """Digest of the spec that the newest attempt was made from; "" where nobody knows."""
        return str(self.attempts[-1].get("specHash", "")) if self.attempts else ""

    def reopen(self) -> bool:
        """Has an object go on that had ended, if its kind can and its spec is another one by now; whether it does."""
        if not self.work.reopens or self.status.get("endedWith") in (None, job_hash(self.seen.job)):
            return False
        self.pause_clock(self.status.get("completionTime"))
        for name in ("endedWith", "completionTime", "failedAttempts"):
            self.status.pop(name, None)
        said = f"The {self.work.noun} had ended, and was changed; it goes on."
        self.tell(None, "Starting", said)
        self.result.notes.append(Note("Reopened", said))
        return True

    def tell(self, status: bool | None, reason: str, message: str) -> None:
        """Sets the summary condition."""
        self.put(SUCCEEDED, status, reason, message)

    def put(self, kind: str, status: bool | None, reason: str, message: str) -> None:
        """Sets a condition."""
        conditions.put(
            self.conditions,
            kind,
            status,
            reason,
            message,
            now=self.seen.now,
            generation=self.metadata.get("generation", 0),
        )

    def delete(self, ray_job: Body) -> None:
        """Has a RayJob deleted."""
        self.result.delete.append(self.deletion(RAY_JOBS, ray_job["metadata"]))

    def deletion(self, resource: Resource, metadata: Metadata) -> Deletion:
        """The order to delete an object."""
        return Deletion(resource, metadata["namespace"], metadata["name"], metadata["uid"])

    def settle(self) -> None:
        """Puts the status into the plan, if it is another one now."""
        generation = self.metadata.get("generation", 0)
        self.status["observedGeneration"] = generation
        # Those that nothing has changed hold for this generation too; `kubectl wait` takes no older ones.
        for condition in self.conditions:
            condition["observedGeneration"] = generation
        if not self.attempts:
            del self.status["attempts"]
        if self.status != own_part(self.seen.job.get("status") or {}):
            self.result.status = self.status
