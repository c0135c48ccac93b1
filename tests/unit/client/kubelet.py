"""An API server with one node, on which the one pod lives as it is told to."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from raygen import __version__
from raygen.kube import PODS, RUNTIMES
from tests.unit.client.stub import TEAM, Answer, Cluster
from tests.unit.operator.attempts.world import runtime

Object = dict[str, Any]

NAME = "raygen-doctor-x7k2p"
POD = PODS.path(TEAM, NAME)
URIS = ["s3://datasets/", f"s3://runs/{TEAM}/"]
PLACED = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-31T12:00:00Z"}


def tried(uri: str, kind: str = "", readable: bool = True, what: str = "cannot be listed: x") -> Object:
    return {"uri": uri, "kind": kind, "readable": readable, "what": what if kind else "", "remedy": "its own"}


def printed(*storages: Object, **changes: Any) -> str:
    """What `raygen probe` prints, among what else may be in a log."""
    document = {"raygen": __version__, "ray": "2.60.0", "storage": list(storages) or [tried(u) for u in URIS]}
    return f'{{"warning": 1}}\n{json.dumps(document | changes)}\na last word of canary\n'


def state(kind: str, **more: Any) -> Object:
    return {"name": "ray", "state": {kind: more}}


def ended(code: int = 0, **more: Any) -> Object:
    end = state("terminated", exitCode=code, startedAt="2026-01-31T12:00:07Z", **more)
    phase = "Succeeded" if code == 0 else "Failed"
    return {"phase": phase, "conditions": [PLACED], "containerStatuses": [end]}


def waits(reason: str, message: str = "") -> Object:
    said = state("waiting", reason=reason, message=message)
    return {"phase": "Pending", "conditions": [PLACED], "containerStatuses": [said]}


class Kubelet:
    """An API server whose pods live as they are told to.

    Attributes:
        life: Statuses, one after the other; the last one stays. A number is an answer without a pod.
        log: What the pod printed.
        made: The bodies of pods.
        deleted: How often the pod was.
        denied: Rights that the user lacks, as VERB RESOURCE.
        refusal: What is said to a new pod, if it is not let in.
        events: Messages of warnings.
        keeps: Whether the pod cannot be deleted.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.life: list[Object | int] = [ended()]
        self.log = printed()
        self.made: list[Object] = []
        self.deleted = 0
        self.denied: set[str] = set()
        self.refusal = ""
        self.events: list[str] = []
        self.keeps = False

    def grant(self, **spec: Any) -> None:
        document = {"apiVersion": "raygen.io/v1alpha1", "kind": "RaygenRuntime", **runtime(**spec)}
        self.cluster.objects[RUNTIMES.path(name="default")] = document

    def answer(self, method: str, target: str, body: Object) -> Answer:
        parts = urlsplit(target)
        if parts.path.endswith("/selfsubjectaccessreviews"):
            asked = body["spec"]["resourceAttributes"]
            resource = "/".join(part for part in (asked["resource"], asked["subresource"]) if part)
            return 201, {"status": {"allowed": f"{asked['verb']} {resource}" not in self.denied}}
        if (method, parts.path) == ("POST", PODS.path(TEAM)):
            if self.refusal:
                return 403, {"message": self.refusal, "reason": "Forbidden"}
            if not parts.query:
                # No dry run.
                self.made.append(body)
            return 201, self._pod({"phase": "Pending"})
        if parts.path == f"{POD}/log":
            assert parse_qs(parts.query)["limitBytes"]
            return 200, self.log
        if (method, parts.path) == ("DELETE", POD):
            assert body["preconditions"] == {"uid": "u"}
            self.deleted += 1
            return (500, {"message": "etcd is slow"}) if self.keeps else (200, {})
        if parts.path == POD:
            now = self.life.pop(0) if len(self.life) > 1 else self.life[0]
            return (now, {"message": "not now"}) if isinstance(now, int) else (200, self._pod(now))
        if parts.path.endswith("/events"):
            return 200, {
                "metadata": {"resourceVersion": "1"},
                "items": [{"message": one} for one in self.events],
            }
        return self.cluster.answer(method, target, body)

    def _pod(self, status: Object) -> Object:
        placed = {} if status == {"phase": "Pending"} or status.get("unplaced") else {"nodeName": "node-1"}
        return {"metadata": {"name": NAME, "uid": "u", "namespace": TEAM}, "spec": placed, "status": status}
