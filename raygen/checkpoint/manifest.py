"""The manifest: which files make a checkpoint, and where each tensor lies in them.

It is written last, so a folder without one is a save that was cut short. Its bytes are canonical
and carry their own digest: a manifest that was altered in any byte does not parse.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from raygen.errors import CheckpointError

MANIFEST = "manifest.json"
FORMAT = 1
CHUNK_BYTES = 1 << 20
"""What each checksum of a file is of; the last one, of the rest."""


class NewerFormatError(CheckpointError):
    """A checkpoint that is whole but of another format; it may be neither passed over nor deleted."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file's size and digests.

    Attributes:
        size: Bytes.
        sha256: Of the whole file, in hexadecimal.
        crc32: Of each `CHUNK_BYTES` of it, eight hexadecimal digits each, by which a part is verified without the rest.
            Empty for files that are only read whole, and in checkpoints of raygen 0.1.
    """

    size: int
    sha256: str
    crc32: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if self.crc32 and len(self.crc32) != 8 * -(-self.size // CHUNK_BYTES):
            raise ValueError(f"{len(self.crc32)} digits of checksums for {self.size} bytes")

    def checksum(self, chunk: int) -> int:
        """The CRC-32 of the chunk of that number, from 0."""
        return int(self.crc32[8 * chunk : 8 * chunk + 8], 16)


@dataclass(frozen=True, slots=True)
class Piece:
    """A rectangular part of a tensor.

    Attributes:
        file: The shard's file name, in the checkpoint's folder; workers write files of their own.
        key: The part's name in that file. Tied tensors share one.
        offsets: Where the part begins in the whole tensor, one number per dimension.
        shape: The part's shape.
    """

    file: str
    key: str
    offsets: tuple[int, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TensorRecord:
    """A whole tensor: safetensors dtype ("F32"), global shape, and the parts that cover it."""

    dtype: str
    shape: tuple[int, ...]
    shards: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """What one worker wrote of a checkpoint.

    Attributes:
        state: The name of the file of JSON values, which the first worker writes; "" of the others.
        files: Its files, by name.
        tensors: Its tensors, by name, with the pieces that it has.
    """

    state: str
    files: Mapping[str, FileRecord]
    tensors: Mapping[str, TensorRecord]

    def encode(self) -> str:
        """The part as JSON, for the worker that commits."""
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, text: str) -> Part:
        """Reads what `encode` wrote."""
        body = json.loads(text)
        return cls(str(body["state"]), _files(body["files"]), _tensors(body["tensors"]))


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a checkpoint consists of.

    Attributes:
        step: Training steps completed; also the folder's name.
        attempt: The attempt that wrote it.
        created: UTC, ISO 8601.
        raygen: The version that wrote it.
        state: The name of the file of JSON values.
        files: Every file but the manifest, by name.
        tensors: Every tensor, by name.
        metric: The figure by which the best checkpoint is kept, if one was known.
    """

    step: int
    attempt: int
    created: str
    raygen: str
    state: str
    files: Mapping[str, FileRecord]
    tensors: Mapping[str, TensorRecord]
    metric: float | None = None

    def encode(self) -> bytes:
        """The canonical bytes of the manifest, digest included."""
        return _encode({"format": FORMAT, **asdict(self)})


def decode(data: bytes) -> Manifest:
    """Reads what `Manifest.encode` wrote.

    Raises:
        CheckpointError: If any byte differs.
        NewerFormatError: If it is whole, but a later raygen's.
    """
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CheckpointError("the manifest is truncated or altered: it is not JSON") from error
    digest = body.pop("sha256", None) if isinstance(body, dict) else None
    if digest is None or _encode(body) != data:
        raise CheckpointError("the manifest was altered: it does not match its own digest")
    if body.get("format") != FORMAT:
        raise NewerFormatError(
            f"the checkpoint has format {body.get('format')}; this raygen reads format {FORMAT}",
            remedy=f"Use raygen {body.get('raygen')} or later, which wrote it.",
        )
    try:
        return _manifest(body)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"the manifest is malformed: {error!r}") from error


def _encode(body: Mapping[str, Any]) -> bytes:
    plain = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    complete = {**body, "sha256": hashlib.sha256(plain).hexdigest()}
    return json.dumps(complete, sort_keys=True, indent=1).encode() + b"\n"


def _manifest(body: Mapping[str, Any]) -> Manifest:
    files, tensors = _files(body["files"]), _tensors(body["tensors"])
    named = {piece.file for record in tensors.values() for piece in record.shards}
    if unknown := sorted((named | {body["state"]}) - files.keys()):
        raise ValueError(f"no record of the file {unknown[0]}")
    if outside := sorted(name for name in files if "/" in name or name == MANIFEST):
        raise ValueError(f"{outside[0]} is not the name of a file in this folder")
    return Manifest(
        step=int(body["step"]),
        attempt=int(body["attempt"]),
        created=str(body["created"]),
        raygen=str(body["raygen"]),
        state=str(body["state"]),
        files=files,
        tensors=tensors,
        metric=None if body["metric"] is None else float(body["metric"]),
    )


def _files(records: Mapping[str, Any]) -> dict[str, FileRecord]:
    return {
        name: FileRecord(int(f["size"]), str(f["sha256"]), str(f.get("crc32", "")))
        for name, f in records.items()
    }


def _tensors(records: Mapping[str, Any]) -> dict[str, TensorRecord]:
    return {name: _tensor(record) for name, record in records.items()}


def _tensor(record: Mapping[str, Any]) -> TensorRecord:
    shards = tuple(
        Piece(str(p["file"]), str(p["key"]), _numbers(p["offsets"]), _numbers(p["shape"]))
        for p in record["shards"]
    )
    return TensorRecord(str(record["dtype"]), _numbers(record["shape"]), shards)


def _numbers(values: list[Any]) -> tuple[int, ...]:
    numbers = tuple(int(value) for value in values)
    if any(number < 0 for number in numbers):
        raise ValueError(f"negative extent in {numbers}")
    return numbers
