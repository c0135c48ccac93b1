"""`raygen probe` before a real server: what each mistake is called, and that no secret and no object stays."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from raygen.cli.main import main
from tests.integration.s3.conftest import set_environment
from tests.integration.s3.proxy import Proxy
from tests.integration.s3.server import ACCESS_KEY, BUCKET, SECRET_KEY, Server, free_port

Probe = Callable[..., tuple[int, list[tuple[str, str]]]]


@pytest.fixture
def probe(capsys: pytest.CaptureFixture[str]) -> Probe:
    """Exit code, kinds and texts."""

    def run(*uris: str) -> tuple[int, list[tuple[str, str]]]:
        code = main(["probe", "--json", *uris])
        said = capsys.readouterr()
        assert said.err == ""
        assert SECRET_KEY not in said.out
        assert ACCESS_KEY not in said.out
        return code, [(one["kind"], one["what"]) for one in json.loads(said.out)["storage"]]

    return run


def test_what_works_leaves_nothing(server: Server, aws: dict[str, str], probe: Probe) -> None:
    assert probe(f"s3://{BUCKET}/probed/", f"s3://{BUCKET}") == (0, [("", ""), ("", "")])
    assert [path for path in (server.folder / BUCKET).rglob("*raygen-probe*") if path.is_file()] == []


def test_a_bucket_that_is_not_there_is_one_prefix_s_fault(aws: dict[str, str], probe: Probe) -> None:
    code, (first, second) = probe("s3://nowhere/a/", f"s3://{BUCKET}/probed/")
    assert (code, first[0], second[0]) == (1, "bucket", "")


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "another-secret"}, "refused"),
        ({"AWS_ACCESS_KEY_ID": "NOBODY"}, "refused"),
        ({"AWS_ENDPOINT_URL": "http://nowhere.invalid"}, "unresolved"),
        ({"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}, "unreachable"),
    ],
)
def test_wrong_settings_are_told_apart(
    server: Server, monkeypatch: pytest.MonkeyPatch, probe: Probe, changes: dict[str, str], kind: str
) -> None:
    set_environment(monkeypatch, server.endpoint)
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    code, found = probe(f"s3://{BUCKET}/a", f"s3://{BUCKET}/b")
    assert (code, [one for one, _ in found]) == (1, [kind, kind])
    assert "another-secret" not in str(found)


def test_without_credentials(
    server: Server, aws: dict[str, str], monkeypatch: pytest.MonkeyPatch, probe: Probe
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert probe(f"s3://{BUCKET}/a") == (1, [("missing", "cannot be listed: there are no credentials")])


@pytest.mark.parametrize(
    ("fault", "kind", "what"),
    [
        ("403", "denied", "cannot be created: access is denied"),
        ("507", "full", "cannot be created: the storage or its quota is full"),
        ("without conditions", "other", "passes over conditional writes"),
    ],
)
def test_what_cannot_be_written(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, probe: Probe, fault: str, kind: str, what: str
) -> None:
    set_environment(monkeypatch, proxy.endpoint)
    proxy.script = lambda request: fault if request.method == "PUT" else ""
    code, [(found, said)] = probe(f"s3://{BUCKET}/a")
    assert (code, found) == (1, kind)
    assert what in said


def test_what_cannot_be_deleted(proxy: Proxy, monkeypatch: pytest.MonkeyPatch, probe: Probe) -> None:
    set_environment(monkeypatch, proxy.endpoint)
    proxy.script = lambda request: "403" if request.method in ("DELETE", "POST") else ""
    assert probe(f"s3://{BUCKET}/a") == (1, [("denied", "cannot be deleted: access is denied")])
