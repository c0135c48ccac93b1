from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from raygen.errors import InputError, MissingExtraError
from raygen.storage import open_storage
from raygen.storage.s3.client import Connection, Patience, connect

SECRET = "the-secret"  # noqa: S105
QUICK = Patience(first_attempts=3, seconds=0.5, base=1e-4, throttled_base=1e-4, longest=1e-3)


@pytest.fixture(autouse=True)
def _aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "AWS_CA_BUNDLE",
        "REQUESTS_CA_BUNDLE",
        "AWS_PROFILE",
        "AWS_SESSION_TOKEN",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_DEFAULT_REGION",
    ):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "an-id",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "eu-north-1",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)


class Server:
    """Fails as often as it is told to."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.calls = 0
        self._failures = failures
        self._error = error or EndpointConnectionError(endpoint_url="")

    def __call__(self, client: Any) -> str:
        self.calls += 1
        if self.calls <= self._failures:
            raise self._error
        return "done"


def test_an_endpoint_that_never_answered_gets_few_attempts() -> None:
    server = Server(100)
    with pytest.raises(EndpointConnectionError):
        Connection(QUICK).run(server)
    assert server.calls == 3


def test_one_that_answered_gets_the_time_of_a_restart() -> None:
    connection = Connection(QUICK)
    assert connection.run(Server(0)) == "done"
    server = Server(20)
    assert connection.run(server) == "done"
    assert server.calls == 21
    with pytest.raises(EndpointConnectionError):
        connection.run(Server(10**9))


def test_a_refusal_is_an_answer_and_is_not_repeated() -> None:
    connection = Connection(QUICK)
    denied = Server(
        100,
        ClientError({"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}, "x"),
    )
    with pytest.raises(ClientError):
        connection.run(denied)
    assert denied.calls == 1
    assert connection.run(Server(20)) == "done"


def test_nothing_is_repeated_once_it_is_cancelled() -> None:
    connection, cancelled = Connection(QUICK), threading.Event()
    connection.run(Server(0))
    cancelled.set()
    server = Server(100)
    with pytest.raises(EndpointConnectionError):
        connection.run(server, cancelled)
    assert server.calls == 1


def test_waits_grow_are_drawn_and_are_bounded() -> None:
    patience = Patience(base=0.1, throttled_base=1.0, longest=10.0)
    for attempt in (1, 2, 5, 1000):
        for throttled, base in ((False, 0.1), (True, 1.0)):
            waits = [patience.wait(attempt, throttled=throttled) for _ in range(200)]
            bound = min(base * 2.0 ** min(attempt - 1, 30), 10.0)
            assert 0 <= min(waits) < bound / 4
            assert bound / 2 < max(waits) <= bound


def test_other_libraries_get_what_boto3_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reach = Connection().reach()
    assert (reach.access_key, reach.secret_key, reach.token) == ("an-id", SECRET, None)
    assert (reach.region, reach.custom, reach.virtual, reach.authority) == ("eu-north-1", False, False, None)
    assert SECRET not in repr(reach)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://general:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://special:2")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-token")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    (tmp_path / "config").write_text("[default]\ns3 =\n  addressing_style = virtual\n")
    connection = Connection()
    reach = connection.reach()
    assert connection.endpoint == "special:2"
    assert (reach.endpoint, reach.custom, reach.virtual) == ("https://special:2", True, True)
    assert (reach.token, reach.authority) == ("a-token", str(tmp_path / "authority.pem"))


def test_the_endpoint_is_shown_without_user_and_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://user:{SECRET}@host:1/")
    assert Connection().endpoint == "host:1"


def test_one_connection_serves_all_storages_until_the_environment_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert connect() is connect()
    before = connect()
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert connect() is not before


@pytest.mark.parametrize(
    ("name", "value"), [("AWS_ENDPOINT_URL", f"no address {SECRET}"), ("AWS_PROFILE", "nobody")]
)
def test_settings_that_are_wrong_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match="S3 cannot be set up") as caught:
        open_storage("s3://bucket")
    assert name in caught.value.where
    assert SECRET not in str(caught.value)


def test_without_boto3_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in [name for name in sys.modules if name.startswith("raygen.storage.s3.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "botocore", None)
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(MissingExtraError, match="boto3 is not installed") as caught:
        open_storage("s3://bucket/runs")
    assert "raygen[s3]" in caught.value.remedy
