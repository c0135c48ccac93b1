"""Shards of an object store on this machine's disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from raygen.data.shards.cache import ShardCache, cache_limit, open_cache
from raygen.data.shards.index import Shard
from raygen.errors import InputError
from raygen.spec.names import CACHE_LIMIT_VARIABLE


def shard(number: int, size: int) -> Shard:
    return Shard(f"train/000/{number}.parquet", 1, 1, size, f"{number:064x}", "")


def test_it_takes_what_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYGEN_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv(CACHE_LIMIT_VARIABLE, raising=False)
    assert cache_limit() == 10 << 30
    monkeypatch.setenv(CACHE_LIMIT_VARIABLE, "100Mi")
    size = 30 << 20
    cache = open_cache()
    for number in range(5):
        cache.get(shard(number, size), lambda: bytes(size))
    kept = sorted((tmp_path / "shards").iterdir())
    assert [path.stem for path in kept] == [f"{number:064x}" for number in (2, 3, 4)]


@pytest.mark.parametrize("text", ["20", "20GB", "much", "0"])
def test_a_wrong_limit_is_named(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(CACHE_LIMIT_VARIABLE, text)
    with pytest.raises(InputError, match=f"'{text}' is not a size of at least 100Mi") as caught:
        open_cache()
    assert caught.value.where == CACHE_LIMIT_VARIABLE
    assert "100Gi" in caught.value.remedy


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    cache = ShardCache(tmp_path, 3000)
    for number in range(3):
        cache.get(shard(number, 1000), lambda: bytes(1000))
        os.utime(tmp_path / f"{number:064x}.shard", (number, number))
    cache.get(shard(0, 1000), lambda: pytest.fail("it is there"))
    cache.get(shard(3, 1000), lambda: bytes(1000))
    assert sorted(path.stem for path in tmp_path.iterdir()) == [f"{number:064x}" for number in (0, 2, 3)]
