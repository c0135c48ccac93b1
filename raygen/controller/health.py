"""Answers probes: alive is an operator whose watches are at work and whose queue moves, not one that merely runs."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from raygen.errors import InputError

Check = Callable[[], str]
"""What is wrong, "" if nothing is."""


class Health:
    """A server of /livez, /readyz and /metrics.

    Args:
        port: 0 for a free one.
        live: Checks by name; one that fails has the kubelet start this process again.
        ready: Checks by name.
        metrics: Gives the operator's own figures as text.

    Raises:
        InputError: The port is taken.
    """

    def __init__(
        self, port: int, live: Mapping[str, Check], ready: Mapping[str, Check], metrics: Callable[[], bytes]
    ) -> None:
        checks = {"/livez": live, "/readyz": {**live, **ready}}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/metrics":
                    self._answer(200, "text/plain; version=0.0.4", metrics())
                elif self.path in checks:
                    said = {name: check() or "ok" for name, check in checks[self.path].items()}
                    status = 200 if set(said.values()) <= {"ok"} else 503
                    self._answer(status, "application/json", json.dumps(said).encode())
                else:
                    self.send_error(404)

            def _answer(self, status: int, kind: str, body: bytes) -> None:
                # Kubelets hang up on a probe that takes too long.
                with suppress(ConnectionError):
                    self.send_response(status)
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Probes come every few seconds."""

        try:
            self._server = ThreadingHTTPServer(("", port), Handler)
        except OSError as error:
            raise InputError(
                f"port {port} for probes cannot be bound: {error.strerror}",
                remedy="Give another with --health-port; 0 takes a free one.",
            ) from error
        self._server.daemon_threads = True

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begins to answer."""
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()

    def stop(self) -> None:
        """Ends."""
        self._server.shutdown()
        self._server.server_close()
