"""As much of an API server as the client talks to, over real HTTP, and a head pod behind it."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from raygen.kube import RAY_JOBS, TRAINING_JOBS
from raygen.kube.resources import SECRETS

Object = dict[str, Any]
Answer = tuple[int, Object | str] | tuple[int, Object | str, dict[str, str]] | None
"""Status, document or text, and headers; None ends the connection without a word."""

TEAM, NAME = "team", "tiny"
JOB = TRAINING_JOBS.path(TEAM, NAME)
EARLY = (
    "ValidatingAdmissionPolicy 'raygen-runtime-limits' denied request: failed to configure policy: "
    "failed to find resource referenced by paramKind: 'raygen.io/v1alpha1, Kind=RaygenRuntime'"
)
TOKEN = "canary-token"  # noqa: S105 (of nobody)


def job(reason: str = "Training", status: str = "Unknown", *, seen: int = 1, generation: int = 1) -> Object:
    """A TrainingJob whose summary the operator has written for the generation `seen`."""
    summary = {"type": "Succeeded", "status": status, "reason": reason, "message": f"{reason} it is"}
    return {
        "metadata": {"name": NAME, "namespace": TEAM, "generation": generation},
        "status": {
            "conditions": [summary | {"observedGeneration": seen}],
            "driver": {"podName": "tiny-r1-head"},
            "attempts": [{"number": 1, "rayJob": "tiny-r1"}],
            "run": "s3://runs/team/tiny",
        },
    }


def ended(reason: str = "DataError", status: str = "False") -> Object:
    """One that has ended, and has no pods."""
    document = job(reason, status)
    del document["status"]["driver"]
    document["status"]["attempts"][0]["ended"] = "2026-01-31T12:00:00Z"
    return document


class Cluster:
    """The objects of an API server.

    Attributes:
        objects: By path.
        forbidden: Paths that nobody may read, with what is said then.
        changes: The job after each change that a watch tells; then the watch ends.
        patches: Paths and bodies of what was changed.
        early: How many changes are still refused since a policy's definition is not known yet.
    """

    def __init__(self, document: Object) -> None:
        self.objects: dict[str, Object] = {
            JOB: document,
            RAY_JOBS.path(TEAM, "tiny-r1"): {"status": {"rayClusterName": "tiny-r1-c", "jobId": "j"}},
            SECRETS.path(TEAM, "tiny-r1-c"): {"data": {"auth_token": "Y2FuYXJ5LXRva2Vu"}},
        }
        self.forbidden: dict[str, str] = {}
        self.changes: list[Object] = []
        self.patches: list[tuple[str, Object]] = []
        self.early = 0
        self.url = ""

    def kubeconfig(self, folder: Path) -> str:
        """The path of one that names it."""
        one = {
            "cluster": {"server": self.url},
            "user": {"token": "x"},
            "context": {"cluster": "a", "user": "a"},
        }
        one["context"]["namespace"] = TEAM
        config: Object = {f"{kind}s": [{"name": "a", kind: value}] for kind, value in one.items()}
        path = folder / "kubeconfig"
        path.write_text(
            yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "a", **config})
        )
        return str(path)

    def answer(self, method: str, target: str, body: Object) -> Answer:
        parts = urlsplit(target)
        if parts.path in self.forbidden:
            return 403, {"message": self.forbidden[parts.path], "reason": "Forbidden"}
        if method == "PATCH":
            if self.early:
                self.early -= 1
                return 422, {
                    "message": EARLY,
                    "reason": "Invalid",
                    "details": {"causes": [{"message": EARLY}]},
                }
            self.patches.append((parts.path, body))
        if "watch=true" in parts.query:
            self.objects[JOB] = self.changes.pop(0)
            return 200, {"type": "MODIFIED", "object": self.objects[JOB]}
        if parts.path == TRAINING_JOBS.path(TEAM):
            return 200, {"metadata": {"resourceVersion": "1"}, "items": [self.objects[JOB]]}
        found = self.objects.get(parts.path)
        return (200, found) if found else (404, {"message": "not found", "reason": "NotFound"})


Frames = Iterable[str | int]
"""Messages of a WebSocket, and at the end the code by which it closes; without one the connection breaks."""


def upgraded(key: str) -> bytes:
    """The answer by which a WebSocket begins: RFC 6455, section 4.2.2."""
    digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()  # noqa: S324
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    accept = f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}"
    return "\r\n".join([*lines, accept, "", ""]).encode()


def frame(message: str | int) -> bytes:
    """A message as a server sends it, or a close frame: the same, section 5.2."""
    content = message.encode() if isinstance(message, str) else message.to_bytes(2, "big")
    kind = 0x81 if isinstance(message, str) else 0x88
    length = bytes([len(content)]) if len(content) < 126 else bytes([126]) + len(content).to_bytes(2, "big")
    return bytes([kind]) + length + content


@contextmanager
def serving(
    answer: Callable[[str, str, Object], Answer],
    seen: list[Any] | None = None,
    tail: Callable[[str], Frames] | None = None,
) -> Iterator[str]:
    """An HTTP server on the loopback; gives its address, and puts the headers of requests into `seen`. What `tail` gives for
    a path goes through a WebSocket.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if seen is not None:
                seen.append(self.headers)
            if tail is not None and "Sec-WebSocket-Key" in self.headers:
                self.wfile.write(upgraded(self.headers["Sec-WebSocket-Key"]))
                for message in tail(self.path):
                    self.wfile.write(frame(message))
                self.close_connection = True
                return
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)) or b"{}")
            given = answer(self.command, self.path, body)
            if given is None:
                return
            said = (given[1] if isinstance(given[1], str) else json.dumps(given[1]) + "\n").encode()
            self.send_response(given[0])
            self.send_header("Content-Length", str(len(said)))
            for name, value in given[2].items() if len(given) > 2 else ():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

        # The names that http.server asks for.
        do_DELETE = do_PATCH = do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


class Way:
    """In place of the package's portforward: leads to the server at an address."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._place = (parts.hostname or "", parts.port or 0)

    def __call__(self, *arguments: Any, **more: Any) -> Way:
        del arguments, more
        return self

    def socket(self, port: int) -> socket.socket:
        """A connection to it."""
        del port
        return socket.create_connection(self._place)
