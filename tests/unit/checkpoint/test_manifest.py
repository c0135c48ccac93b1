from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from raygen.checkpoint import FileRecord, Manifest, Piece, TensorRecord
from raygen.checkpoint.manifest import decode
from raygen.errors import CheckpointError

MANIFEST = Manifest(
    step=3,
    attempt=2,
    created="2026-11-24T02:30:00+00:00",
    raygen="0.1.0",
    state="state.a002.json",
    files={"state.a002.json": FileRecord(2, "ab"), "s": FileRecord(100, "cd")},
    tensors={"ü": TensorRecord("F32", (2, 3), (Piece("s", "ü", (0, 0), (2, 3)),))},
    metric=0.1 + 0.2,
)


def signed(body: dict[str, Any]) -> bytes:
    """Canonical bytes with a right digest, as a forger would make them."""
    plain = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    return (
        json.dumps({**body, "sha256": hashlib.sha256(plain).hexdigest()}, sort_keys=True, indent=1).encode()
        + b"\n"
    )


def body_of(manifest: Manifest) -> dict[str, Any]:
    body = json.loads(manifest.encode())
    del body["sha256"]
    return body


@pytest.mark.parametrize(
    "manifest", [MANIFEST, replace(MANIFEST, metric=None, files=MANIFEST.files, tensors={})]
)
def test_a_manifest_round_trips(manifest: Manifest) -> None:
    assert decode(manifest.encode()) == manifest
    assert signed(body_of(manifest)) == manifest.encode()


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"{}", b"\x80\x04", b"[" * 100_000])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(CheckpointError):
        decode(data)


def test_the_same_content_in_other_bytes_is_refused() -> None:
    compact = json.dumps(json.loads(MANIFEST.encode())).encode()
    with pytest.raises(CheckpointError, match="altered"):
        decode(compact)


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"../../etc/passwd": {"size": 1, "sha256": ""}, **body_of(MANIFEST)["files"]}},
        {"files": {"manifest.json": {"size": 1, "sha256": ""}, **body_of(MANIFEST)["files"]}},
        {"files": {}},
        {"files": []},
        {"state": "other.json"},
        {"step": "x"},
        {"metric": {}},
        {"tensors": {"x": {"dtype": "F32", "shape": [-1], "shards": []}}},
        {"tensors": {"x": None}},
    ],
)
def test_a_well_signed_but_malformed_manifest_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match="malformed"):
        decode(signed(body_of(MANIFEST) | change))


def test_a_newer_format_says_what_reads_it() -> None:
    with pytest.raises(CheckpointError, match="format 2") as caught:
        decode(signed(body_of(MANIFEST) | {"format": 2, "raygen": "9.0"}))
    assert "9.0" in caught.value.remedy
