"""The index of prepared data: what shards there are, what is in them, and the fingerprint that names the data set.

It is written last, so a folder without one holds no data set yet. The fingerprint covers what the samples are (their contents, and
how they are mixed) and not how their bytes are packed, which another version of the Parquet library may do differently.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from raygen.errors import DataError
from raygen.storage import NotFoundError, Storage

INDEX_FILE = "index.json"
FORMAT = 1
"""Version of this format; readers refuse a newer one."""
_REMEDY = "Prepare the data again with `raygen prepare`."


@dataclass(frozen=True)
class Shard:
    """One Parquet file, with one group of rows.

    Attributes:
        name: Key of the file below the data set.
        rows: Documents or images in it.
        units: Tokens or images in it.
        bytes: Size of the file.
        sha256: Of the file, in hexadecimal.
        content: SHA-256 of its columns' values, in hexadecimal.
    """

    name: str
    rows: int
    units: int
    bytes: int
    sha256: str
    content: str


@dataclass(frozen=True)
class Component:
    """Shards that are mixed with others by a weight of their own.

    Attributes:
        name: Number of the source, from 0; 0 where sources are not mixed by weight.
        shards: In the order in which samples are numbered.
    """

    name: str
    shards: tuple[Shard, ...]


@dataclass(frozen=True)
class Index:
    """A prepared data set.

    Attributes:
        kind: What samples are.
        schema: What readers must know of the columns: of text the type of a token, of images their size and classes.
        shards_per_window: How many shards are mixed (`raygen.data.shards.order`).
        train: The training split.
        validation: The validation split; without shards where there is none.
        files: What a run must keep to use its model, by file name, as SHA-256 of the contents.
        words: Digest of what the job says of its data (`raygen.data.shards.recipe`).
        recipe: Digest of these words and of the listing of the sources.
        counts: What was counted while preparing, for people; not a part of the fingerprint.
        made_with: Versions of the software; not a part of the fingerprint.
    """

    kind: Literal["text", "images"]
    schema: Mapping[str, Any]
    shards_per_window: int
    train: tuple[Component, ...]
    validation: tuple[Shard, ...]
    files: Mapping[str, str]
    words: str
    recipe: str
    counts: Mapping[str, Any] = field(default_factory=dict)
    made_with: Mapping[str, str] = field(default_factory=dict)

    @property
    def shards(self) -> tuple[Shard, ...]:
        """All shards of both splits."""
        return (*(shard for component in self.train for shard in component.shards), *self.validation)

    @property
    def fingerprint(self) -> str:
        """SHA-256 that names the data set: equal for equal samples in an equal order."""
        body = {
            "format": FORMAT,
            "kind": self.kind,
            "schema": self.schema,
            "shards_per_window": self.shards_per_window,
            "train": [[part.name, _contents(part.shards)] for part in self.train],
            "validation": _contents(self.validation),
            "files": self.files,
        }
        return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def to_json(self) -> bytes:
        """The content of the index's file."""
        body = {"format": FORMAT, "fingerprint": self.fingerprint, **asdict(self)}
        return (json.dumps(body, sort_keys=True, indent=1) + "\n").encode()


def _contents(shards: Sequence[Shard]) -> list[list[Any]]:
    return [[shard.rows, shard.units, shard.content] for shard in shards]


def read_index(storage: Storage) -> Index | None:
    """The index of the data set in a folder; None if there is none yet.

    Raises:
        DataError: it is damaged, or of a later version.
    """
    try:
        content = storage.read(INDEX_FILE)
    except NotFoundError:
        return None
    where = f"{storage.uri}/{INDEX_FILE}"
    try:
        body = json.loads(content)
        if body["format"] > FORMAT:
            raise DataError(
                f"the index has the format {body['format']}, and this raygen reads {FORMAT}",
                where=where,
                remedy="Install a newer raygen.",
            )
        index = _parsed(body)
        said = body["fingerprint"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError("the index is damaged", where=where, remedy=_REMEDY) from error
    if said != index.fingerprint:
        raise DataError(
            "the index was altered: its fingerprint is not that of its shards", where=where, remedy=_REMEDY
        )
    return index


def _parsed(body: Mapping[str, Any]) -> Index:
    def shards(listed: Sequence[Mapping[str, Any]]) -> tuple[Shard, ...]:
        return tuple(Shard(**one) for one in listed)

    return Index(
        body["kind"],
        body["schema"],
        int(body["shards_per_window"]),
        tuple(Component(part["name"], shards(part["shards"])) for part in body["train"]),
        shards(body["validation"]),
        body["files"],
        body["words"],
        body["recipe"],
        body["counts"],
        body["made_with"],
    )
