from __future__ import annotations

from typing import Any

import pytest

from raygen.data.sources.arrow import reason, s3_filesystem
from raygen.storage.s3.client import Reach

SECRET = "the-secret"  # noqa: S105
REACH: dict[str, Any] = {
    "endpoint": "https://user:password@host:1",
    "custom": True,
    "region": "eu-north-1",
    "virtual": False,
    "access_key": "an-id",
    "secret_key": SECRET,
    "token": None,
    "authority": None,
}


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What pyarrow's client was given."""
    given: dict[str, Any] = {}
    monkeypatch.setattr("pyarrow.fs.S3FileSystem", lambda **options: given.update(options))
    s3_filesystem.cache_clear()
    return given


def test_pyarrow_gets_what_boto3_found(options: dict[str, Any]) -> None:
    s3_filesystem(Reach(**REACH | {"token": "a-token", "authority": "authority.pem"}))
    assert (options["scheme"], options["endpoint_override"]) == ("https", "host:1")
    assert (options["access_key"], options["secret_key"], options["session_token"]) == (
        "an-id",
        SECRET,
        "a-token",
    )
    assert (options["region"], options["force_virtual_addressing"]) == ("eu-north-1", False)
    assert options["tls_ca_file_path"] == "authority.pem"


def test_amazon_s_own_addresses_are_left_to_pyarrow(options: dict[str, Any]) -> None:
    s3_filesystem(Reach(**REACH | {"custom": False, "virtual": True}))
    assert not {"scheme", "endpoint_override", "tls_ca_file_path"} & options.keys()
    assert options["force_virtual_addressing"]


def test_of_pyarrow_s_words_about_a_server_the_code_alone_is_kept() -> None:
    denied = OSError(f"When reading x: AWS Error ACCESS_DENIED during GetObject operation: {SECRET}")
    assert reason(denied) == "the server answers ACCESS_DENIED"
    assert reason(OSError("not Parquet\nmore")) == "not Parquet"
    assert reason(OSError()) == "OSError"
