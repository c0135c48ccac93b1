"""What the driver of a job prints, from Ray's Jobs API in the head pod."""

from __future__ import annotations

import json
import socket
import time
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

from websocket import (
    ABNF,
    WebSocket,
    WebSocketBadStatusException,
    WebSocketException,
    WebSocketTimeoutException,
    create_connection,
)

from raygen.client.dashboard import TROUBLE
from raygen.errors import InputError, RunError

POLL_SECONDS = 2.0
"""Between two connections."""
LOST_SECONDS = 30.0
"""How long the head pod may be away while it is followed; the end of an attempt is known by then."""
QUIET_SECONDS = 30.0
"""Without any text, after which the head pod is asked whether the job still runs."""
QUIET_TIMES = 10
"""How often in a row, before a connection that may be dead is replaced. A driver prints every minute or so."""
GOING = ("PENDING", "RUNNING")
"""Ray's words for a job that has not ended."""
NORMAL = (b"", (1000).to_bytes(2, "big"))
"""How a WebSocket's close frame begins that ends what was asked for: RFC 6455, section 7.4.1."""

Object = dict[str, Any]

HOST = "127.0.0.1"
"""Of a `Forward`; no proxy leads there."""

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Followed:
    """A log that comes from its beginning by each connection, and is written once.

    Args:
        write: Takes text.

    Attributes:
        heard: Whether connections were good for something: text that is new, or the news that there is none. Whoever
            counts failures sets it back.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._started: Any = None
        self._written = self._passed = 0
        self.heard = False

    def begin(self, started: Any) -> None:
        """A connection begins. A job with another time of start has a new log: the head with the old one was lost."""
        if started != self._started:
            self._started, self._written = started, 0
        self._passed = 0

    def take(self, text: str) -> None:
        """Writes what of the connection's next text is not written yet."""
        new = text[max(self._written - self._passed, 0) :]
        self._passed += len(text)
        if new:
            self._written += len(new)
            self.heard = True
            self._write(new)


def logs(
    url: str, job_id: str, write: Callable[[str], None], *, follow: bool, over: Callable[[], bool]
) -> bool:
    """Writes what the driver has printed, and with `follow` what it prints until it ends.

    A followed log comes through one connection as it grows. Where that breaks, the next one brings it from the
    beginning, and what was written is passed over.

    Args:
        url: Of a `Forward`.
        job_id: Ray's id of the job.
        write: Takes text.
        follow: Whether to go on.
        over: Says whether the attempt has ended; asked when the head pod does not answer.

    Returns:
        Whether the end was seen; not if the head pod went with it.

    Raises:
        InputError: The head pod may not be reached.
        RunError: The head pod does not answer.
    """
    place = f"{url}/api/jobs/{job_id}"
    if not follow:
        write(str(_asked(f"{place}/logs")["logs"]))
        return True
    followed = Followed(write)
    lost: float | None = None
    has_ended = False
    while True:
        try:
            job = _asked(place)
            followed.begin(job.get("start_time"))
            is_closed = _tail(place, followed)
            # Ray closes in the same way when what reads the log fails, so that the end is whole if it was there before.
            if is_closed and job["status"] not in GOING:
                return True
            has_ended = is_closed and _asked(place)["status"] not in GOING
            failure = _silent(place, "the log ended before the job")
        except RunError as error:
            if has_ended or over():
                return has_ended
            failure = error
        if lost is None or followed.heard:
            lost, followed.heard = time.monotonic(), False
        if time.monotonic() - lost > LOST_SECONDS:
            raise failure
        time.sleep(POLL_SECONDS)


def _tail(place: str, followed: Followed) -> bool:
    """Takes one connection's text until it ends; returns whether the head pod ended it."""
    where = f"ws{place.removeprefix('http')}/logs/tail"
    connection = _connected(where)
    quiet = 0
    try:
        while True:
            received = _received(connection, where)
            if received is None:
                # Ray ends the log of a job that has ended within seconds.
                quiet += 1
                if _asked(place)["status"] not in GOING or quiet >= QUIET_TIMES:
                    return False
                followed.heard = True
                continue
            kind, content = received
            if kind == ABNF.OPCODE_CLOSE:
                return content[:2] in NORMAL
            quiet = 0
            followed.take(content.decode(errors="replace"))
    finally:
        connection.shutdown()  # type: ignore[no-untyped-call]


def _connected(where: str) -> WebSocket:
    port = urlsplit(where).port
    try:
        # A socket of our own, since the package takes a proxy of the environment even for the loopback.
        way = socket.create_connection((HOST, port), timeout=QUIET_SECONDS)
        return create_connection(where, timeout=QUIET_SECONDS, suppress_origin=True, socket=way)
    except WebSocketBadStatusException as error:
        headers = error.resp_headers or {}
        raise _refused(where, error, error.status_code, headers, error.resp_body or b"") from error
    except (WebSocketException, OSError) as error:
        raise _silent(where, error) from error


def _received(connection: WebSocket, where: str) -> tuple[int, bytes] | None:
    """The kind and content of the next message; None if none came for a while."""
    try:
        kind, content = connection.recv_data()
    except WebSocketTimeoutException:
        return None
    except (WebSocketException, OSError) as error:
        raise _silent(where, error) from error
    return kind, content


def _asked(url: str) -> Object:
    try:
        with _OPENER.open(url, timeout=60) as answer:
            document: Object = json.load(answer)
            return document
    except HTTPError as error:
        with error:
            raise _refused(url, error, error.code, dict(error.headers), error.read()) from error
    except (OSError, HTTPException, ValueError) as error:
        raise _silent(url, error) from error


def _refused(
    url: str, error: Exception, status: int, headers: Mapping[str, Any], body: bytes
) -> InputError | RunError:
    """What an answer means that is not what was asked for: from the head pod, or from the way to it."""
    if TROUBLE.lower() not in {name.lower() for name in headers}:
        return _silent(url, error)
    what, _, remedy = body.decode(errors="replace").strip().partition("\n")
    return (InputError if status == 403 else RunError)(what, remedy=remedy)


def _silent(url: str, error: Exception | str) -> RunError:
    return RunError(
        f"the head pod does not answer: {error}",
        where=url,
        remedy="Look at it: kubectl describe pod; a head that was lost comes back within minutes.",
    )
