"""What cannot be seen from outside: whether nodes get the runtime's image, and whether a pod gets at the storage.

A pod of the runtime runs `raygen probe`, which prints one JSON object: {raygen, ray, storage: [{uri, kind, readable, what,
remedy}]} (raygen.cli.local.probe). Its kinds are those of raygen.storage.probe, which clients cannot import.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from raygen import __version__
from raygen.client.doctor import storage, trial
from raygen.client.doctor.finding import Finding, State
from raygen.client.doctor.image import MAX_TEXT, explained, is_known, is_without_raygen, plain, waiting
from raygen.client.doctor.pod import pod
from raygen.client.doctor.trial import ENDED, Trial
from raygen.client.doctor.view import HiddenError, View
from raygen.kube import ApiError
from raygen.spec.runtime import RaygenRuntimeSpec

Object = dict[str, Any]

IMAGE, STORAGE = "image", "storage"
CHECKS = (IMAGE, STORAGE)
"""The checks that one pod answers."""
CPU, MEMORY = "100m", "512Mi"
RIGHTS = (("create", "pods"), ("get", "pods"), ("get", "pods:log"), ("delete", "pods"))
"""What trying takes; nothing is begun without all of them."""
STARTING = frozenset({"ContainerCreating", "PodInitializing"})
FORMAT = "exec format error"
"""How Linux refuses a program for another processor."""
NEW_VERB = re.compile(r"invalid choice: '?probe'?")
"""How a raygen that does not know the command refuses it."""

BUILD = "Make the image from the target `train` of this version's Dockerfile."


def probe(view: View, seconds: float) -> list[Finding]:
    """Makes a pod, waits for it at most `seconds`, and says what it found; nothing where jobs could have no pods at all."""
    try:
        return _probe(view, seconds)
    except HiddenError as error:
        return [Finding(name, "unknown", str(error), "Have an administrator run this.") for name in CHECKS]
    except ApiError as error:
        if error.status in (0, 401):
            raise
        if error.is_refused and not error.remedy:
            # That pods are not let in is another check's to say.
            return [
                Finding(name, "unknown", f"the pod is not let in: {error.what}", _quota(view))
                for name in CHECKS
            ]
        return [Finding(name, "unknown", error.what, error.remedy) for name in CHECKS]


def _quota(view: View) -> str:
    return f"Have what refuses it changed: quotas, limits or policies of the namespace {view.namespace}."


def _probe(view: View, seconds: float) -> list[Finding]:
    spec, place = view.runtime(), view.namespace
    if spec is None or not spec.allows_namespace(place):
        return []
    if spec.shared_cluster is not None:
        said = f"jobs go to the pods of the RayCluster {spec.shared_cluster}, whose image and storage are its own"
        remedy = "Try it there: kubectl exec into its head pod, and run raygen probe URI"
        return [Finding(name, "unknown", said, remedy) for name in CHECKS]
    missing = [f"{verb} {what.replace(':', '/')}" for verb, what in RIGHTS if not view.may(verb, what, place)]
    if missing:
        raise HiddenError(f"you may not {', '.join(missing)} in {place}, so it was not tried")
    body = pod(spec, cpu=CPU, memory=MEMORY, command=["raygen", "probe", "--json", *remote(spec, place)])
    # It ends by itself should nobody be left to delete it.
    body["spec"]["activeDeadlineSeconds"] = max(1, math.ceil(seconds))
    done = trial.run(view.connection, place, body, seconds)
    found = list(findings(done, spec, view, seconds))
    if done.left:
        said = f"the pod {place}/{done.name} could not be deleted: {done.left}"
        found.append(
            Finding(IMAGE, "warning", said, f"Delete it: kubectl --namespace {place} delete pod {done.name}")
        )
    return found


def remote(spec: RaygenRuntimeSpec, namespace: str) -> list[str]:
    """The prefixes of a runtime that are no folders of a pod, for a namespace."""
    found = [uri.replace("{namespace}", namespace) for uri in spec.storage.allowed_uri_prefixes]
    return [uri for uri in dict.fromkeys(found) if uri.startswith("s3://")]


def findings(done: Trial, spec: RaygenRuntimeSpec, view: View, seconds: float) -> Iterator[Finding]:
    """What a pod's end means, or that it came to none."""
    answer = _answer(done.log)
    if answer is not None:
        yield from _versions(answer, done, spec, view.runtime_name)
        yield from storage.findings(answer["storage"], spec, view.runtime_name, view.namespace)
        return
    if done.phase == "Running" and not done.lost:
        yield Finding(IMAGE, "ok", _started(done, spec))
        said = f"raygen probe in {_where(done)} had not ended after {seconds:g} s"
        yield Finding(
            STORAGE,
            "fault",
            said,
            "Give it longer by --timeout, or look at the way from there to the storage.",
        )
        return
    state, said, remedy = _without_answer(done, spec, view, seconds)
    yield Finding(IMAGE, state, said, remedy)
    yield Finding(
        STORAGE,
        "unknown",
        "it was not tried, since the pod came to nothing",
        f"Fix what the check {IMAGE} says.",
    )


def _answer(log: str) -> Object | None:
    """What the command printed, among what else may be in the log."""
    for line in reversed(log.splitlines()):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict) and isinstance(found.get("storage"), list):
            return found
    return None


def _versions(answer: Object, done: Trial, spec: RaygenRuntimeSpec, runtime: str) -> Iterator[Finding]:
    """The image runs; whether what is in it fits."""
    yield Finding(IMAGE, "ok", _started(done, spec))
    ray, own = answer.get("ray"), plain(str(answer.get("raygen")))
    if ray != spec.ray_version:
        has = f"Ray {plain(str(ray))}" if ray else "no Ray"
        said = f"the image has {has}, and rayVersion of the RaygenRuntime {runtime} is {spec.ray_version}"
        remedy = (
            f"Write the image's version into rayVersion of the RaygenRuntime {runtime}." if ray else BUILD
        )
        yield Finding(IMAGE, "fault", said, remedy)
    if own != __version__:
        said = f"the image has raygen {own}, and this is raygen {__version__}"
        yield Finding(IMAGE, "warning", said, "Use the same version everywhere.")


def _without_answer(
    done: Trial, spec: RaygenRuntimeSpec, view: View, seconds: float
) -> tuple[State, str, str]:
    """State, statement and remedy where the pod did not do what it was made for."""
    runtime, place = view.runtime_name, view.namespace
    if done.lost:
        return (
            "unknown",
            f"no more is known of the pod {place}/{done.name}: {plain(done.lost)}",
            "Run this again.",
        )
    reason, message = waiting(done.pod)
    if reason and reason not in STARTING:
        # Of a pull that is to be tried again, older nodes tell the cause in an Event alone.
        text = message if is_known(message) else f"{message} {done.warning}"
        return ("fault", *explained(reason, text, spec, runtime, place))
    if done.phase in ENDED:
        return _ended(done, spec, view)
    if not done.pod["spec"].get("nodeName"):
        said = f"no node took the pod within {seconds:g} s: {_unscheduled(done.pod)}"
        remedy = f"Make room, or fix nodeSelector and tolerations of the RaygenRuntime {runtime}."
        return "fault", said, remedy
    said = f"{_where(done)} had not started {spec.image} after {seconds:g} s"
    return (
        "unknown",
        f"{said}: {plain(done.warning)}" if done.warning else said,
        "Give it longer by --timeout: a node pulls it once. Or look at that node.",
    )


def _ended(done: Trial, spec: RaygenRuntimeSpec, view: View) -> tuple[State, str, str]:
    """The same of a pod that has failed: its container could not start, or ended without an answer."""
    end = _terminated(done.pod)
    code, reason = end.get("exitCode"), str(end.get("reason", ""))
    message = str(end.get("message") or "")
    if NEW_VERB.search(done.log):
        said = f"the image's raygen is older than this one ({__version__}): it has no `raygen probe`"
        return "warning", said, BUILD
    if FORMAT in f"{message} {done.log[-MAX_TEXT:]}":
        return ("fault", *explained(FORMAT, "", spec, view.runtime_name, view.namespace))
    if is_without_raygen(message):
        return "fault", f"the image has no raygen. {plain(message)}", BUILD
    if reason == "OOMKilled":
        return (
            "unknown",
            f"raygen probe in {_where(done)} took more than {MEMORY} of memory",
            "Run this again.",
        )
    if code is None or reason == "DeadlineExceeded":
        status = done.pod["status"]
        said = f"{status.get('reason', '')} {plain(str(status.get('message', '')))}".strip()
        return "unknown", f"the pod was ended before it could answer: {said}", "Run this again."
    # What it printed may be anything, and is not repeated.
    return (
        "fault",
        f"raygen probe in {_where(done)} ended with {code} {reason} and no answer".replace("  ", " "),
        BUILD,
    )


def _terminated(pod: Object) -> Object:
    containers = pod.get("status", {}).get("containerStatuses", ())
    found = (container.get("state", {}).get("terminated") for container in containers)
    return next((one for one in found if one), {})


def _unscheduled(pod: Object) -> str:
    for condition in pod.get("status", {}).get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return plain(str(condition.get("message", "")))
    return "no scheduler has looked at it"


def _where(done: Trial) -> str:
    return f"the node {done.pod['spec'].get('nodeName')}"


def _started(done: Trial, spec: RaygenRuntimeSpec) -> str:
    """That the image runs, where, and after how long."""
    status = done.pod.get("status", {})
    placed = [
        one.get("lastTransitionTime") for one in status.get("conditions", ()) if one["type"] == "PodScheduled"
    ]
    states = [one for each in status.get("containerStatuses", ()) for one in each.get("state", {}).values()]
    began = [one["startedAt"] for one in states if one.get("startedAt")]
    took = ""
    if began and placed and placed[0]:
        pulled = datetime.fromisoformat(began[0]) - datetime.fromisoformat(placed[0])
        took = f" within {max(0.0, pulled.total_seconds()):.0f} s"
    return f"{_where(done)} had {spec.image} and started it{took}"
