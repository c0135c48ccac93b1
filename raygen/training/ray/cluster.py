"""The Ray cluster that RAY_ADDRESS names, or one of our own.

Whether the former is there is looked at before Ray itself waits for it for many minutes; what the latter leaves behind
lies in one temporary folder.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from raygen.compute.scale import cores_in_words
from raygen.errors import InputError, RunError
from raygen.scratch import scratch, variable
from raygen.training.observers.startup import IMPORT_RAY, START_RAY, Startup

ADDRESS = "RAY_ADDRESS"
TRY_S = 15.0
"""How long a cluster may take to answer, as after a restart of its head."""
ANSWER_S = 5.0
"""Limit for one connection and for the first bytes on it."""
POLL_S = 0.5

JOINING = {
    # One attempt of 40 s; by default Ray makes 20 of them.
    "RAY_gcs_server_port_wait_time_s": "1",
}
"""Ray's environment for joining a cluster; what the user has set stays."""

# RFC 9113, section 3.4: a client begins with this line and a frame of settings, a server with such a frame.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
FRAME_HEADER = 9
SETTINGS_FRAME = 4

SOCKETS = "/ray/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
"""The longest path that Ray binds a socket to, in its folder (`--temp-dir`)."""
LONGEST_FOLDER = (103 if sys.platform == "darwin" else 107) - len(SOCKETS)
"""Bytes of a folder's path that leave room for them: unix(7) allows 108 bytes with the end, macOS 104."""

SETTINGS = {
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    # The controller is in the driver, whose logs are raygen's own.
    "RAY_TRAIN_ENABLE_CONTROLLER_STRUCTURED_LOGGING": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Workers are processes of niceness 15 by default, and starve beside anything else that computes.
    "RAY_worker_niceness": "0",
    # Workers started ahead have no runtime environment, and Ray Train always gives one: nobody would take them.
    "RAY_enable_worker_prestart": "0",
    "RAY_prestart_worker_first_driver": "0",
}
"""Ray's environment; what the user has set stays."""

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


@contextmanager
def started_ray(
    wanted: int, cores: int, startup: Startup, notice: Callable[[str], None]
) -> Iterator[tuple[Any, Path, str]]:
    """A Ray of our own, or the cluster that RAY_ADDRESS names; gives Ray, a folder for its files, and our address.

    A process of Ray, as a trial of a sweep has it, stays with the cluster that it is a part of.
    """
    cluster = on_cluster()
    if _is_part_of_one():
        with scratch() as folder, ExitStack() as stack:
            stack.callback(_restore, dict(os.environ))
            for name, value in SETTINGS.items():
                os.environ.setdefault(name, value)
            import ray

            yield ray, folder, ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
        return
    if not cluster and wanted > cores:
        raise InputError(
            f"the workers need {wanted} cores, and this machine has {cores_in_words(cores)}",
            where="spec.scale",
            remedy="Lower scale.workers or scale.cpusPerWorker.",
        )
    with ExitStack() as stack:
        stack.callback(_restore, dict(os.environ))
        for name, value in (SETTINGS | (JOINING if cluster else {})).items():
            os.environ.setdefault(name, value)
        folder = stack.enter_context(scratch(None if cluster else LONGEST_FOLDER))
        if not folder.is_relative_to(tempfile.gettempdir()):
            notice(f"the path in {variable()} is too long for Ray's sockets; Ray's files are in {folder}")
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if not cluster:
            # Said outright: by default Ray writes a token into the home directory, or fails where it cannot.
            os.environ.setdefault("RAY_AUTH_MODE", "token")
            os.environ.setdefault("RAY_AUTH_TOKEN", _token())
            options |= {
                "address": "local",
                "num_cpus": wanted,
                "include_dashboard": False,
                "_temp_dir": str(folder / "ray"),
            }
        import ray  # after its environment, which it reads while it is imported

        startup.done(IMPORT_RAY)
        # While Ray's processes start.
        threading.Thread(
            target=import_module, args=("ray.train.v2.api.data_parallel_trainer",), daemon=True
        ).start()
        for name in ("ray", "ray.data"):
            logging.getLogger(name).setLevel(logging.ERROR)
        # Its controller logs every failure of workers with its trace; `reason_of` says it in words.
        logging.getLogger("ray.train").setLevel(logging.CRITICAL)
        stack.callback(ray.shutdown)
        try:
            ray.init(**options)
        except Exception as error:
            if cluster:
                raise refusal(error) from error
            raise RunError(
                f"Ray does not start: {error}",
                where="Ray",
                remedy="The machine may be too busy, or short of memory or disk; the same command tries again.",
            ) from error
        startup.done(START_RAY)
        # Ray's threads print what they hear to stdout, which is for the result alone.
        stack.enter_context(redirect_stdout(sys.stderr))
        yield ray, folder, ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]


def _is_part_of_one() -> bool:
    """Whether this process is one of Ray's own."""
    if "ray" not in sys.modules:
        return False
    import ray

    return bool(ray.is_initialized()) and ray.get_runtime_context().worker.mode == ray.WORKER_MODE


@cache
def _token() -> str:
    """One for all clusters of this process, since Ray reads it once."""
    return secrets.token_hex(32)


def _restore(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)


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
