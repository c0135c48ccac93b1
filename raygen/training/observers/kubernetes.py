"""Tells the cluster how far the driver is and how it ended: the driver's part of its object's status.

Plain HTTPS with a token that is in the head pod alone, as server-side apply of these fields. A thread does it, so
training never waits; where it cannot be done training goes on, and a line says so once.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from raygen.errors import RaygenError, RunError, reason_of
from raygen.spec.job.training_job import KIND
from raygen.spec.names import API_VERSION, DRIVER_MANAGER, STATUS_VARIABLE, TOKEN_FOLDER

Object = dict[str, Any]
Send = Callable[[Object], None]

JOBS = "trainingjobs"
"""In addresses."""
EVERY_SECONDS = 10.0
"""At most so often."""
REFUSED_SECONDS = 60.0
"""How long it may be refused before that is told: the operator has to record the head pod first."""
LAST_SECONDS = 20.0
"""How long it tries to write the outcome."""
PAUSE_SECONDS = 1.0
"""Between tries while it is refused and that is not told yet; later tries are as rare as other writes."""
LONGEST_SECONDS = 60.0
"""How long a server may ask to be left alone."""
TIMEOUT_SECONDS = 5.0


class BusyError(OSError):
    """The server asks to be left alone for some seconds."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = min(seconds, LONGEST_SECONDS)


class StatusWriter:
    """Writes the driver's part of a status, on a thread of its own.

    Args:
        ray_job: Name of the RayJob that this driver belongs to.
        send: Writes a status; raises OSError if that is not possible.
        tell: Takes a line for people.
    """

    def __init__(self, ray_job: str, send: Send, tell: Callable[[str], None]) -> None:
        self._ray_job, self._send, self._tell = ray_job, send, tell
        self._parts: dict[str, Object] = {}
        self._outcome: Object | None = None
        self._changed, self._lock = threading.Event(), threading.Lock()
        self._ended = False
        self._refused: float | None = None
        self._told = False
        self._pause = EVERY_SECONDS
        self._thread = threading.Thread(target=self._write_on, name="status", daemon=True)
        self._thread.start()

    def put(self, part: str, content: Object) -> None:
        """Has a part of the status written: all that it is to hold, but for the time and the RayJob. Empty: it is left out."""
        with self._lock:
            self._parts[part] = content
        self._changed.set()

    def last(self, outcome: Object) -> None:
        """Writes how the driver ended; blocks until it is written, or for `LAST_SECONDS`."""
        with self._lock:
            self._ended = True
            self._outcome = {"time": now(), "rayJob": self._ray_job, **outcome}
        self._changed.set()
        self._thread.join()
        deadline = time.monotonic() + LAST_SECONDS
        while not self._write() and time.monotonic() < deadline:
            time.sleep(max(0.0, min(self._pause, deadline - time.monotonic())))

    def _write_on(self) -> None:
        while True:
            self._changed.wait()
            with self._lock:
                if self._ended:
                    return
                self._changed.clear()
            if not self._write():
                # Refused until the operator has recorded this pod; soon after that it is told.
                self._changed.set()
            end = time.monotonic() + self._pause
            while not self._ended and time.monotonic() < end:
                time.sleep(0.1)

    def _write(self) -> bool:
        with self._lock:
            status: Object = {
                part: {"time": now(), "rayJob": self._ray_job, **content}
                for part, content in self._parts.items()
                if content
            }
            if self._outcome is not None:
                status["outcome"] = self._outcome
        try:
            self._send(status)
        except OSError as error:
            moment = time.monotonic()
            self._refused = self._refused if self._refused is not None else moment
            if not self._told and (moment - self._refused > REFUSED_SECONDS or self._ended):
                self._told = True
                self._tell(f"the status of the job cannot be written: {error}; training goes on")
            pause = EVERY_SECONDS if self._told and not self._ended else PAUSE_SECONDS
            self._pause = max(pause, error.seconds) if isinstance(error, BusyError) else pause
            return False
        self._refused, self._pause = None, EVERY_SECONDS
        return True


def writer(tell: Callable[[str], None]) -> StatusWriter | None:
    """The writer that the pod's environment asks for, if it does."""
    text = os.environ.get(STATUS_VARIABLE)
    if text is None:
        return None
    target = json.loads(text)
    return StatusWriter(target["rayJob"], lambda status: send(target, status), tell)


def send(target: Mapping[str, str], status: Object) -> None:
    """Writes the driver's part of a status.

    Args:
        target: name, namespace and uid of the object, and its kind and plural where it is not a TrainingJob.
        status: All that the driver says.

    Raises:
        OSError: The server is not there, or refuses.
    """
    folder = Path(TOKEN_FOLDER)
    address = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not address[0]:
        raise OSError("this is not a pod")
    plural = target.get("plural", JOBS)
    path = (
        f"/apis/{API_VERSION}/namespaces/{target['namespace']}/{plural}/{target['name']}/status?"
        + urlencode({"fieldManager": DRIVER_MANAGER, "force": "true"})
    )
    metadata = {key: target[key] for key in ("name", "namespace", "uid")}
    body = {
        "apiVersion": API_VERSION,
        "kind": target.get("kind", KIND),
        "metadata": metadata,
        "status": status,
    }
    headers = {
        # Read again: it is replaced before it runs out.
        "Authorization": f"Bearer {(folder / 'token').read_text(encoding='utf-8').strip()}",
        "Content-Type": "application/apply-patch+yaml",
        "Accept": "application/json",
    }
    trust = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    connection = http.client.HTTPSConnection(
        address[0], int(address[1]), timeout=TIMEOUT_SECONDS, context=trust
    )
    try:
        connection.request("PATCH", path, json.dumps(body), headers)
        answer = connection.getresponse()
        said = answer.read()
        if answer.status >= 300:
            words = f"the API server answers {answer.status}: {_message(said)}"
            after = answer.headers.get("Retry-After") or ""
            if answer.status in (429, 503) and after.isdigit():
                raise BusyError(words, float(after))
            raise OSError(words)
    except http.client.HTTPException as error:
        raise OSError(str(error) or type(error).__name__) from error
    finally:
        connection.close()


def failure(error: BaseException) -> Object:
    """What is said of a driver that failed."""
    known = error if isinstance(error, RaygenError) else RunError(str(error))
    reason = reason_of(error)
    outcome: Object = {
        "state": "Failed",
        "reason": reason,
        "message": known.located[:4000] or reason,
        "exitCode": known.exit_code,
    }
    if known.remedy:
        outcome["remedy"] = known.remedy[:4000]
    return outcome


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])[:500]
    except (ValueError, KeyError, TypeError):
        return ""


def now() -> str:
    """The time, as the API spells it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def short(value: float) -> float:
    """Six digits that count: for people to read, and enough to compare."""
    return float(f"{value:.6g}")


def words(seconds: int) -> str:
    """Seconds for people: 1h12m."""
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{seconds % 60:02}s" if minutes else f"{seconds}s"
