"""Reconciles: reads what is known of a job or sweep, plans, and does what the plan says."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from raygen.controller.events import Note
from raygen.controller.queue import Key, Urgency
from raygen.controller.reflector import Listener
from raygen.controller.store import place_of
from raygen.kube import EVENTS, RAY_CLUSTERS, RAY_JOBS, ApiError
from raygen.kube.bodies import Body, Fields
from raygen.operator import stored
from raygen.operator.attempts import stored_job, watches
from raygen.operator.attempts.model import Observed, Plan, Scaling
from raygen.operator.attempts.plan import plan
from raygen.operator.attempts.work import Work
from raygen.operator.kind import Tools, Watch
from raygen.operator.rayjob.explain import troubles, waits_long
from raygen.operator.rayjob.trouble import Trouble
from raygen.spec.names import JOB_LABEL, OPERATOR_MANAGER

log = logging.getLogger(__name__)

MAX_PODS_INSPECTED = 3
"""Pods of a job that do not start whose Events are read, at most."""


class Controller:
    """Brings the objects of one kind to where they should be.

    Args:
        work: The kind.
        tools: What the operator lends.
        clock: The time.
    """

    def __init__(
        self, work: Work, tools: Tools, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._work, self._resource = work, work.resource
        self._connection, self._queue, self._recorder = tools.connection, tools.queue, tools.recorder
        self._written, self._clock = tools.written, clock
        self._jobs, self._runtimes = tools.stores[work.own], tools.stores[watches.RUNTIMES]
        self._ray_jobs, self._pods = tools.stores[watches.RAY_JOBS], tools.stores[watches.PODS]

    def listeners(self) -> dict[Watch, Listener]:
        """For each Watch what takes its changes."""
        return {
            self._work.own: self._on_job,
            watches.RUNTIMES: self._on_runtime,
            watches.RAY_JOBS: self._on_ray_job,
            watches.PODS: self._on_pod,
        }

    def reconcile(self, key: Key) -> None:
        """One look at one job.

        Raises:
            ApiError: Something could not be written; to be tried again.
        """
        known = self._jobs.get(key.place)
        if known is None:
            return
        observed = self._observe(known)
        made = plan(observed)
        is_fresh = bool(made.needs_reading)
        if is_fresh:
            fresh = self._read(key)
            if fresh is None or fresh["metadata"]["uid"] != known["metadata"]["uid"]:
                return
            self._read_ray_job(key.namespace, made.needs_reading)
            observed = self._observe(fresh)
            made = plan(observed, is_fresh=True)
        self._do(key, observed, made, is_fresh=is_fresh)

    def _observe(self, known: Body) -> Observed:
        namespace, name = place_of(known)
        owned = {
            one["metadata"]["name"]: one
            for one in self._ray_jobs.by("job", f"{namespace}/{name}")
            if _is_owned(one, known["metadata"]["uid"])
        }
        clusters = {one["status"].get("rayClusterName") for one in owned.values()}
        # Pods outlive a RayJob that was deleted, until they have written their checkpoint.
        told = known["status"].get("attempts") or ()
        clusters |= {one.get("rayCluster") for one in told if "ended" not in one}
        pods = [
            one for one in self._pods.by("job", f"{namespace}/{name}") if stored.cluster_of(one) in clusters
        ]
        heads = [one for one in self._pods.by("job", f"{namespace}/") if stored.cluster_of(one) in clusters]
        now = self._clock().replace(microsecond=0)
        return Observed(
            work=self._work,
            job=stored_job.opened(known, self._resource.api_version, self._resource.kind),
            runtime=self._runtimes.get(("", stored_job.as_job(known)["runtime"])),
            ray_jobs=list(owned.values()),
            pods=pods,
            now=now,
            warnings=self._warnings(pods, list(owned.values()), now),
            shared_heads=heads,
        )

    def _warnings(self, pods: list[Body], ray_jobs: list[Body], now: datetime) -> dict[str, str]:
        """What Events say of pods that do not start, of a few of them, if nothing else says why; nothing if they cannot
        be read.
        """
        found: dict[str, str] = {}
        if any(troubles(pods, one, now, {}) for one in ray_jobs):
            return found
        for pod in [pod for pod in pods if waits_long(pod, now)][:MAX_PODS_INSPECTED]:
            metadata = pod["metadata"]
            query = {"fieldSelector": f"involvedObject.uid={metadata['uid']},type=Warning"}
            try:
                events, _ = self._connection.list(EVENTS, metadata["namespace"], **query)
            except ApiError as error:
                log.info("events of %s cannot be read: %s", metadata["name"], error.what)
                return found
            if events:
                newest = max(events, key=lambda event: int(event["metadata"]["resourceVersion"]))
                found[metadata["name"]] = f"{newest.get('reason', '')}: {newest.get('message', '')}"
        return found

    def _read(self, key: Key) -> Body | None:
        try:
            item = self._work.own.keep(self._connection.get(self._resource, *key.place))
        except ApiError as error:
            if error.is_missing:
                return None
            raise
        self._jobs.put(item)
        return item

    def _read_ray_job(self, namespace: str, name: str) -> None:
        """Takes note of a RayJob as it is now; of one that is not there its watch will tell."""
        try:
            self._ray_jobs.put(stored.ray_job(self._connection.get(RAY_JOBS, namespace, name)))
        except ApiError as error:
            if not error.is_missing:
                raise

    def _do(self, key: Key, observed: Observed, made: Plan, *, is_fresh: bool) -> None:
        if made.create is not None:
            obstacle = self._create(observed, made.create)
            if obstacle is not None:
                made = plan(observed, obstacle=obstacle, is_fresh=is_fresh)
            elif self._queue.waits(Urgency.NEW):
                # Other jobs have no pods yet; this one's can start, and what there is to tell can wait for a moment.
                self._queue.add(key, Urgency.UNTOLD)
                return
        if made.scale is not None:
            self._scale(observed.job, made.scale)
        if made.status is not None and self._write_status(observed.job, made.status):
            self._written(observed.job, made.status, observed.now)
        for one in made.delete:
            self._connection.delete(one.resource, one.namespace, one.name, uid=one.uid)
        for note in made.notes:
            self._recorder.record(self._resource, observed.job, note)
        if made.again is not None:
            self._queue.add_after(key, max(made.again, 1.0))

    def _create(self, observed: Observed, body: Fields) -> Trouble | None:
        """Makes a RayJob; why not, if the plan has to change for it."""
        namespace, name = body["metadata"]["namespace"], body["metadata"]["name"]
        uid = observed.job["metadata"]["uid"]
        try:
            made = self._connection.create(RAY_JOBS, namespace, body, fieldManager=OPERATOR_MANAGER)
        except ApiError as error:
            if error.already_exists:
                # Made by an earlier life or by another leader, and not seen yet.
                made = self._connection.get(RAY_JOBS, namespace, name)
                if not _is_owned(stored.ray_job(made), uid):
                    noun = self._work.noun
                    said = f"A RayJob {name} is there that is not this {noun}'s. Delete or rename it."
                    return Trouble("NameTaken", said)
                # Its state is known from here on, and no watch will speak of it.
                self._queue.add(self._key(observed.job))
            elif error.is_refused:
                return Trouble("CreateRefused", f"The RayJob {name} is refused: {error.what}")
            else:
                raise
        self._ray_jobs.put(stored.ray_job(made))
        return None

    def _scale(self, job: Body, wanted: Scaling) -> None:
        """Has a RayCluster have another number of worker pods; a refusal is told, and what is wanted next is tried anew."""
        group = "/spec/workerGroupSpecs/0"
        operations: list[Fields] = [
            {"op": "test", "path": f"/metadata/labels/{JOB_LABEL.replace('/', '~1')}", "value": wanted.job},
            {"op": "test", "path": f"{group}/groupName", "value": wanted.group},
            {"op": "replace", "path": f"{group}/replicas", "value": wanted.replicas},
            {"op": "add", "path": f"{group}/scaleStrategy", "value": {"workersToDelete": [*wanted.gone]}},
        ]
        try:
            self._connection.change(
                RAY_CLUSTERS, wanted.namespace, wanted.cluster, operations, manager=OPERATOR_MANAGER
            )
        except ApiError as error:
            if error.is_refused:
                said = f"The worker pods of the RayCluster {wanted.cluster} stay as they are, since it cannot be changed: {error.what}"
                self._recorder.record(self._resource, job, Note("NotScaled", said, warning=True))
            elif not error.is_missing:
                raise

    def _write_status(self, job: Body, status: Fields) -> bool:
        """Whether the job was still there."""
        metadata = job["metadata"]
        body = {
            "apiVersion": self._resource.api_version,
            "kind": self._resource.kind,
            # With its UID it is not applied to another job of the same name.
            "metadata": {key: metadata[key] for key in ("name", "namespace", "uid")},
            "status": status,
        }
        try:
            written = self._connection.apply(
                self._resource, *place_of(job), body, manager=OPERATOR_MANAGER, subresource="status"
            )
        except ApiError as error:
            if error.is_missing:
                return False
            raise
        item = self._work.own.keep(written)
        self._jobs.put(item)
        if stored_job.others_say_more(job, item):
            # No watch will speak of what the answer brought along.
            self._queue.add(self._key(item))
        return True

    def _on_job(self, before: Body | None, after: Body | None) -> None:
        item = after or before
        if item is not None and stored_job.says_more(before, after):
            self._queue.add(self._key(item), Urgency.CHANGED if before else Urgency.NEW)

    def _on_runtime(self, before: Body | None, after: Body | None) -> None:
        item = after or before
        if item is not None:
            for job in self._jobs.by("runtime", item["metadata"]["name"]):
                self._queue.add(self._key(job), Urgency.AGAIN)

    def _on_ray_job(self, before: Body | None, after: Body | None) -> None:
        if before is None and after is not None and not after["status"].get("jobDeploymentStatus"):
            # Just made, mostly by this operator, and KubeRay has not seen it yet: nothing but that is to be told.
            if stored_job.is_of(after, self._resource.kind):
                self._queue.add(stored_job.job_of(after), Urgency.UNTOLD)
            return
        self._on_child(before, after)

    def _on_child(self, before: Body | None, after: Body | None) -> None:
        item = after or before
        if item is not None and stored_job.is_of(item, self._resource.kind):
            self._queue.add(stored_job.job_of(item))

    def _on_pod(self, before: Body | None, after: Body | None) -> None:
        item = after or before
        if item is None or stored_job.job_of(item).name:
            self._on_child(before, after)
            return
        # The head of a cluster that jobs share: it is the matter of all that were sent there.
        place = f"{item['metadata']['namespace']}/{stored.cluster_of(item)}"
        for ray_job in self._ray_jobs.by("shared", place):
            if stored_job.is_of(ray_job, self._resource.kind):
                self._queue.add(stored_job.job_of(ray_job), Urgency.AGAIN)

    def _key(self, job: Body) -> Key:
        return Key(self._resource.kind, *place_of(job))


def _is_owned(item: Body, uid: str) -> bool:
    owners = item["metadata"].get("ownerReferences") or ()
    return any(owner["uid"] == uid and owner.get("controller") for owner in owners)
