"""The Ray cluster that RAY_ADDRESS names: whether it is there, before Ray itself waits for it for many minutes."""

from __future__ import annotations

import os
import re
import socket
import time

from raygen.errors import InputError

ADDRESS = "RAY_ADDRESS"
TRY_S = 15.0
"""How long a cluster may take to answer, as after a restart of its head."""
ANSWER_S = 5.0
"""Limit for one connection and for the first bytes on it."""
POLL_S = 0.5

SETTINGS = {
    # One attempt of 40 s; by default Ray makes 20 of them.
    "RAY_gcs_server_port_wait_time_s": "1",
}
"""Ray's environment for joining a cluster; what the user has set stays."""

# RFC 9113, section 3.4: a client begins with this line and a frame of settings, a server with such a frame.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
FRAME_HEADER = 9
SETTINGS_FRAME = 4

REMEDY = (
    "Set it to the address of a running cluster, HOST:PORT as `ray start --head` prints it,"
    " or unset it to train on this machine."
)


def on_cluster() -> bool:
    """Whether RAY_ADDRESS names a cluster. As for Ray itself, nothing and `local` do not."""
    return os.environ.get(ADDRESS, "") not in ("", "local")


def check_cluster(seconds: float = TRY_S) -> None:
    """Looks whether a Ray cluster answers at RAY_ADDRESS; tries for a while.

    Ray's servers speak gRPC, so that theirs begins with HTTP/2. `auto` is left to Ray, which finds clusters by files and
    processes of this machine.

    Raises:
        InputError: It is not an address, or nothing there answers like Ray.
    """
    address = os.environ[ADDRESS]
    if address == "auto":
        return
    host, port = _parsed(address)
    deadline = time.monotonic() + seconds
    while (fault := _fault(host, port)) is not None:
        if time.monotonic() >= deadline:
            raise InputError(f"there is no Ray cluster at {address}: {fault}", where=ADDRESS, remedy=REMEDY)
        time.sleep(POLL_S)


def refusal(error: Exception) -> InputError:
    """The error for a cluster that answers, and that Ray cannot join all the same.

    Args:
        error: What `ray.init` raised.
    """
    lines = [line.strip() for line in str(error.__cause__ or error).splitlines()]
    return InputError(
        f"Ray cannot join the cluster at {os.environ[ADDRESS]}: {next(filter(None, lines), type(error).__name__)}",
        where=ADDRESS,
        remedy="RAY_AUTH_MODE and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH) must be the cluster's, Python and Ray of the"
        " versions there, and a node of the cluster must run on this machine. Unset RAY_ADDRESS to train without it.",
    )


def _parsed(address: str) -> tuple[str, int]:
    scheme, separator, _ = address.partition("://")
    if separator:
        what = {
            "ray": "ray:// is Ray Client's, in which Ray Train does not run",
            "http": "http:// is where Ray's dashboard takes jobs",
            "https": "https:// is where Ray's dashboard takes jobs",
        }.get(scheme, f"{scheme}:// is not an address of a cluster's head")
        raise InputError(what, where=ADDRESS, remedy=REMEDY)
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([^\s:/\[\]]+)):(\d{1,5})", address)
    if match is None or not 0 < int(match[3]) < 2**16:
        raise InputError(f"{address!r} is not an address HOST:PORT", where=ADDRESS, remedy=REMEDY)
    return match[1] or match[2], int(match[3])


def _fault(host: str, port: int) -> str | None:
    """Why nothing there answers like Ray; None if it does."""
    try:
        with socket.create_connection((host, port), ANSWER_S) as connection:
            if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
                return None
            connection.settimeout(ANSWER_S)
            connection.sendall(PREFACE)
            answer = b""
            while len(answer) < FRAME_HEADER and (part := connection.recv(FRAME_HEADER - len(answer))):
                answer += part
    except TimeoutError:
        return "no answer"
    # UnicodeError: a name that cannot be one of DNS.
    except (OSError, UnicodeError) as error:
        return getattr(error, "strerror", None) or str(error)
    if len(answer) < FRAME_HEADER or answer[3] != SETTINGS_FRAME:
        return "what answers there is not Ray"
    return None
