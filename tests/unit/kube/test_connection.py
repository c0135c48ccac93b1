from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from kubernetes.client import Configuration

from raygen.kube import LEASES, ApiError, Connection


@pytest.fixture
def answering() -> Iterator[Callable[[bytes | None], str]]:
    """Starts a server that gives one answer to everybody, or none; its address."""
    listeners: list[socket.socket] = []
    kept: list[socket.socket] = []

    def start(answer: bytes | None) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            while True:
                try:
                    one, _ = listener.accept()
                except OSError:
                    return
                kept.append(one)
                one.recv(65_536)
                if answer is not None:
                    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer)}\r\nConnection: close\r\n\r\n"
                    one.sendall(head.encode() + answer)

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for one in listeners:
        one.shutdown(socket.SHUT_RDWR)
        one.close()
    for one in kept:
        one.close()


def test_an_answer_is_waited_for_as_long_as_the_connection_says(
    answering: Callable[[bytes | None], str],
) -> None:
    connection = Connection(Configuration(host=answering(None)), seconds=0.2)
    begun = time.monotonic()
    with pytest.raises(ApiError, match="does not answer"):
        connection.get(LEASES, "n", "l")
    assert time.monotonic() - begun < 5


def test_an_answer_that_is_no_json_is_an_error_of_the_server_s(
    answering: Callable[[bytes | None], str],
) -> None:
    connection = Connection(Configuration(host=answering(b"<html>a portal</html>")))
    with pytest.raises(ApiError, match="is no JSON"):
        connection.get(LEASES, "n", "l")


def test_whoever_may_not_write_may_read(answering: Callable[[bytes | None], str]) -> None:
    connection = Connection(Configuration(host=answering(b"{}")))
    assert connection.create(LEASES, "n", {}) == {}
    connection.may_write = lambda: False
    assert connection.get(LEASES, "n", "l") == {}
    for write in (
        lambda: connection.create(LEASES, "n", {}),
        lambda: connection.apply(LEASES, "n", "l", {}, manager="m"),
        lambda: connection.delete(LEASES, "n", "l", uid="u"),
    ):
        with pytest.raises(ApiError, match="may not write"):
            write()
