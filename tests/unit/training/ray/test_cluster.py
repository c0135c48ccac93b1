"""What RAY_ADDRESS may hold, against real sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from raygen.errors import InputError
from raygen.training.ray import cluster
from tests.unit.training.runs import train

SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The address of a server that treats its connections so."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_server_that_speaks_as_ray_does_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(connection: socket.socket) -> None:
        assert connection.recv(100).startswith(b"PRI * HTTP/2.0\r\n")
        for byte in SETTINGS:
            connection.sendall(bytes([byte]))

    with server(answer) as address:
        monkeypatch.setenv("RAY_ADDRESS", address)
        cluster.check_cluster(0)


def test_a_head_that_comes_back_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([b"", b"", SETTINGS])
    with server(lambda connection: connection.sendall(next(answers))) as address:
        monkeypatch.setenv("RAY_ADDRESS", address)
        monkeypatch.setattr(cluster, "POLL_S", 0.0)
        cluster.check_cluster()
    assert next(answers, None) is None


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "what answers there is not Ray"),
        (b"", "what answers there is not Ray"),
        (None, "no answer"),
    ],
)
def test_servers_that_are_not_ray(monkeypatch: pytest.MonkeyPatch, answer: bytes | None, fault: str) -> None:
    monkeypatch.setattr(cluster, "ANSWER_S", 0.1)

    def serve(connection: socket.socket) -> None:
        connection.recv(100)
        if answer is None:
            while connection.recv(100):  # until the other side gives up
                pass
        else:
            connection.sendall(answer)

    with server(serve) as address:
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(InputError, match=f"there is no Ray cluster at {address}: {fault}") as caught:
            cluster.check_cluster(0)
    assert caught.value.where == "RAY_ADDRESS"


def test_a_port_where_nobody_listens_is_tried_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "POLL_S", 0.01)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        monkeypatch.setenv("RAY_ADDRESS", f"localhost:{bound.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(InputError, match="refused") as caught:
            cluster.check_cluster(0.1)
    assert time.monotonic() - began >= 0.1
    assert "unset it to train on this machine" in caught.value.remedy


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("ray://10.0.0.1:10001", "Ray Client"),
        ("http://127.0.0.1:8265", "dashboard takes jobs"),
        ("k8s://cluster", "k8s:// is not an address"),
        ("head", "'head' is not an address HOST:PORT"),
        ("head:", "HOST:PORT"),
        ("head:0", "HOST:PORT"),
        ("head:65536", "HOST:PORT"),
        (":6379", "HOST:PORT"),
        ("two words:6379", "HOST:PORT"),
        ("::1:6379", "HOST:PORT"),
        (" ", "HOST:PORT"),
        ("head.invalid:6379", "there is no Ray cluster at head.invalid:6379: "),
        (f"{'x' * 70}.y:6379", "there is no Ray cluster"),
        ("[::ffff:0:0]:1", "there is no Ray cluster"),
    ],
)
def test_addresses_that_cannot_be_right(monkeypatch: pytest.MonkeyPatch, address: str, fault: str) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(InputError, match=fault):
        cluster.check_cluster(0)


@pytest.mark.parametrize("address", ["", "local"])
def test_what_names_no_cluster_trains_here(base: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    assert not cluster.on_cluster()
    assert train(base, dry_run=True).state == "DryRun"


def test_a_run_is_refused_before_anything_is_written(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "nonsense")
    with pytest.raises(InputError, match="HOST:PORT") as caught:
        train(base)
    assert caught.value.exit_code == 2
    assert not (base / "runs").exists()


def test_what_ray_answers_is_in_the_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    error = ConnectionError("Failed to connect")
    assert "head:6379: Failed to connect" in cluster.refusal(error).what
    error.__cause__ = RuntimeError("\nVersion mismatch:\n more")
    assert cluster.refusal(error).what.endswith(": Version mismatch:")
    assert "RAY_AUTH_TOKEN" in (cluster.refusal(error).remedy or "")
