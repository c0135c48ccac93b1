"""Brings shards to this process: from a folder or an object store, through the cache, checked against the index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from threading import BoundedSemaphore

import pyarrow as pa

from raygen.data.shards.cache import ShardCache, open_cache
from raygen.data.shards.files import check, unpacked
from raygen.data.shards.index import Index, Shard, read_index
from raygen.data.sources.files import local_path
from raygen.errors import DataError, OutputError
from raygen.machine import cores
from raygen.storage import LocalStorage, NotFoundError, Storage, open_storage


def open_place(uri: str, base: Path) -> Storage:
    """The storage at a job's uri; a path is relative to `base`."""
    if uri.lower().startswith("s3://"):
        return open_storage(uri)
    return LocalStorage(local_path(uri, base))


class ShardStore:
    """The shards of one data set.

    Args:
        storage: Its folder.
        cache: Of this machine, for object stores; None reads each time from there.
    """

    def __init__(self, storage: Storage, cache: ShardCache | None = None) -> None:
        self._storage = storage
        self._cache = cache if not isinstance(storage, LocalStorage) else None

    def __reduce__(self) -> tuple[Callable[[str, bool], ShardStore], tuple[str, bool]]:
        # Connections stay where they are, and each machine has a cache of its own.
        return _opened_elsewhere, (self.uri, self._cache is not None)

    @property
    def uri(self) -> str:
        """Where the data set is."""
        return self._storage.uri

    def index(self) -> Index:
        """What there is.

        Raises:
            DataError: there is no complete data set, or its index is damaged.
        """
        index = read_index(self._storage)
        if index is None:
            raise DataError(
                "there is no prepared data, or preparing it has not ended",
                where=self.uri,
                remedy="Run `raygen prepare` with this job file; it goes on where it was stopped.",
            )
        return index

    def table(self, shard: Shard, columns: Sequence[str]) -> pa.Table:
        """The rows of a shard.

        Raises:
            DataError: it is missing or was changed, or its place cannot be reached.
        """
        if self._cache is not None:
            content = self._cache.get(shard, lambda: self._fetch(shard))
            try:
                return self._unpacked(shard, content, columns)
            except DataError:
                # It may be this machine's copy that is damaged.
                self._cache.drop(shard)
        return self._unpacked(shard, self._fetch(shard), columns)

    def check(self, shard: Shard) -> None:
        """Reads a shard from its place, and not from the cache, and checks all of it against the index.

        Raises:
            DataError: it is missing or was changed, or its place cannot be reached.
        """
        check(shard, self._fetch(shard), self._name(shard))

    def file(self, name: str) -> bytes:
        """A file that runs keep, such as the tokenizer."""
        return self._read(name)

    def _unpacked(self, shard: Shard, content: bytes, columns: Sequence[str]) -> pa.Table:
        with _unpacking():
            table = unpacked(shard, content, self._name(shard), columns)
            # Arrow keeps what it has decoded in, which is as much again as it gives.
            pa.default_memory_pool().release_unused()
            return table

    def _name(self, shard: Shard) -> str:
        return f"{self.uri}/{shard.name}"

    def _fetch(self, shard: Shard) -> bytes:
        return self._read(shard.name)

    def _read(self, key: str) -> bytes:
        try:
            return self._storage.read(key)
        except NotFoundError as error:
            raise DataError(
                "is in the index, and not there",
                where=f"{self.uri}/{key}",
                remedy="Restore it, or prepare the data again with `raygen prepare`.",
            ) from error
        except OutputError as error:
            raise DataError(error.what, where=error.where or self.uri, remedy=error.remedy) from error


@cache
def _unpacking() -> BoundedSemaphore:
    """Of shards that are checked and decoded at a time, one for each core: that takes no waiting, and several times their size in memory."""
    return BoundedSemaphore(cores().count)


@lru_cache(maxsize=8)
def _opened_elsewhere(uri: str, cached: bool) -> ShardStore:
    """A store in another process, once for all shards that it reads: a connection takes a while."""
    return ShardStore(open_storage(uri), open_cache() if cached else None)
