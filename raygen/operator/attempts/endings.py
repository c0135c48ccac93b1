"""How an attempt ended, and whether another follows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from raygen.kube.bodies import Body, Fields
from raygen.operator.rayjob.explain import DISRUPTIONS, PREPARATION_MEMORY, TRAINING_MEMORY
from raygen.operator.rayjob.trouble import Trouble
from raygen.spec.job.guards import GUARDS
from raygen.spec.names import DRIVER_RESOURCE, LOW_MEMORY

FINISHED = {"Complete", "Failed"}
"""Values of a RayJob's jobDeploymentStatus from which nothing follows (ray.io/v1)."""
REFUSED = "ValidationFailed"
"""The value for a RayJob that KubeRay does not take."""
FREE = DISRUPTIONS | {"Suspended", "SpecChanged", "RayJobDeleted", "Stopped", "Prepared"}
"""Causes that do not count against `attempts.limit`."""
FINAL = {"Completed", "EarlyStopped", "AlreadyComplete", "DeadlineExceeded", "InputWrong", "RayJobRefused"}
FIRST_PAUSE, LONGEST_PAUSE = 10, 300
_TRANSPORT = re.compile(r"gloo|nccl", re.IGNORECASE)
_TIMED_OUT = re.compile(
    r"time[d]?[ -]?out|connection (closed|reset)|watchdog|network error|remote process exited", re.IGNORECASE
)
# Of the driver, and of Ray's memory monitor, which ends workers shortly before the kernel would.
_LOW_MEMORY = re.compile(
    rf"{LOW_MEMORY}|RAY_memory_usage_threshold|running low on memory|memory pressure \(OOM\)"
)
# Of a Ray cluster in whose head there was no place for the driver (dashboard/modules/job/job_manager.py).
_UNPLACED = "Job supervisor actor failed to start within"
_SPECIFIC = {"CheckpointError", "FencedError", "OutOfMemoryError"}
"""Errors of a driver that lost pods do not explain."""
_EXIT = re.compile(r"exit code (\d+)")
MAX_TEXT = 900


@dataclass(frozen=True)
class Ending:
    """How an attempt ended.

    Attributes:
        cause: One CamelCase word.
        message: What happened and what to do.
        succeeded: Whether the job is done.
        final: Whether no other attempt would help.
    """

    cause: str
    message: str
    succeeded: bool = False
    final: bool = False

    @property
    def counts(self) -> bool:
        """Whether it counts against `attempts.limit`."""
        return not self.succeeded and self.cause not in FREE


@dataclass(frozen=True)
class Place:
    """Where an attempt ran, and what for.

    Attributes:
        memory: What a worker may use.
        shared: The RayCluster that it shared with other jobs; "" if it had its own.
        prepares: Whether it prepared data, and did not train.
    """

    memory: str = ""
    shared: str = ""
    prepares: bool = False

    @property
    def goes_on(self) -> str:
        """What follows for an attempt that was stopped, as a sentence."""
        if self.prepares:
            return "What it has prepared stays, and the next attempt goes on."
        return "It left a checkpoint and goes on."


def is_over(ray_job: Body) -> bool:
    """Whether nothing follows from this RayJob any more."""
    state = ray_job.get("status", {}).get("jobDeploymentStatus", "")
    return state in FINISHED or state == REFUSED


def without_gain(ended: Sequence[Fields]) -> int:
    """How many attempts in a row, up to the newest, got no further than those before, though nobody wanted them to end."""
    count = 0
    for place in range(len(ended) - 1, -1, -1):
        before = max((one.get("lastStep", 0) for one in ended[:place]), default=0)
        one = ended[place]
        if one["cause"] in ("Suspended", "SpecChanged", "Prepared") or one.get("lastStep", 0) > before:
            break
        count += 1
    return count


def conclude(
    ray_job: Body | None,
    outcome: Fields | None,
    seen: Sequence[Trouble],
    place: Place = Place(),
) -> Ending:
    """How an attempt ended whose RayJob is over.

    Args:
        ray_job: The RayJob; None if it is gone.
        outcome: The driver's last words, if they are this RayJob's.
        seen: What was wrong with its pods.
        place: Where it ran.
    """
    status = ray_job.get("status", {}) if ray_job is not None else {}
    if status.get("jobDeploymentStatus") == REFUSED:
        message = f"KubeRay refuses the RayJob: {_short(status.get('message', ''))} Report this: it is raygen's fault."
        return Ending("RayJobRefused", message, final=True)
    if status.get("jobStatus") == "SUCCEEDED" or (outcome or {}).get("state") == "Succeeded":
        reason = (outcome or {}).get("reason", "Completed")
        message = (outcome or {}).get("message") or "The driver ended without an error."
        return Ending(reason, message, succeeded=True, final=True)
    said = outcome["message"] if outcome is not None else status.get("message", "")
    if _LOW_MEMORY.search(said) and not any(one.reason == "OutOfMemory" for one in seen):
        seen = [Trouble("OutOfMemory", _low_memory(place)), *seen]
    return _told(outcome, seen, place.goes_on) if outcome is not None else _untold(status, seen)


def _low_memory(place: Place) -> str:
    if place.shared:
        return (
            f"Ray ended processes of this job where memory ran low in the RayCluster {place.shared}: in its head, where the drivers"
            " of all its jobs are, or in a worker. Have the head or the workers given more memory, or send fewer jobs there"
            " at once."
        )
    remedy = PREPARATION_MEMORY if place.prepares else TRAINING_MEMORY
    return (
        f"Ray or the kernel ended a worker that came near its limit of {place.memory or 'memory'}. {remedy}"
    )


def _told(outcome: Fields, seen: Sequence[Trouble], goes_on: str) -> Ending:
    reason, message = outcome["reason"], _short(outcome["message"])
    if outcome.get("remedy"):
        message += f" {_short(outcome['remedy'])}"
    if outcome["state"] == "Stopped":
        disruption = next((one for one in seen if one.reason in DISRUPTIONS), None)
        if disruption is not None:
            return Ending(disruption.reason, f"{disruption.message} {goes_on}")
        return Ending("Stopped", f"{message} {goes_on}")
    if outcome["exitCode"] == 2:
        return Ending(reason, message, final=True)
    if reason in GUARDS or reason in ("GateFailed", "ModelError", "TrialsFailedError"):
        return Ending(reason, message, final=True)
    if reason in _SPECIFIC:
        return Ending(reason, message)
    memory = next((one for one in seen if one.reason == "OutOfMemory"), None)
    if memory is not None:
        return Ending("OutOfMemory", memory.message)
    disruption = next((one for one in seen if one.reason in DISRUPTIONS), None)
    if disruption is not None:
        return Ending(disruption.reason, disruption.message)
    if _TRANSPORT.search(message) and _TIMED_OUT.search(message):
        remedy = "Check that workers reach each other on all ports (NetworkPolicy), and NCCL_SOCKET_IFNAME of the runtime."
        return Ending("CommunicationTimeout", f"{message} {remedy}")
    return Ending(reason, message)


def _untold(status: Fields, seen: Sequence[Trouble]) -> Ending:
    """The driver left no last words."""
    worst = next((one for one in seen if one.reason in DISRUPTIONS | {"OutOfMemory"}), None)
    if worst is not None:
        return Ending(worst.reason, worst.message)
    said, reason = _short(status.get("message", "")), status.get("reason", "")
    code = _EXIT.search(said)
    if code is not None and code[1] == "2":
        return Ending("InputWrong", f"{said} Fix what it names, and apply the job again.", final=True)
    if code is not None:
        return Ending("DriverFailed", f"{said} The run directory has outcome.json and logs.")
    if _UNPLACED in said:
        remedy = (
            f"Wait until other jobs of the RayCluster end, or have its head given more of Ray's resource {DRIVER_RESOURCE}"
            " (the chart's cluster.maxJobs) and of memory."
        )
        return Ending("DriverUnplaced", f"the shared cluster had no place for the driver: {said} {remedy}")
    if reason == "JobStatusCheckTimeoutExceeded":
        said = f"Ray's dashboard in the head pod did not answer: {said} Look at the head pod's node."
        return Ending("HeadLost", said)
    detail = f" KubeRay says: {reason}: {said}" if said or reason else ""
    return Ending(
        "DriverLost",
        f"the driver exited without reporting an outcome, for example because its pod was killed.{detail}",
    )


def pause(failures: int) -> int:
    """How long the next attempt waits after this many failures in a row, in seconds."""
    return 0 if failures <= 1 else int(min(FIRST_PAUSE * 2.0 ** (failures - 2), LONGEST_PAUSE))


def _short(text: str) -> str:
    text = " ".join(str(text).split())
    # The last lines of a log say more than the first.
    text = text if len(text) <= MAX_TEXT else "… " + text[-MAX_TEXT:]
    return text if not text or text.endswith((".", "!", "?", "…")) else text + "."
