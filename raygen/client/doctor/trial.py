"""A pod that is made, waited for, read and deleted again."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from raygen.client.doctor.image import is_hopeless
from raygen.kube import EVENTS, PODS, ApiError, Connection

Object = dict[str, Any]

POLL_SECONDS = 0.5
STUCK_SECONDS = 20.0
"""Time after which what a node says of an image, and does not look final, is believed: it tries again after ten seconds."""
ENDED = ("Succeeded", "Failed")
"""Phases of a pod that changes no more."""
MAX_LOG_BYTES = 256 * 1024


@dataclass(frozen=True)
class Trial:
    """What became of a pod.

    Attributes:
        pod: As it was last seen.
        log: What it printed, once it has ended.
        warning: What Events of that kind say of it, where it has not ended and Events may be read.
        left: Why it could not be deleted; "" if it is gone.
        lost: Why no more is known of it; "" if it was followed.
    """

    pod: Object
    log: str = ""
    warning: str = ""
    left: str = ""
    lost: str = ""

    @property
    def name(self) -> str:
        """The pod's."""
        return str(self.pod["metadata"]["name"])

    @property
    def phase(self) -> str:
        """The pod's."""
        return str(self.pod.get("status", {}).get("phase", "Pending"))


def run(connection: Connection, namespace: str, body: Object, seconds: float) -> Trial:
    """Makes a pod and follows it to its end, to a fault that does not go away by itself, or for `seconds`.

    Whatever happens, the pod is deleted: a key that is pressed, and an API server that stops answering, too.

    Raises:
        ApiError: The pod is not let in.
    """
    made = connection.create(PODS, namespace, body)
    log, warning, lost, left = "", "", "", ""
    try:
        made, lost = _followed(connection, namespace, made, seconds)
        if not lost and made.get("status", {}).get("phase") in ENDED:
            path = PODS.path(namespace, made["metadata"]["name"], "log")
            try:
                log = connection.text(path, limitBytes=str(MAX_LOG_BYTES))
            except ApiError as error:
                lost = f"its log cannot be read: {error.what}"
        elif not lost:
            warning = _warning(connection, namespace, made["metadata"]["uid"])
    finally:
        try:
            connection.delete(PODS, namespace, made["metadata"]["name"], uid=made["metadata"]["uid"])
        except ApiError as error:
            left = error.what
    return Trial(made, log, warning, left, lost)


def _followed(connection: Connection, namespace: str, pod: Object, seconds: float) -> tuple[Object, str]:
    """The pod as it was last seen, and why no more was."""
    name, pause = pod["metadata"]["name"], threading.Event()
    begin, trouble, since = time.monotonic(), "", None
    while time.monotonic() - begin < seconds:
        pause.wait(POLL_SECONDS)
        try:
            pod, trouble = connection.get(PODS, namespace, name), ""
        except ApiError as error:
            if error.is_missing:
                return pod, "somebody else has deleted it"
            if error.is_refused:
                return pod, error.what
            # An API server that is away for a moment comes back.
            trouble = error.what
            continue
        if pod.get("status", {}).get("phase") in ENDED or is_hopeless(pod, final=True):
            break
        since = (since or time.monotonic()) if is_hopeless(pod, final=False) else None
        if since is not None and time.monotonic() - since > STUCK_SECONDS:
            break
    return pod, trouble


def _warning(connection: Connection, namespace: str, uid: str) -> str:
    with suppress(ApiError):
        found, _ = connection.list(EVENTS, namespace, fieldSelector=f"involvedObject.uid={uid},type=Warning")
        # Those that only say that a thing is tried again are short.
        return max((str(one.get("message", "")) for one in found), key=len, default="")
    return ""
