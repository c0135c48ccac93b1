"""The driver's store as workers reach it: lines of JSON over TCP, for those who know the run's token.

A connection begins with the token. Then each line is a request, `[method, key, argument]`, and is answered by a line, its
result. The token keeps others on the network from stopping a run or feeding it words; it does not hide what is said, as
Ray's own does not.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socket
import socketserver
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

from raygen.training.engine.store import TIMEOUT_S, Table

LONGEST_TOKEN = 256
FIRST_WAIT_S, LONGEST_WAIT_S = 0.001, 0.02
"""Between two looks for a key that is waited for; meanwhile other threads of the worker may ask."""


@dataclass(frozen=True)
class Address:
    """Where a driver's store is.

    Attributes:
        host: Of the driver.
        port: The same.
        token: What a worker has to say first.
    """

    host: str
    port: int
    token: str


@contextmanager
def serve(table: Table, host: str) -> Iterator[Address]:
    """Lets workers reach a table until this context ends, which closes their connections.

    Args:
        table: What they read and write.
        host: Address of this machine that they reach it by.
    """
    token = secrets.token_hex(32)
    with _Server(host, table, token) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="store", daemon=True)
        thread.start()
        try:
            yield Address(host, server.server_address[1], token)
        finally:
            server.shutdown()
            thread.join()
            server.hang_up()


class Remote:
    """A worker's view of its driver's store.

    All threads share one connection, and take turns. It is not opened again: a driver that was lost takes its run with it.

    Args:
        address: Where the store is.
        timeout_s: How long to wait for an answer, and for a key in `get`.

    Raises:
        ConnectionError: The driver cannot be reached; later by any method, once it is gone.
    """

    def __init__(self, address: Address, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._socket = socket.create_connection((address.host, address.port), timeout=timeout_s)
        # A request is less than a packet, and waits for no other.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rwb")
        self._say(address.token.encode())

    def set(self, key: str, value: str) -> None:
        """Sets a key."""
        self._ask("set", key, value)

    def get(self, key: str) -> str:
        """The value of a key, once it is set; TimeoutError if that takes too long."""
        end, wait = time.monotonic() + self._timeout_s, FIRST_WAIT_S
        while (value := self._ask("find", key, None)) is None:
            if time.monotonic() > end:
                raise TimeoutError(f"nobody has set {key} within {self._timeout_s:g} s")
            time.sleep(wait)
            wait = min(wait * 1.5, LONGEST_WAIT_S)
        return cast("str", value)

    def add(self, key: str, amount: int) -> int:
        """Adds to a number and returns the sum."""
        return cast("int", self._ask("add", key, amount))

    def check(self, keys: Sequence[str]) -> bool:
        """Whether all of them are set."""
        return cast("bool", self._ask("check", "", list(keys)))

    def delete_key(self, key: str) -> bool:
        """Deletes a key; whether it was there."""
        return cast("bool", self._ask("delete_key", key, None))

    def close(self) -> None:
        """Ends the connection."""
        with suppress(OSError):
            self._file.close()
        self._socket.close()

    def _ask(self, method: str, key: str, argument: Any) -> Any:
        with self._lock:
            self._say(json.dumps([method, key, argument]).encode())
            answer = self._file.readline()
        if not answer.endswith(b"\n"):
            raise ConnectionError("the driver has closed its store")
        return json.loads(answer)

    def _say(self, line: bytes) -> None:
        self._file.write(line + b"\n")
        self._file.flush()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, host: str, table: Table, token: str) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.table, self.token = table, token
        self._open: set[socket.socket] = set()
        try:
            super().__init__((host, 0), _Connection)
        except OSError:
            # The address may be one by which others reach this machine, but none of its own, as behind a translator.
            super().__init__(("", 0), _Connection)

    def finish_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        try:
            super().finish_request(request, client_address)
        finally:
            self._open.discard(request)

    def hang_up(self) -> None:
        """Ends all connections, so that nobody waits for a driver that no longer answers."""
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: a worker that was lost breaks its connection, and Ray tells of it."""


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self) -> None:
        server = cast("_Server", self.server)
        said = self.rfile.readline(LONGEST_TOKEN).strip()
        if not hmac.compare_digest(said, server.token.encode()):
            return
        for line in self.rfile:
            answer = _answer(server.table, *json.loads(line))
            self.wfile.write(json.dumps(answer).encode() + b"\n")


def _answer(table: Table, method: str, key: str, argument: Any) -> Any:
    match method:
        case "set":
            return table.set(key, argument)
        case "find":
            return table.find(key)
        case "add":
            return table.add(key, argument)
        case "check":
            return table.check(argument)
        case "delete_key":
            return table.delete_key(key)
    raise ValueError(f"no method {method}")
