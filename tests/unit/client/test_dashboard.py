"""The port before a head pod: what it adds, and whom it serves."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raygen.client import dashboard
from raygen.client.dashboard import Forward, with_token
from raygen.client.logs import logs
from raygen.errors import InputError, RaygenError
from raygen.kube import RAY_JOBS, Connection, connect
from raygen.kube.resources import PODS, SECRETS
from tests.unit.client.stub import JOB, TEAM, TOKEN, Cluster, Way, ended, job, serving

HEADERS: list[Any] = []


@pytest.fixture
def connection(cluster: Cluster, tmp_path: Path) -> Connection:
    return connect(cluster.kubeconfig(tmp_path))


@pytest.fixture
def forward(cluster: Cluster, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forward]:
    """The way to a head pod that answers everybody."""
    HEADERS.clear()
    with serving(lambda *asked: (200, {"asked": asked[1]}), HEADERS) as url:
        monkeypatch.setattr(dashboard, "portforward", Way(url))
        made = Forward(connection, cluster.objects[JOB])
        yield made
        made.close()


def asked(forward: Forward, **headers: str) -> tuple[int, str]:
    """Status and text of an answer to a browser with these headers."""
    client = http.client.HTTPConnection("127.0.0.1", forward.port, timeout=10)
    named = {name.replace("_", "-"): value.format(port=forward.port) for name, value in headers.items()}
    client.request("GET", "/api/jobs/", headers=named)
    answer = client.getresponse()
    text = answer.read().decode()
    client.close()
    return answer.status, text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "localhost:{port}"},
        {"Sec_Fetch_Site": "none"},
        {"Sec_Fetch_Site": "same-origin", "Origin": "http://127.0.0.1:{port}"},
    ],
)
def test_its_own_page_and_programs_get_the_tokens_power(forward: Forward, headers: dict[str, str]) -> None:
    status, text = asked(forward, **headers)
    assert (status, json.loads(text)) == (200, {"asked": "/api/jobs/"})
    assert HEADERS[-1]["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example.org:{port}"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:1"},
        {"Host": "localhost:{port}", "Origin": "http://127.0.0.1:{port}"},
        {"Origin": "https://example.org"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_other_pages_do_not(forward: Forward, headers: dict[str, str]) -> None:
    status, text = asked(forward, **headers)
    assert status == 403
    assert forward.url in text
    assert HEADERS == []


def test_a_request_without_a_host_or_with_two_is_refused() -> None:
    host = b"Host: 127.0.0.1:8265\r\n"
    assert dashboard.is_own(b"GET / HTTP/1.1\r\n" + host + b"\r\n", 8265)
    assert not dashboard.is_own(b"GET / HTTP/1.1\r\n" + host + host + b"\r\n", 8265)
    assert not dashboard.is_own(b"GET / HTTP/1.1\r\n\r\n", 8265)


def test_the_token_takes_the_place_of_what_the_browser_has() -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\nauthorization: Bearer mine\r\nConnection: keep-alive\r\n\r\n"
    said = with_token(head, TOKEN)
    assert said == (
        b"GET / HTTP/1.1\r\nAuthorization: Bearer canary-token\r\nConnection: close\r\nHost: x\r\n\r\n"
    )


def test_a_job_that_has_ended_names_its_run_directory(connection: Connection) -> None:
    with pytest.raises(InputError, match=r"team/tiny has ended \(DataError\)") as caught:
        Forward(connection, ended())
    assert caught.value.remedy == "What it left is in its run directory: s3://runs/team/tiny"
    waits = job("Queued")
    del waits["status"]["driver"]
    with pytest.raises(InputError, match="no head pod now: Queued") as caught:
        Forward(connection, waits)
    assert "raygen wait tiny --namespace team --for Training" in caught.value.remedy


@pytest.mark.parametrize(
    ("path", "right"),
    [
        (RAY_JOBS.path(TEAM, "tiny-r1"), ("get", "rayjobs", "ray.io")),
        (SECRETS.path(TEAM, "tiny-r1-c"), ("get", "secrets", "")),
        (PODS.path(TEAM, "tiny-r1-head", "portforward"), ("create", "pods/portforward", "")),
    ],
)
def test_who_lacks_a_right_reads_which_one(
    cluster: Cluster, connection: Connection, path: str, right: tuple[str, str, str]
) -> None:
    verb, resource, group = right
    said = f'User "ann" cannot {verb} resource "{resource}" in API group "{group}" in the namespace "team"'
    cluster.forbidden = {path: said}

    def shown() -> None:
        forward = Forward(connection, cluster.objects[JOB])
        try:
            logs(forward.url, "j", lambda text: None, follow=True, over=lambda: False)
        finally:
            forward.close()

    with pytest.raises(RaygenError, match="cannot") as caught:
        shown()
    kind = f"{resource}.{group}".rstrip(".")
    remedy = f"Ask the administrator for the right to {verb} {kind} in the namespace team."
    assert caught.value.remedy == remedy
