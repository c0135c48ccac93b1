"""What duplicates of texts are found by: a hash of the words, and a MinHash of their shingles."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raygen.data.cleaning import words
from raygen.data.cleaning.words import Hashes, mixed, shingles, words_of
from raygen.errors import DataError, MissingExtraError

if TYPE_CHECKING:
    from raygen.spec.data.cleaning import ExactTexts, MinHash

PERMUTATIONS = 256
"""Values of a MinHash: its estimate of a similarity s has the standard error sqrt(s (1 - s) / 256), 0.025 for 0.8."""
RECALL = 0.999
"""Least probability that two texts whose similarity is the threshold become candidates."""
CERTAIN = 1 - 1e-9
"""The same where it is to be shown that there are none."""
_SEED = 20
_EXACT_BYTES = 16
_BATCH = 64
"""Texts that a matrix is made of at a time."""

Sketches = NDArray[np.uint16]


@dataclass(frozen=True)
class Signatures:
    """What duplicates of some records are found by.

    Attributes:
        exact: (records, 2); two numbers that are equal for equal records.
        sketches: (records, values): MinHashes of texts, of which 16 bits are kept, or perceptual hashes of images; None where near
            duplicates are not asked for.
    """

    exact: Hashes
    sketches: Sketches | None = None

    def __len__(self) -> int:
        return len(self.exact)

    @staticmethod
    def joined(parts: Sequence[Signatures]) -> Signatures:
        """Those of several parts, one after the other; at least one part."""
        sketches = [part.sketches for part in parts if part.sketches is not None]
        return Signatures(
            np.concatenate([part.exact for part in parts]), np.concatenate(sketches) if sketches else None
        )

    def taken(self, rows: NDArray[Any]) -> Signatures:
        """Those of some records, by their numbers or a mask."""
        return Signatures(self.exact[rows], None if self.sketches is None else self.sketches[rows])

    def columns(self) -> dict[str, pa.Array]:
        """As columns of a table: `exact`, and `sketch` where there is one; binary of fixed size, in the byte order of the machine."""
        columns = {"exact": _binary(self.exact)}
        return columns if self.sketches is None else columns | {"sketch": _binary(self.sketches)}

    @staticmethod
    def of_columns(table: pa.Table) -> Signatures:
        """Those in the columns of a table that `columns` made."""
        exact = _numbers(table["exact"], np.uint64)
        has_sketch = "sketch" in table.column_names
        return Signatures(exact, _numbers(table["sketch"], np.uint16) if has_sketch else None)


def signatures(texts: Sequence[str], spec: ExactTexts | MinHash) -> Signatures:
    """The signatures of texts. One depends on its text alone, on the machine and on what else is in the list on nothing.

    Raises:
        MissingExtraError: Near duplicates are asked for, and rensa is not installed.
    """
    if not texts:
        sketch = np.zeros((0, PERMUTATIONS), np.uint16) if spec.type == "MinHash" else None
        return Signatures(np.zeros((0, 2), np.uint64), sketch)
    size = spec.shingle_words if spec.type == "MinHash" else None
    return Signatures.joined(
        [_signatures(texts[start : start + _BATCH], size) for start in range(0, len(texts), _BATCH)]
    )


def version(spec: ExactTexts | MinHash) -> str:
    """What signatures depend on besides texts; those of different versions are not compared."""
    if spec.type == "Exact":
        return words.VERSION
    return (
        f"{words.VERSION} rensa-{_rensa().ALGORITHM_VERSION} {PERMUTATIONS}x16 shingles-{spec.shingle_words}"
    )


def jaccard(first: str, second: str, size: int) -> float:
    """The share of common shingles of all shingles of two texts, exactly.

    Args:
        first: A text.
        second: Another one.
        size: Words of a shingle.
    """
    found = words_of([first, second])
    hashes, offsets = shingles(found, size)
    one, other = set(hashes[: offsets[1]].tolist()), set(hashes[offsets[1] :].tolist())
    return len(one & other) / max(len(one | other), 1)


def _signatures(texts: Sequence[str], size: int | None) -> Signatures:
    found = words_of(texts)
    raw = memoryview(found.hashes.tobytes())
    # Texts of signs alone have no words, and differ all the same.
    contents = (
        raw[start:stop] or text.encode("utf-8", "surrogatepass")
        for text, (start, stop) in zip(texts, pairwise((found.offsets * 8).tolist()), strict=True)
    )
    digests = b"".join(blake2b(content, digest_size=_EXACT_BYTES).digest() for content in contents)
    exact = np.frombuffer(digests, np.uint64).reshape(-1, 2)
    if size is None:
        return Signatures(exact)
    hashes, offsets = shingles(found, size)
    wordless = np.flatnonzero(found.counts == 0)
    if len(wordless):
        hashes = np.insert(hashes, offsets[wordless], exact[wordless, 0])
        offsets = offsets + np.searchsorted(wordless, np.arange(len(offsets)))
    matrix = _rensa().digest_matrix_from_flat_token_hashes(
        hashes, offsets.astype(np.uint64), PERMUTATIONS, _SEED
    )
    # By way of array, which takes lists of numbers in a quarter of NumPy's time.
    rows = [np.frombuffer(array("I", row), np.uint32) for row in matrix.to_rows()]
    return Signatures(exact, np.stack(rows).astype(np.uint16))


def _rensa() -> Any:
    try:
        from rensa import RMinHash
    except ImportError as error:
        raise MissingExtraError("rensa", "cleaning") from error
    return RMinHash


@dataclass(frozen=True)
class TextLikeness:
    """How near duplicates among texts are found.

    Attributes:
        threshold: Least similarity.
        bucket_limit: Records of a bucket that another one is compared with at most.
    """

    threshold: float
    bucket_limit: int | None = 128

    def bands(self, recall: float = RECALL) -> tuple[int, int]:
        """Bands, and rows of each, with the fewest candidates at this recall at the threshold: 1 - (1 - t^rows)^bands.

        Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, section 3.4.
        """
        for rows in range(PERMUTATIONS, 0, -1):
            count = PERMUTATIONS // rows
            if 1 - (1 - self.threshold**rows) ** count >= recall:
                return count, rows
        raise AssertionError("one row a band has the recall for every threshold of a job file")

    def keys(self, sketches: Sketches, recall: float = RECALL) -> Iterator[Hashes]:
        """For each band a key of each text; texts with a common key are candidates."""
        count, rows = self.bands(recall)
        for band in range(count):
            keys = np.full(len(sketches), band, dtype=np.uint64)
            for row in range(rows):
                keys *= np.uint64(0x9E3779B97F4A7C15)
                keys += sketches[:, band * rows + row] + np.uint64(1)
            yield mixed(keys)

    def similarities(self, first: Sketches, second: Sketches) -> NDArray[np.float64]:
        """The estimated similarity of each pair."""
        return np.asarray((first == second).mean(axis=1), dtype=np.float64)

    @property
    def error(self) -> float:
        """Three standard errors of the estimate at the threshold."""
        return 3 * float(np.sqrt(self.threshold * (1 - self.threshold) / PERMUTATIONS))


def _binary(values: NDArray[Any]) -> pa.Array:
    rows = np.ascontiguousarray(values)
    width = rows.shape[1] * rows.itemsize
    return pa.Array.from_buffers(pa.binary(width), len(rows), [None, pa.py_buffer(rows.tobytes())])


def _numbers(column: pa.ChunkedArray, dtype: Any) -> NDArray[Any]:
    if not pa.types.is_fixed_size_binary(column.type) or column.null_count:
        raise DataError(
            f"a column of signatures has the type {column.type}, or lacks values",
            remedy="Prepare the data again.",
        )
    width = column.type.byte_width // np.dtype(dtype).itemsize
    parts = [
        np.frombuffer(
            chunk.buffers()[1], dtype, count=len(chunk) * width, offset=chunk.offset * column.type.byte_width
        )
        for chunk in column.chunks
        if len(chunk)
    ]
    return np.concatenate(parts).reshape(-1, width) if parts else np.zeros((0, width), dtype)
