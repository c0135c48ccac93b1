from __future__ import annotations

from pathlib import Path

import pytest

from raygen.errors import InputError
from raygen.storage import open_storage


def test_paths_and_file_uris_open_the_same_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    open_storage("runs/").write("x", b"1")
    for uri in (str(tmp_path / "runs"), f"file://{tmp_path}/runs", f"{tmp_path}/runs/", "~/runs", "./runs"):
        storage = open_storage(uri)
        assert storage.read("x") == b"1"
        assert open_storage(storage.uri).read("x") == b"1"


def test_opening_creates_nothing(tmp_path: Path) -> None:
    open_storage(str(tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("uri", ["gs://b", "GS://b", "http://host/x"])
def test_other_schemes_say_which_there_are(uri: str) -> None:
    with pytest.raises(InputError, match=r"no storage for (gs|http)://") as caught:
        open_storage(uri)
    assert "file://" in caught.value.remedy
    assert "s3://" in caught.value.remedy


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "a\0b",
        "file://host/x",
        "file://x",
        "file:///a?b",
        "file:///a%20b",
        "file:///a#b",
        "s3://",
        "s3:///key",
        "s3://b",
        "s3://Bucket/x",
        "s3://bucket/a//b",
        "s3://bucket/../b",
        "s3://bucket/a?x=1",
        "s3://bucket/a%2e",
        "s3://bucket/#x",
        "s3://bucket/a\\b",
    ],
)
def test_malformed_uris_are_refused(uri: str) -> None:
    with pytest.raises(InputError):
        open_storage(uri)
