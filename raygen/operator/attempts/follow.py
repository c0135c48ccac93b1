"""The attempt that runs: how it goes, and whether it has to end."""

from __future__ import annotations

from raygen.controller import conditions
from raygen.controller.conditions import RUNNING, SUCCEEDED, VALIDATED, moment, stamp
from raygen.controller.events import Note
from raygen.kube.bodies import Body, Fields
from raygen.operator.attempts import endings, stored_job
from raygen.operator.attempts.check import Refusal, examine, refuse
from raygen.operator.attempts.draft import Draft
from raygen.operator.attempts.endings import Ending, Place
from raygen.operator.attempts.policies import autoscaling, deadline, gang, preparation, recovery, suspend
from raygen.operator.rayjob import head
from raygen.operator.rayjob.explain import CHECK_KUBERAY, DISRUPTIONS, troubles
from raygen.operator.rayjob.render import JOIN_SECONDS, job_hash
from raygen.operator.rayjob.trouble import Trouble
from raygen.operator.stored import shared_cluster
from raygen.spec.names import HASH_ANNOTATION
from raygen.spec.runtime import DEFAULT_HEAD_LOST_SECONDS, DEFAULT_STOP_SECONDS

WAITING_SECONDS = 15.0
"""After which pods that wait are looked at once more."""
PODS_SECONDS = 30.0
"""That the pods of a RayJob that is gone get beyond their own time to stop."""
RECOVERED_SECONDS = 60.0
"""After which steps show that what befell the pods is over: drivers write every ten, and notice a lost worker in between."""
STUCK_SECONDS = 180.0
"""After which a RayJob that is being deleted should be gone."""

_DELETED = Ending("RayJobDeleted", "Its RayJob was deleted by somebody else; the next attempt goes on.")


def follow(draft: Draft, attempt: Fields) -> None:
    """Takes note of how an attempt goes; ends it if it is over, gone, or has to stop."""
    name = attempt["rayJob"]
    ray_job = next((one for one in draft.seen.ray_jobs if one["metadata"]["name"] == name), None)
    if ray_job is None and not draft.is_fresh:
        # It may only be unknown to a watch that lags behind.
        draft.result.needs_reading = name
        return
    found = troubles(draft.pods(name), ray_job, draft.seen.now, draft.seen.warnings)
    away = recovery.Absence() if ray_job is None else recovery.absent(draft, attempt, ray_job)
    _remember(draft, attempt, found, away)
    if ray_job is None or endings.is_over(ray_job):
        _conclude(draft, attempt, ray_job, found)
        return
    cluster = ray_job.get("status", {}).get("rayClusterName")
    if cluster:
        if attempt.get("rayCluster", cluster) != cluster:
            # KubeRay made another one, with the pods that it begins with.
            attempt.pop("workers", None)
        attempt["rayCluster"] = cluster
    _note_progress(draft, attempt)
    if _is_held(ray_job):
        # Waiting for quota is no time of activity, and no head is missing.
        draft.pause_clock(None if "driver" in draft.status else attempt["started"])
        for key in ("driver", "dashboardUrl"):
            draft.status.pop(key, None)
    elif gang.is_waiting(draft, name):
        # Nor is waiting for room for all pods.
        draft.pause_clock(attempt["started"])
    elif shared_cluster(ray_job) and _waits_for_room(draft, attempt, ray_job):
        # Nor for room in a shared cluster.
        draft.pause_clock(attempt["started"])
        _note_driver(draft, attempt, ray_job)
    else:
        draft.status.setdefault("startTime", stamp(draft.seen.now))
        _note_driver(draft, attempt, ray_job)
    if "cause" not in attempt:
        gone = ray_job["metadata"].get("deletionTimestamp")
        reason = _DELETED if gone else _reason_to_stop(draft, attempt, ray_job)
        if reason is not None:
            attempt["cause"], attempt["message"] = reason.cause, reason.message[:1024]
    if "cause" in attempt and not ray_job["metadata"].get("deletionTimestamp"):
        draft.delete(ray_job)
    autoscaling.scale(draft, attempt, ray_job)
    _tell_stage(draft, attempt, ray_job, found)


def _waits_for_room(draft: Draft, attempt: Fields, ray_job: Body) -> bool:
    """Whether an attempt may still wait for others to leave it a place for its driver, or workers.

    For workers it waits in the driver, and no longer than twice JOIN_SECONDS. What takes longer is no waiting.
    """
    if "firstStep" in attempt:
        return False
    if ray_job.get("status", {}).get("jobStatus") == "RUNNING":
        attempt.setdefault("driverStarted", stamp(draft.seen.now))
    since = attempt.get("driverStarted")
    return since is None or (draft.seen.now - moment(since)).total_seconds() < 2 * JOIN_SECONDS


def _is_held(ray_job: Body) -> bool:
    """Whether somebody keeps the RayJob from running: Kueue, until there is quota."""
    return bool(ray_job.get("spec", {}).get("suspend"))


def _remember(draft: Draft, attempt: Fields, found: list[Trouble], away: recovery.Absence) -> None:
    """Keeps what ends attempts: the pods that show it may be gone when the end is seen. Steps show that it is over."""
    one = next((one for one in found if one.reason in DISRUPTIONS | {"OutOfMemory"}), None)
    known = attempt.get("trouble")
    if one is not None:
        fresh = {"reason": one.reason, "message": one.message[:1024]}
        if known is None or {**known, **fresh} != known:
            attempt["trouble"] = fresh | {"time": stamp(draft.seen.now)}
        return
    if known is not None and recovery.does_steps(draft, attempt):
        # Written by an operator that took no note of the time, it is as old as the attempt.
        seen = moment(known.get("time", attempt["started"]))
        if (moment(draft.progress["time"]) - seen).total_seconds() > RECOVERED_SECONDS:
            del attempt["trouble"]
    if recovery.is_recovering(draft, attempt, away):
        recovery.remember(draft, attempt, away)


def _conclude(draft: Draft, attempt: Fields, ray_job: Body | None, found: list[Trouble]) -> None:
    outcome = draft.outcome if (draft.outcome or {}).get("rayJob") == attempt["rayJob"] else None
    if outcome is None and not draft.is_fresh:
        draft.result.needs_reading = attempt["rayJob"]
        return
    known = attempt.get("trouble")
    remembered = [Trouble(known["reason"], known["message"])] if known else []
    _note_progress(draft, attempt)
    shared = attempt.get("rayCluster", "") if draft.shared_heads(attempt["rayJob"]) else ""
    place = Place(_memory(draft, attempt), shared, preparation.prepares(attempt))
    ending = _ending(attempt, ray_job, outcome, [*found, *remembered], place)
    ending = preparation.concluded(draft, attempt, ending, outcome)
    told_all = outcome is not None and bool(shared)
    if ray_job is not None or told_all or not _pods_end(draft, attempt, ending):
        draft.end(attempt, ending)


def _memory(draft: Draft, attempt: Fields) -> str:
    """The limit of a worker."""
    defaults = draft.grants.get("defaults") or {}
    spec = (draft.spec.get("template") or {}).get("spec") or draft.spec
    asked = spec.get("preparation" if preparation.prepares(attempt) else "scale") or {}
    return asked.get("memoryPerWorker") or defaults.get("memoryPerWorker") or ""


def _ending(
    attempt: Fields,
    ray_job: Body | None,
    outcome: Fields | None,
    seen: list[Trouble],
    place: Place,
) -> Ending:
    """How an attempt ended."""
    decided = _decided(attempt)
    if ray_job is not None or outcome is not None:
        told = endings.conclude(ray_job, outcome, seen, place)
        # A driver that was asked to stop may have been done by then.
        if told.succeeded or (decided is None and ray_job is not None):
            return told
        failed = outcome is not None and outcome["state"] == "Failed"
        if failed and (decided is None or decided.cause == _DELETED.cause):
            return told
    return decided or _DELETED


def _pods_end(draft: Draft, attempt: Fields, ending: Ending) -> bool:
    """Whether pods of a RayJob that is gone may still write their checkpoint: until then the attempt has not ended.

    Pods of a shared cluster stay, so there the driver's last words say it.
    """
    over = ("Succeeded", "Failed")
    if all(pod.get("status", {}).get("phase") in over for pod in draft.pods(attempt["rayJob"])):
        return False
    since = attempt.setdefault("stopping", stamp(draft.seen.now))
    limit = (draft.grants.get("stopSeconds") or DEFAULT_STOP_SECONDS) + PODS_SECONDS
    left = limit - (draft.seen.now - moment(since)).total_seconds()
    if left <= 0:
        return False
    said = f"Attempt {attempt['number']} is stopping, its pods end: {ending.message}"
    draft.tell(None, "Stopping", said)
    draft.put(RUNNING, False, "NotTraining", "")
    draft.result.look_again(left)
    return True


def _decided(attempt: Fields) -> Ending | None:
    """The end that was decided here, if it was."""
    if "cause" not in attempt:
        return None
    cause = attempt["cause"]
    return Ending(cause, attempt.get("message", ""), final=cause in endings.FINAL)


def _note_progress(draft: Draft, attempt: Fields) -> None:
    if draft.progress.get("rayJob") != attempt["rayJob"]:
        return
    if "firstStep" not in attempt and stored_job.has_begun(draft.progress):
        attempt["firstStep"] = draft.progress["firstStep"]
        earlier = next((one for one in draft.attempts[-2::-1] if "lastStep" in one), None)
        if earlier is not None:
            earlier["lostSteps"] = max(0, earlier["lastStep"] - attempt["firstStep"] + 1)


def _note_driver(draft: Draft, attempt: Fields, ray_job: Body) -> None:
    status = ray_job.get("status", {})
    name = ray_job["metadata"]["name"]
    before = draft.status.get("driver")
    driver = head.driver_of(
        before,
        head.head_pod(draft.pods(name)),
        started=status.get("jobDeploymentStatus") == "Running",
        now=draft.seen.now,
    )
    if driver is not None:
        if before is not None and before["podUid"] != driver["podUid"]:
            attempt["lostHeads"] = attempt.get("lostHeads", 0) + 1
            said = f"The head pod {before['podName']} is gone; {driver['podName']} takes its place, and the run goes on"
            draft.result.notes.append(
                Note("HeadReplaced", f"{said} from {draft.work.continues}.", warning=True)
            )
        draft.status["driver"] = driver
        if status.get("dashboardURL"):
            draft.status["dashboardUrl"] = f"http://{status['dashboardURL']}"


def _reason_to_stop(draft: Draft, attempt: Fields, ray_job: Body) -> Ending | None:
    wanted = suspend.reason_to_stop(draft)
    if wanted is not None:
        return wanted
    return _out_of_date(draft, ray_job) or (None if _is_held(ray_job) else _time_is_up(draft, attempt))


def _out_of_date(draft: Draft, ray_job: Body) -> Ending | None:
    """Whether the job has changed; into something that may not run, and then the attempt goes on as it is."""
    told = conditions.find(draft.conditions, VALIDATED)
    if ray_job["metadata"].get("annotations", {}).get(HASH_ANNOTATION) == job_hash(draft.seen.job):
        if told is not None and told["status"] == "False":
            draft.put(VALIDATED, True, "Valid", "")
        return None
    read = examine(draft.seen)
    if isinstance(read, Refusal):
        refuse(draft, read)
        return None
    draft.put(VALIDATED, True, "Valid", "")
    return Ending("SpecChanged", f"The {draft.work.noun} was changed; it goes on with the change.")


def _time_is_up(draft: Draft, attempt: Fields) -> Ending | None:
    """The deadline, and a head that stays away."""
    before = draft.status.get("activeSeconds", 0)
    left = deadline.seconds_left(
        draft.spec, draft.seen.runtime, draft.status.get("startTime"), draft.seen.now, before
    )
    if left is not None and left <= 0:
        return Ending(
            "DeadlineExceeded",
            f"The {draft.work.noun} was active for as long as activeDeadlineSeconds or its runtime allows."
            f" To go on from {draft.work.continues}, delete it and apply it again with a longer time.",
            final=True,
        )
    if left is not None:
        draft.result.look_again(left)
    limit = draft.grants.get("headLostSeconds") or DEFAULT_HEAD_LOST_SECONDS
    wait = head.seconds_until_lost(draft.status.get("driver"), limit, draft.seen.now)
    if wait is not None and wait <= 0:
        known = attempt.get("trouble")
        if known is not None and known["reason"] in DISRUPTIONS:
            return Ending(known["reason"], known["message"])
        driver = draft.status["driver"]
        return Ending(
            "HeadLost",
            f"The head pod {driver['podName']} on node {driver.get('nodeName', 'unknown')} was not ready for"
            f" {limit} s. Look at that node; the next attempt goes on from {draft.work.continues}.",
        )
    if wait is not None:
        draft.result.look_again(wait)
    return None


def _trains(draft: Draft, attempt: Fields, ray_job: Body, away: recovery.Absence) -> bool:
    """Whether steps are being done, by the driver that is there."""
    if "firstStep" not in attempt or "cause" in attempt or _is_held(ray_job):
        return False
    if recovery.is_recovering(draft, attempt, away):
        return False
    pod = head.head_pod(draft.pods(attempt["rayJob"]))
    if pod is None or draft.progress.get("rayJob") != attempt["rayJob"]:
        return "driver" in draft.status
    return not recovery.has_new_head(draft, attempt)


def _is_beside(draft: Draft, trouble: Trouble) -> bool:
    """Whether an attempt that trains loses nothing by it: pods that will be deleted, or, of a sweep, more pods than there is room for."""
    waits = draft.work.is_independent and trouble.reason in ("Unschedulable", "PodWaits")
    return waits or trouble.reason == "PodsNotDeleted"


def _tell_stage(draft: Draft, attempt: Fields, ray_job: Body, found: list[Trouble]) -> None:
    number = attempt["number"]
    away = recovery.absent(draft, attempt, ray_job)
    trains = _trains(draft, attempt, ray_job, away)
    draft.put(RUNNING, trains, "Training" if trains else "NotTraining", "")
    if "cause" in attempt:
        said = f"Attempt {number} is stopping, with a checkpoint if it can: {attempt['message']}"
        since = ray_job["metadata"].get("deletionTimestamp")
        if since is not None and (draft.seen.now - moment(since)).total_seconds() > STUCK_SECONDS:
            said += f" KubeRay has not removed the RayJob {attempt['rayJob']} since {since}: {CHECK_KUBERAY}"
        draft.tell(None, "Stopping", said)
        draft.result.look_again(STUCK_SECONDS)
    elif _is_held(ray_job):
        queue = (draft.spec.get("scheduling") or {}).get("queueName")
        draft.tell(
            None,
            "Queued",
            f"Attempt {number} waits in the queue {queue} for quota."
            if queue
            else f"Attempt {number} waits: spec.suspend of its RayJob {attempt['rayJob']} is true, which somebody"
            " else has set. Set it to false.",
        )
    elif not trains and gang.is_passed_over(draft, ray_job):
        gang.tell_passed_over(draft)
        draft.result.look_again(WAITING_SECONDS)
    elif gang.is_waiting(draft, attempt["rayJob"]) and gang.explains(found):
        draft.tell(None, "Queued", f"Attempt {number} {gang.told(draft, attempt['rayJob'])}")
        draft.result.look_again(WAITING_SECONDS)
    elif found and not (trains and _is_beside(draft, found[0])):
        told = conditions.find(draft.conditions, SUCCEEDED)
        if told is None or told["reason"] != found[0].reason:
            draft.result.notes.append(Note(found[0].reason, found[0].message, warning=True))
        behind = "" if trains else recovery.last_step(draft, attempt)
        draft.tell(None, found[0].reason, f"{found[0].message} {behind}".rstrip())
        draft.result.look_again(WAITING_SECONDS)
    elif recovery.is_recovering(draft, attempt, away) and not recovery.has_new_head(draft, attempt):
        summary = conditions.find(draft.conditions, SUCCEEDED)
        message = recovery.message(draft, attempt, away)
        if summary is None or summary["reason"] != "Recovering":
            draft.result.notes.append(Note("Recovering", message, warning=True))
        draft.tell(None, "Recovering", message)
        draft.result.look_again(WAITING_SECONDS)
    elif trains:
        since = (
            ""
            if draft.work.is_independent
            else f", from step {draft.progress.get('firstStep', attempt['firstStep'])}"
        )
        again = (
            f"; its head pod was lost {attempt['lostHeads']} times so far" if "lostHeads" in attempt else ""
        )
        silent, wait = recovery.silent_since(draft, attempt)
        silence = f"; its driver has told nothing since {silent}" if silent else ""
        beside = f" {found[0].message}" if found else ""
        draft.tell(None, "Training", f"Attempt {number} trains{since}{again}{silence}.{beside}")
        draft.result.look_again(wait)
    elif preparation.is_under_way(draft, attempt):
        draft.tell(None, "PreparingData", preparation.message(attempt))
        draft.result.look_again(WAITING_SECONDS)
    else:
        again = " again, after its head pod was lost" if "lostHeads" in attempt else ""
        draft.tell(None, "Starting", draft.starting(number, again))
        draft.result.look_again(WAITING_SECONDS)
