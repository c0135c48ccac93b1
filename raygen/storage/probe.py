"""Tries a storage with one small object: is it there, and may the caller list, create, read and delete?"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from raygen.errors import OutputError, RaygenError
from raygen.storage.base import Storage
from raygen.storage.uri import open_storage

FOLDER = "raygen-probe-"
"""Begins the name of the folder that the object is in."""
WHOLE_SERVER = frozenset({"unresolved", "unreachable", "certificate", "missing", "refused", "expired"})
"""Kinds that hold for every bucket of a server."""
KINDS = WHOLE_SERVER | {"bucket", "denied", "region", "full", "other"}
"""What can be wrong: the endpoint's name cannot be resolved; it does not answer; its certificate is not trusted; there are no
credentials, or they are refused, or have expired; there is no such bucket; a right is missing; the bucket is in another region;
the storage is full; something else, which the text says."""


@dataclass(frozen=True)
class Tried:
    """What came of one storage.

    Attributes:
        uri: Where.
        kind: One of KINDS, or "" where all went well.
        readable: Whether it could be listed.
        what: What could not be done, and why.
        remedy: What to do about it.
    """

    uri: str
    kind: str = ""
    readable: bool = True
    what: str = ""
    remedy: str = ""


def probe(uris: Sequence[str]) -> list[Tried]:
    """Tries each storage. What is wrong with a server is found once: an endpoint that never answers costs 15 s."""
    found: list[Tried] = []
    for uri in uris:
        same = next(
            (one for one in found if one.kind in WHOLE_SERVER and _server(one.uri) == _server(uri)), None
        )
        if same is not None:
            found.append(Tried(uri, same.kind, same.readable, same.what, same.remedy))
        else:
            found.append(_probe(uri))
    return found


def _server(uri: str) -> str:
    return uri.partition("://")[0]


def _probe(uri: str) -> Tried:
    readable = False
    try:
        storage = open_storage(uri)
        folder = FOLDER + secrets.token_hex(8)
        list(storage.list(f"{folder}/"))
        readable = True
        _write(storage, folder)
    except RaygenError as error:
        kind = _kind(uri, error)
        what = f"{error.what}: its name cannot be resolved" if kind == "unresolved" else error.what
        if error.where and not str(error.where).startswith(uri.partition("://")[0] + "://"):
            # Which variables or files are wrong.
            what = f"{what} ({error.where})"
        return Tried(uri, kind, readable, what, error.remedy)
    return Tried(uri)


def _write(storage: Storage, folder: str) -> None:
    """One object's life. It is made as a run claims its folder, on the condition that there is none."""
    key, content = f"{folder}/object", secrets.token_bytes(64)
    storage.create(key, content)
    try:
        if storage.read(key) != content:
            raise OutputError(
                "other bytes are read than were written", remedy="Look for a proxy that alters them."
            )
        if [entry.key for entry in storage.list(f"{folder}/")] != [key]:
            raise OutputError(
                "an object that was written is not listed",
                remedy="Use a server that lists what it has at once.",
            )
    except RaygenError:
        with suppress(RaygenError):
            storage.delete(key)
        raise
    # Of a folder nothing else would be left: that of a local storage.
    storage.delete_prefix(f"{folder}/")


def _kind(uri: str, error: RaygenError) -> str:
    if _server(uri) != "s3" or not isinstance(error, OutputError):
        return "other"
    from raygen.storage.s3.client import connect
    from raygen.storage.s3.faults import kind_of

    kind = kind_of(error.__cause__)
    return "unresolved" if kind == "unreachable" and not _is_resolved(connect().endpoint) else kind


def _is_resolved(endpoint: str) -> bool:
    """Whether the name of a server is known; what asks it says only that it does not answer."""
    host = endpoint.rpartition(":")[0] if endpoint.rpartition(":")[2].isdigit() else endpoint
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        return False
    return True
