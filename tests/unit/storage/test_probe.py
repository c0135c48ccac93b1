"""What a storage that is tried says, and that nothing of it stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore import exceptions as boto

from raygen.cli.main import main
from raygen.errors import OutputError
from raygen.storage import Entry, LocalStorage, probe
from raygen.storage.s3.faults import explained, kind_of


def test_a_storage_that_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kept").write_text("here before")
    assert main(["probe", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"ok       {tmp_path}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_nothing_to_try_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe"]) == 2
    assert "raygen probe s3://bucket/folder" in capsys.readouterr().err


def test_what_is_wrong_is_told_with_the_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    assert main(["probe", str(tmp_path), str(tmp_path / "file"), "ftp://a", "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said.keys() == {"raygen", "ray", "storage"}
    assert [one["kind"] for one in said["storage"]] == ["", "other", "other"]
    assert all(one["what"] and one["remedy"] for one in said["storage"][1:])


class Lossy(LocalStorage):
    """One that does not do what it says."""

    def __init__(self, root: Path, harm: str) -> None:
        super().__init__(root)
        self.harm = harm

    def read(self, key: str) -> bytes:
        return super().read(key)[:-1] if self.harm == "read" else super().read(key)

    def list(self, prefix: str = "") -> Any:
        found: list[Entry] = list(super().list(prefix))
        return iter([] if self.harm == "list" else found)


@pytest.mark.parametrize(("harm", "said"), [("read", "other bytes"), ("list", "is not listed")])
def test_what_does_not_come_back_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str, said: str
) -> None:
    monkeypatch.setattr(probe, "open_storage", lambda _: Lossy(tmp_path, harm))
    (one,) = probe.probe(["s3://a"])
    assert (one.kind, one.readable) == ("other", True)
    assert said in one.what
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


FAILURES: dict[str, Exception] = {
    "bucket": boto.ClientError({"Error": {"Code": "NoSuchBucket"}}, "ListObjectsV2"),
    "refused": boto.ClientError({"Error": {"Code": "SignatureDoesNotMatch"}}, "ListObjectsV2"),
    "expired": boto.ClientError({"Error": {"Code": "ExpiredToken"}}, "ListObjectsV2"),
    "denied": boto.ClientError({"Error": {"Code": "AccessDenied"}}, "PutObject"),
    "region": boto.ClientError({"Error": {"Code": "PermanentRedirect"}}, "PutObject"),
    "full": boto.ClientError({"Error": {"Code": "QuotaExceeded"}}, "PutObject"),
    "other": boto.ClientError({"Error": {"Code": "Strange"}}, "PutObject"),
    "missing": boto.NoCredentialsError(),
    "unreachable": boto.EndpointConnectionError(endpoint_url="http://127.0.0.1:9"),
    "certificate": boto.SSLError(endpoint_url="https://127.0.0.1:9", error="x"),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_every_failure_has_its_kind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str) -> None:
    assert kind_of(FAILURES[kind]) == kind

    class Broken(LocalStorage):
        def list(self, prefix: str = "") -> Any:
            with explained("s3://a", "listed", "127.0.0.1:9"):
                raise FAILURES[kind]

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(probe, "open_storage", lambda _: Broken(tmp_path))
    (one,) = probe.probe(["s3://a"])
    assert (one.kind, one.readable) == (kind, False)
    assert one.what.startswith("cannot be listed: ")


def test_the_kinds_are_those_that_a_failure_can_have() -> None:
    assert FAILURES.keys() | {"unresolved"} == probe.KINDS
    assert kind_of(None) == "other"


@pytest.mark.parametrize(("kind", "asked"), [("unreachable", 1), ("refused", 1), ("bucket", 3), ("full", 3)])
def test_a_server_that_is_away_is_asked_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, asked: int
) -> None:
    calls: list[str] = []

    def opened(uri: str) -> LocalStorage:
        calls.append(uri)
        raise OutputError("no") from FAILURES[kind]

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(probe, "open_storage", opened)
    uris = ["s3://a", "s3://b/c", "s3://d"]
    found = probe.probe(uris)
    assert [one.uri for one in found] == uris
    assert {one.kind for one in found} == {kind}
    assert len(calls) == asked


@pytest.mark.parametrize(
    ("endpoint", "known"),
    [("127.0.0.1:9", True), ("localhost", True), ("nowhere.invalid:80", False), ("nowhere.invalid", False)],
)
def test_a_name_that_nobody_knows_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, endpoint: str, known: bool
) -> None:
    def opened(uri: str) -> LocalStorage:
        del uri
        raise OutputError("cannot be listed") from FAILURES["unreachable"]

    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{endpoint}")
    monkeypatch.setattr(probe, "open_storage", opened)
    (one,) = probe.probe(["s3://a"])
    assert one.kind == ("unreachable" if known else "unresolved")
    assert ("cannot be resolved" in one.what) == (not known)
