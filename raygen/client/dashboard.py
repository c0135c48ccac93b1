"""The way to Ray's dashboard in a head pod: a port of this machine that adds the token to every request.

The token never leaves this process: a browser or a program here talks to the loopback without one.
"""

from __future__ import annotations

import base64
import json
import select
import socket
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPException
from typing import Any

from kubernetes.client import ApiClient, CoreV1Api
from kubernetes.stream import portforward

from raygen.errors import InputError, RunError
from raygen.kube import RAY_JOBS, ApiError, Connection
from raygen.kube.resources import SECRETS

PORT = 8265
MAX_HEAD_BYTES = 64 * 1024
CHUNK_BYTES = 64 * 1024
HEAD_SECONDS = 30.0
POLL_SECONDS = 2.0

Object = dict[str, Any]


class Forward:
    """A port of the loopback behind which a head pod's dashboard is.

    Args:
        connection: The API server.
        job: The TrainingJob.
        port: Of this machine; 0 for a free one.

    Raises:
        InputError: The job has no head pod now, or the token may not be read.
    """

    def __init__(self, connection: Connection, job: Object, port: int = 0) -> None:
        metadata, driver = job["metadata"], (job.get("status") or {}).get("driver")
        if not driver:
            raise InputError(
                f"{metadata['namespace']}/{metadata['name']} has no head pod now",
                remedy="Wait until it runs: raygen wait --for Training",
            )
        self._connection, self._namespace = connection, metadata["namespace"]
        self._pod = driver["podName"]
        self._token = _token(connection, job)
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, name="dashboard", daemon=True).start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Takes no more requests."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                client.settimeout(HEAD_SECONDS)
                head, rest = _read_head(client)
                client.settimeout(None)
                with closing(self._connect()) as pod:
                    pod.sendall(with_token(head, self._token) + rest)
                    _pipe(client, pod)
            except (OSError, ValueError, ApiError):
                # The browser asks again; nobody else is there to be told.
                return

    def _connect(self) -> socket.socket:
        api = CoreV1Api(ApiClient(self._connection.configuration))
        forwarded = portforward(
            api.connect_get_namespaced_pod_portforward, self._pod, self._namespace, ports=str(PORT)
        )
        opened: socket.socket = forwarded.socket(PORT)
        opened.setblocking(True)
        return opened


def with_token(head: bytes, token: str) -> bytes:
    """The head of an HTTP/1.1 request with the token, and without the wish to send another on the same connection."""
    lines = head.split(b"\r\n")
    upgrades = any(line.lower().startswith(b"upgrade:") for line in lines)
    kept = [
        line
        for line in lines
        if not line.lower().startswith(b"authorization:")
        and (upgrades or not line.lower().startswith(b"connection:"))
    ]
    kept[1:1] = [b"Authorization: Bearer " + token.encode()] + ([] if upgrades else [b"Connection: close"])
    return b"\r\n".join(kept)


def _read_head(client: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = client.recv(CHUNK_BYTES)
        if not chunk or len(data) > MAX_HEAD_BYTES:
            raise ValueError("no HTTP request")
        data += chunk
    head, _, rest = data.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", rest


def _pipe(client: socket.socket, pod: socket.socket) -> None:
    """Carries bytes both ways until one side ends."""
    while True:
        ready, _, _ = select.select([client, pod], [], [])
        for source, target in ((client, pod), (pod, client)):
            if source in ready:
                data = source.recv(CHUNK_BYTES)
                if not data:
                    return
                target.sendall(data)


def _token(connection: Connection, job: Object) -> str:
    """The token that KubeRay made: a Secret with the name of the RayCluster."""
    namespace = job["metadata"]["namespace"]
    attempt = job["status"]["attempts"][-1]["rayJob"]
    cluster = (connection.get(RAY_JOBS, namespace, attempt).get("status") or {}).get("rayClusterName")
    try:
        secret = connection.get(SECRETS, namespace, str(cluster))
        return base64.b64decode(secret["data"]["auth_token"]).decode()
    except ApiError as error:
        raise InputError(
            f"the dashboard's token cannot be read: {error.what}",
            where=f"Secret {namespace}/{cluster}",
            remedy="Ask for the right to read Secrets of this namespace.",
        ) from error


def logs(url: str, job_id: str, write: Callable[[str], None], *, follow: bool) -> None:
    """Writes what the driver has printed, and with `follow` what it prints until it ends.

    Args:
        url: Of a `Forward`.
        job_id: Ray's id of the job.
        write: Takes text.
        follow: Whether to go on.

    Raises:
        RunError: The head pod does not answer.
    """
    seen = 0
    while True:
        text = _asked(f"{url}/api/jobs/{job_id}/logs")["logs"]
        write(text[seen:])
        seen = len(text)
        if not follow or _asked(f"{url}/api/jobs/{job_id}")["status"] not in ("PENDING", "RUNNING"):
            return
        time.sleep(POLL_SECONDS)


def _asked(url: str) -> Object:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 (our own port)
            document: Object = json.load(answer)
            return document
    except (OSError, HTTPException, ValueError) as error:
        raise RunError(
            f"the head pod does not answer: {error}",
            where=url,
            remedy="Look at it: kubectl describe pod; a head that was lost comes back within minutes.",
        ) from error
