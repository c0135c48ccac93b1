from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from email.message import Message
from pathlib import Path

import pytest
from kubernetes.client import Configuration

from raygen.kube import LEASES, ApiError, Connection, connect
from tests.unit.client.stub import serving


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
    with pytest.raises(ApiError, match="is not JSON"):
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


CONFIG = """
apiVersion: v1
kind: Config
current-context: a
clusters: [{{name: a, cluster: {{server: {url}}}}}]
contexts:
- {{name: a, context: {{cluster: a, user: admin}}}}
- {{name: as-ann, context: {{cluster: a, user: ann}}}}
users:
- {{name: admin, user: {{token: x}}}}
- {{name: ann, user: {{token: x, as: ann, as-groups: [researchers, people], as-uid: u, as-user-extra: {{a/b: [c]}}}}}}
"""


def test_whoever_the_kubeconfig_says_to_act_as_is_told_to_the_server(tmp_path: Path) -> None:
    seen: list[Message] = []
    with serving(lambda *_: (200, {}), seen) as url:
        (tmp_path / "config").write_text(CONFIG.format(url=url))
        for context in (None, "as-ann"):
            connect(str(tmp_path / "config"), context).get(LEASES, "n", "l")
    admin, ann = seen
    assert not [name for name in admin if name.lower().startswith("impersonate")]
    assert (ann["Impersonate-User"], ann["Impersonate-Uid"]) == ("ann", "u")
    assert ann.get_all("Impersonate-Group") == ["researchers", "people"]
    assert ann["Impersonate-Extra-a%2Fb"] == "c"


@pytest.mark.parametrize("text", ["foo: [", "[]", "", "contexts: 3", "\x00"])
def test_a_kubeconfig_that_is_none_is_an_error_without_a_traceback(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(ApiError, match="there is no cluster to talk to"):
        connect(str(tmp_path / "config"))


def test_who_is_not_known_any_more_reads_what_to_do(tmp_path: Path) -> None:
    with serving(lambda *_: (401, {"message": "Unauthorized"})) as url:
        (tmp_path / "config").write_text(CONFIG.format(url=url))
        with pytest.raises(ApiError, match="Unauthorized") as caught:
            connect(str(tmp_path / "config")).get(LEASES, "n", "l")
    assert "Log in to the cluster again" in caught.value.remedy
    assert caught.value.exit_code == 2
