"""What the driver of a job prints, from Ray's Jobs API in the head pod."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError

from raygen.client.dashboard import TROUBLE
from raygen.errors import InputError, RunError

POLL_SECONDS = 2.0
LOST_SECONDS = 30.0
"""How long the head pod may be away while it is followed; the end of an attempt is known by then."""
FIRST = 200
"""Characters by which a log is known again; its end may be half a character, which is another one the next time."""

Object = dict[str, Any]


def logs(
    url: str, job_id: str, write: Callable[[str], None], *, follow: bool, over: Callable[[], bool]
) -> bool:
    """Writes what the driver has printed, and with `follow` what it prints until it ends.

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
    seen = ""
    lost: float | None = None
    while True:
        try:
            # Asked before the logs: what a driver that has ended said last is in them.
            goes_on = follow and _asked(f"{url}/api/jobs/{job_id}")["status"] in ("PENDING", "RUNNING")
            text = str(_asked(f"{url}/api/jobs/{job_id}/logs")["logs"])
        except RunError:
            if not follow:
                raise
            if over():
                return False
            lost = lost or time.monotonic()
            if time.monotonic() - lost > LOST_SECONDS:
                raise
        else:
            lost = None
            # A head that was started anew begins a new log.
            is_new = len(text) < len(seen) or not text.startswith(seen[:FIRST])
            write(text if is_new else text[len(seen) :])
            seen = text
            if not goes_on:
                return True
        time.sleep(POLL_SECONDS)


def _asked(url: str) -> Object:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 (our own port)
            document: Object = json.load(answer)
            return document
    except HTTPError as error:
        with error:
            if TROUBLE in error.headers:
                what, _, remedy = error.read().decode().strip().partition("\n")
                raise (InputError if error.code == 403 else RunError)(what, remedy=remedy) from error
            raise _silent(url, error) from error
    except (OSError, HTTPException, ValueError) as error:
        raise _silent(url, error) from error


def _silent(url: str, error: Exception) -> RunError:
    return RunError(
        f"the head pod does not answer: {error}",
        where=url,
        remedy="Look at it: kubectl describe pod; a head that was lost comes back within minutes.",
    )
