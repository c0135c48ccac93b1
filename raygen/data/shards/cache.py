"""Keeps shards of an object store on this machine's disk, up to a limit, for all processes here."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from raygen.data.shards.index import Shard
from raygen.errors import InputError
from raygen.spec.names import CACHE_LIMIT_VARIABLE
from raygen.spec.schema.quantity import memory_bytes

CACHE_VARIABLE = "RAYGEN_CACHE_DIR"
"""Environment variable with the folder of caches."""
DEFAULT_LIMIT = 10 << 30
_SUFFIX = ".shard"


def cache_folder() -> Path:
    """Where shards are kept: RAYGEN_CACHE_DIR, or a folder of the user's cache."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen) / "shards"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "raygen" / "shards"


def cache_limit() -> int:
    """Bytes that shards may take: RAYGEN_CACHE_LIMIT, or 10 GiB.

    Raises:
        InputError: the variable holds no size.
    """
    chosen = os.environ.get(CACHE_LIMIT_VARIABLE)
    if not chosen:
        return DEFAULT_LIMIT
    try:
        return memory_bytes(chosen)
    except ValueError as error:
        raise InputError(
            f"{chosen!r} is not a size of at least 100Mi",
            where=CACHE_LIMIT_VARIABLE,
            remedy="Set it to a Kubernetes quantity such as 500Mi or 100Gi, or leave it out for 10Gi.",
        ) from error


def open_cache() -> ShardCache:
    """The cache that this machine's environment describes.

    Raises:
        InputError: a variable of it is wrong.
    """
    return ShardCache(cache_folder(), cache_limit())


class ShardCache:
    """Files named by their SHA-256, so that equal shards of any data set are kept once, and none is ever out of date.

    A disk that is full or read-only makes it slower, and is no error. Those used longest ago go first.

    Args:
        folder: Where they are.
        limit: Bytes that they may take; one shard may be over.
    """

    def __init__(self, folder: Path, limit: int = DEFAULT_LIMIT) -> None:
        self._folder = folder
        self._limit = limit

    def get(self, shard: Shard, fetch: Callable[[], bytes]) -> bytes:
        """The content of a shard's file, from here, or else from where it is fetched.

        Whoever uses it checks its digest: `drop` is for one that is damaged.
        """
        path = self._path(shard)
        try:
            content = path.read_bytes()
        except OSError:
            pass
        else:
            if len(content) == shard.bytes:
                with suppress(OSError):
                    os.utime(path)
                return content
        content = fetch()
        with suppress(OSError):
            self._keep(path, content)
        return content

    def drop(self, shard: Shard) -> None:
        """Forgets a shard."""
        with suppress(OSError):
            self._path(shard).unlink()

    def _path(self, shard: Shard) -> Path:
        return self._folder / f"{shard.sha256}{_SUFFIX}"

    def _keep(self, path: Path, content: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._make_room(len(content))
        handle, name = tempfile.mkstemp(dir=self._folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise

    def _make_room(self, wanted: int) -> None:
        """Deletes what was used longest ago. Other processes may do so at the same time: what is gone is gone."""
        kept = []
        with os.scandir(self._folder) as listed:
            for entry in listed:
                with suppress(OSError):
                    status = entry.stat()
                    kept.append((status.st_mtime_ns, status.st_size, Path(entry.path)))
        left = sum(size for _, size, _ in kept) + wanted - self._limit
        for _, size, path in sorted(kept):
            if left <= 0:
                return
            path.unlink(missing_ok=True)
            left -= size
