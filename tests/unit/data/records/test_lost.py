"""How many records a damage is taken to cost, in each format."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raygen.data.records.listing import USUAL_BYTES
from raygen.spec.data.sources import (
    ArrowSource,
    JsonLinesSource,
    MdsSource,
    ParquetSource,
    PlainSource,
    ResolvedSource,
    TarSource,
)
from tests.unit.data.images.test_pixels import write_idx
from tests.unit.data.records.reading import broken, gather, sound, write_tar
from tests.unit.data.records.test_mds import texts

NOISE = np.random.default_rng(0).bytes(1 << 22)
"""What cannot be compressed, so that a place in a file tells how much of it was read."""
LINES = "".join(f'{{"text": "{NOISE[at : at + 500].hex()}"}}\n' for at in range(0, len(NOISE), 500))


def counted(source: ResolvedSource, base: Path) -> tuple[int, int]:
    """Records that are read, and that are taken for lost."""
    found = gather(source, base)
    return len(sound(found)), sum(fault.records for fault in broken(found))


def is_estimate(source: ResolvedSource, base: Path) -> bool:
    """Whether it is not known how many are lost."""
    return any(fault.is_estimate for fault in broken(gather(source, base)))


def test_what_says_how_much_it_holds_is_taken_at_its_word(tmp_path: Path) -> None:
    shard = texts(*(f"text {number}" for number in range(100)))
    (tmp_path / "a.mds").write_bytes(shard[: len(shard) - 400])
    read, lost = counted(MdsSource(uri="a.mds", contents="Text"), tmp_path)
    assert 50 < read < 99
    assert read + lost == 100
    assert not is_estimate(MdsSource(uri="a.mds", contents="Text"), tmp_path)

    write_idx(tmp_path / "a.idx", np.zeros((50, 4, 4), np.uint8))
    (tmp_path / "a.idx").write_bytes((tmp_path / "a.idx").read_bytes()[: 16 + 16 * 20 + 1])
    assert counted(PlainSource(uri="a.idx", format="Idx"), tmp_path) == (20, 30)

    path = tmp_path / "a.parquet"
    values = [NOISE[at : at + 100].hex() for at in range(0, 100_000, 100)]
    pq.write_table(pa.table({"text": values}), path, row_group_size=100, compression="zstd")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 3000] = bytes(3000)
    path.write_bytes(content)
    read, lost = counted(ParquetSource(uri="a.parquet", contents="Text"), tmp_path)
    assert read % 32 == 0 or read % 100 == 0
    assert read + lost == 1000


@pytest.mark.parametrize("form", ["gzip", "tar", "Arrow"])
def test_of_what_is_cut_off_as_much_is_taken_for_lost_as_was_read(tmp_path: Path, form: str) -> None:
    source: ResolvedSource
    path = tmp_path / "x"
    if form == "gzip":
        source, path = JsonLinesSource(uri="x.gz"), tmp_path / "x.gz"
        path.write_bytes(gzip.compress(LINES.encode()))
    elif form == "tar":
        source, path = TarSource(uri="x.tar", contents="Text"), tmp_path / "x.tar"
        write_tar(path, [(f"{number}.txt", b"text") for number in range(100)])
    else:
        source, path = ArrowSource(uri="x.arrows", contents="Text"), tmp_path / "x.arrows"
        table = pa.table({"text": [f"text {number}" for number in range(1000)]})
        with pa.ipc.new_stream(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=100)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2 - 300])

    read, lost = counted(source, tmp_path)

    assert read
    assert lost == read
    assert is_estimate(source, tmp_path)


def test_what_follows_a_damage_is_estimated_by_what_was_read(tmp_path: Path) -> None:
    content = bytearray(bz2.compress(LINES.encode()))
    content[len(content) // 4 : len(content) // 4 + 100] = bytes(100)
    (tmp_path / "x.jsonl.bz2").write_bytes(content)
    read, lost = counted(JsonLinesSource(uri="x.jsonl.bz2"), tmp_path)
    assert read + lost == pytest.approx(LINES.count("\n"), rel=0.2)
    assert lost > 2 * read


def test_a_file_of_which_nothing_is_read_weighs_what_its_neighbours_do(tmp_path: Path) -> None:
    table = pa.table({"text": [NOISE[at : at + 100].hex() for at in range(0, 100_000, 100)]})
    for name in "ab":
        pq.write_table(table, tmp_path / f"{name}.parquet")
    content = (tmp_path / "b.parquet").read_bytes()
    (tmp_path / "b.parquet").write_bytes(content[:-10])
    read, lost = counted(ParquetSource(uri="*.parquet", contents="Text"), tmp_path)
    assert read == 1000
    assert lost == pytest.approx(1000, rel=0.01)

    _, lost = counted(ParquetSource(uri="b.parquet", contents="Text"), tmp_path)
    assert lost == round((len(content) - 10) / USUAL_BYTES)
