"""The way to Ray's dashboard in a head pod: a port of this machine that adds the token to every request.

The token never leaves this process: a browser or a program here talks to the loopback without one.
"""

from __future__ import annotations

import base64
import select
import socket
import threading
from contextlib import closing
from typing import Any

from kubernetes.client import ApiClient, ApiException, CoreV1Api
from kubernetes.stream import portforward

from raygen.client.jobs import ended, summary
from raygen.errors import InputError, RaygenError
from raygen.kube import RAY_JOBS, ApiError, Connection
from raygen.kube.errors import error_of
from raygen.kube.resources import PODS, SECRETS

PORT = 8265
MAX_HEAD_BYTES = 64 * 1024
CHUNK_BYTES = 64 * 1024
HEAD_SECONDS = 30.0
TROUBLE = "Raygen-Trouble"
"""Header of an answer that is not the head pod's: the way to it is not there. Read by raygen.client.logs."""
OWN_SITES = (b"none", b"same-origin")
"""Of Sec-Fetch-Site: the address bar, and pages that came from here."""

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
            raise _no_head(job)
        if connection.impersonation:
            raise InputError(
                "the kubeconfig says to act as somebody else, and the way to a pod cannot be opened so",
                remedy="Use a kubeconfig of that user's own, or one without `as`.",
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
                if not is_own(head, self.port):
                    client.sendall(
                        _answer("403 Forbidden", f"Open {self.url} itself: other pages may not ask.")
                    )
                    return
                try:
                    opened = self._connect()
                except ApiError as error:
                    status = "403 Forbidden" if error.is_refused else "502 Bad Gateway"
                    client.sendall(_answer(status, f"{error.what}\n{error.remedy}", f"{TROUBLE}: yes\r\n"))
                    return
                with closing(opened) as pod:
                    pod.sendall(with_token(head, self._token) + rest)
                    _pipe(client, pod)
            except (OSError, ValueError):
                # The browser asks again; nobody else is there to be told.
                return

    def _connect(self) -> socket.socket:
        api = CoreV1Api(ApiClient(self._connection.configuration))
        try:
            forwarded = portforward(
                api.connect_get_namespaced_pod_portforward, self._pod, self._namespace, ports=str(PORT)
            )
        except ApiException as error:
            raise _refusal(error, PODS.path(self._namespace, self._pod, "portforward")) from error
        opened: socket.socket = forwarded.socket(PORT)
        opened.setblocking(True)
        return opened


def is_own(head: bytes, port: int) -> bool:
    """Whether a request comes from a program of this machine, or from a page that came by this port.

    Any page in a browser may send requests to the loopback, and with a name that it rebinds to 127.0.0.1 read the answers.
    """
    found: dict[bytes, list[bytes]] = {}
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        found.setdefault(name.strip().lower(), []).append(value.strip().lower())
    hosts = [f"{name}:{port}".encode() for name in ("127.0.0.1", "localhost")]
    return (
        len(found.get(b"host", ())) == 1
        and found[b"host"][0] in hosts
        and all(origin == b"http://" + found[b"host"][0] for origin in found.get(b"origin", ()))
        and all(site in OWN_SITES for site in found.get(b"sec-fetch-site", ()))
    )


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


def _answer(status: str, text: str, more: str = "") -> bytes:
    body = text.strip().encode() + b"\n"
    head = f"HTTP/1.1 {status}\r\n{more}Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body


def _refusal(error: ApiException, path: str) -> ApiError:
    # The package makes one text of all that the server said; what it caught has the parts.
    said = error.__context__
    status = getattr(said, "status_code", 0)
    if not status:
        return ApiError(f"the head pod cannot be reached: {error.reason}", where=path)
    return error_of(status, getattr(said, "resp_body", None) or b"", {}, f"GET {path}")


def _no_head(job: Object) -> RaygenError:
    """Why there is nothing to show, and where to look instead."""
    metadata, found = job["metadata"], summary(job)
    name = f"{metadata['namespace']}/{metadata['name']}"
    if ended(job):
        run = (job.get("status") or {}).get("run")
        return InputError(
            f"{name} has ended ({found['reason']}), and its head pod is gone",
            remedy=f"What it left is in its run directory: {run}" if run else "Read why: raygen get",
        )
    return InputError(
        f"{name} has no head pod now: {found['reason']}",
        remedy=f"Wait until it runs: raygen wait {metadata['name']} --namespace {metadata['namespace']} --for Training",
    )


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
            remedy=error.remedy or "The attempt starts or ends just now: try again in a moment.",
        ) from error
