"""Stage between reading and encoding: which records are there already, within a split and across both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from raygen.data.cleaning import images
from raygen.data.cleaning.duplicates import (
    Certificate,
    Likeness,
    alike_in_training,
    certificate,
    find_duplicates,
)
from raygen.data.cleaning.images import ImageLikeness
from raygen.data.cleaning.masking import excerpt
from raygen.data.cleaning.places import shortening
from raygen.data.cleaning.report import CleaningReport, Example
from raygen.data.cleaning.signatures import Signatures, TextLikeness, jaccard, signatures
from raygen.data.images.files import shape_in_words
from raygen.errors import DataError
from raygen.preparation.context import Context
from raygen.preparation.tables import opened, write_groups
from raygen.spec import ResolvedJob
from raygen.spec.data.cleaning import EqualPixels, ExactTexts, MinHash, Perceptual

_DROPPED = "dropped"
FILTER = "duplicates"
"""Name of the filter in reports."""
_TEXTS = 1 << 12
"""Pairs of texts that are compared exactly at a time."""

Numbers = NDArray[np.int64]


class DuplicateFinder:
    """What a job asks for.

    Args:
        spec: How records are compared.
    """

    def __init__(self, spec: ExactTexts | MinHash | EqualPixels | Perceptual) -> None:
        self._spec = spec

    @property
    def likeness(self) -> Likeness | None:
        """How near duplicates are found; None if only equal ones are."""
        if isinstance(self._spec, MinHash):
            return TextLikeness(self._spec.threshold)
        if isinstance(self._spec, Perceptual):
            return ImageLikeness(self._spec.distance)
        return None

    @property
    def shingle_words(self) -> int | None:
        """Words of a shingle; None where texts are not compared by shingles."""
        return self._spec.shingle_words if isinstance(self._spec, MinHash) else None

    def of_image(self, picture: Image.Image) -> Signatures:
        """The signatures of a decoded picture."""
        if not isinstance(self._spec, EqualPixels | Perceptual):
            raise TypeError("the job compares texts")
        return images.signature(picture, self._spec)

    def columns(self, texts: Sequence[str], pictures: Sequence[Signatures]) -> dict[str, pa.Array]:
        """The signatures of some records as columns: of texts, or those that `of_image` gave."""
        if isinstance(self._spec, ExactTexts | MinHash):
            return signatures(texts, self._spec).columns()
        if not pictures:
            sketches = (
                np.zeros((0, images.BITS // 16), np.uint16) if isinstance(self._spec, Perceptual) else None
            )
            return Signatures(np.zeros((0, 2), np.uint64), sketches).columns()
        return Signatures.joined(pictures).columns()


def likeness_of(job: ResolvedJob) -> DuplicateFinder | None:
    """How a job asks for duplicates to be found; None if it does not."""
    cleaning = job.spec.data.cleaning
    if cleaning is None:
        return None
    block = cleaning.text if job.spec.data.kind == "text" else cleaning.images
    return DuplicateFinder(block.duplicates) if block is not None and block.duplicates is not None else None


def deduplicate(context: Context, item: tuple[tuple[str, ...], float]) -> dict[str, Any]:
    """Decides about all records at once.

    Args:
        context: The preparation.
        item: Split of each part, and the share of the training sources' records that is kept for validation.

    Returns:
        How many were dropped, and how many of them by the last check alone; examples of them, and whether validation has any like
        in training.

    Raises:
        DataError: validation has some like in training, whatever is left out.
    """
    done = context.done(_DROPPED)
    if done is not None:
        return done
    finder = likeness_of(context.job)
    if finder is None:
        raise ValueError("the job looks for no duplicates")
    splits, share = item
    found = _Records(context, splits, share)
    exactly = found.exactly(finder.shingle_words) if finder.shingle_words is not None else None
    order = np.arange(len(found.validation), dtype=np.int64)
    result = find_duplicates(order, found.signatures, finder.likeness, found.first, exactly)
    report, short = CleaningReport(), shortening(context.base)
    # As if each had been kept so far: the whole report adds those that are dropped here.
    filtered = report.of(FILTER)
    filtered.seen, filtered.dropped = len(order), len(result.dropped)
    names = found.names(np.concatenate([result.dropped[:_EXAMPLES], result.kept[:_EXAMPLES]]))
    for dropped, kept, similarity in zip(
        result.dropped[:_EXAMPLES].tolist(), result.kept[:_EXAMPLES].tolist(), result.similarity, strict=False
    ):
        key, where, beginning = names[dropped]
        _, other, kept_beginning = names[kept]
        reason = f"it is like {short(other)} (similarity {similarity:.2f})"
        same = beginning == kept_beginning
        both = f"both: {beginning}" if same else f"{beginning} / kept: {kept_beginning}"
        filtered.show([Example(key, where, reason, both)])
    left_out = result.dropped
    shown, last = None, 0
    if finder.likeness is not None and found.validation.any():
        proof, late = _proven(found, left_out, finder.likeness, exactly)
        shown, last = asdict(proof) | {"holds": proof.holds}, len(late)
        left_out = np.union1d(left_out, late)
        filtered.dropped += last
    write_groups(context.work, f"{_DROPPED}.parquet", found.by_part(left_out))
    answer = {
        "dropped": len(left_out),
        "last": last,
        "unlooked": result.unlooked,
        "cleaning": report.to_json(),
        "certificate": shown,
    }
    return context.finish(_DROPPED, answer)


_EXAMPLES = 5
_CHECKS = 3
"""Times that the splits are compared; after the first what was found is gone, so that a second one holds."""


def _proven(
    found: _Records, dropped: Numbers, likeness: Likeness, exactly: Any
) -> tuple[Certificate, Numbers]:
    """The certificate, and the records of training that had to be left out for it, which the search had missed.

    Raises:
        DataError: it does not hold.
    """
    order = np.arange(len(found.validation), dtype=np.int64)
    late = np.zeros(0, np.int64)
    for _ in range(_CHECKS):
        left = np.setdiff1d(order, np.concatenate([dropped, late]))
        splits = order[left], found.signatures.taken(left), found.validation[left], likeness, exactly
        proof = certificate(*splits)
        if proof.holds:
            return proof, late
        late = np.union1d(late, alike_in_training(*splits))
    raise DataError(
        f"{proof.equal:,} records of validation are in training too, and the greatest similarity of two others is {proof.highest:.2f}",
        where="spec.data.validation",
        remedy="Give validation sources of its own, or report this, with what spec.data.cleaning asks for.",
    )


def dropped_rows(context: Context, part: int) -> frozenset[int]:
    """The rows of a part that were left out."""
    if likeness_of(context.job) is None:
        return frozenset()
    with opened(context.work, f"{_DROPPED}.parquet") as table:
        return frozenset(table.read_row_group(part).column(0).to_pylist())


class _Records:
    """The records of all parts, numbered in their order.

    Attributes:
        signatures: Of each.
        first: Which ones are of validation's own sources, and are kept rather than others. Among the others none is preferred for its
            draw: a group of duplicates goes where the draw of the one that is kept says, so its copies give it no more chances.
        validation: Which ones are of the validation split: those, or where there are none those that were drawn.
    """

    def __init__(self, context: Context, splits: Sequence[str], share: float) -> None:
        self._context = context
        limit = np.uint64(min(int(share * 2**64), 2**64 - 1))
        tables, first, held = [], list[NDArray[np.bool_]](), []
        self._firsts = [0]
        for part, split in enumerate(splits):
            with opened(context.work, f"clean/{part:06d}.parquet") as table:
                names = [name for name in table.schema_arrow.names if name in ("held", "exact", "sketch")]
                found = table.read(columns=names)
            first.append(np.full(len(found), split == "validation"))
            held.append(first[-1] | (found.column("held").to_numpy() < limit))
            tables.append(Signatures.of_columns(found))
            self._firsts.append(self._firsts[-1] + len(found))
        self.signatures = Signatures.joined(tables)
        self.first = np.concatenate(first)
        self.validation: NDArray[np.bool_] = np.concatenate(held)

    def by_part(self, numbers: Numbers) -> list[pa.Table]:
        """Rows of each part, of records by number."""
        places = np.searchsorted(self._firsts, numbers, side="right") - 1
        parts = len(self._firsts) - 1
        return [
            pa.table({"row": pa.array(numbers[places == part] - self._firsts[part], pa.int64())})
            for part in range(parts)
        ]

    def names(self, numbers: Numbers) -> dict[int, tuple[str, str, str]]:
        """Key, place and excerpt of some records."""
        found = self._values(numbers, ["key", "where", "label", "content"])
        return {number: (row["key"], row["where"], self._shown(number, row)) for number, row in found.items()}

    def _shown(self, number: int, row: dict[str, Any]) -> str:
        if self._context.job.spec.data.kind == "text":
            return excerpt(row["content"].decode("utf-8", "replace"))
        part = int(np.searchsorted(self._firsts, number, side="right")) - 1
        report = self._context.done(f"clean/{part:06d}") or {"shape": []}
        label = "" if row["label"] == "null" else f", label {row['label']}"
        return f"{shape_in_words(report['shape'])}{label}"

    def exactly(self, shingle_words: int) -> Any:
        """Compares texts by all of their shingles."""

        def compared(first: Numbers, second: Numbers) -> NDArray[np.float64]:
            similarity = np.empty(len(first))
            for start in range(0, len(first), _TEXTS):
                one, other = first[start : start + _TEXTS], second[start : start + _TEXTS]
                texts = {
                    number: row["content"].decode("utf-8", "surrogatepass")
                    for number, row in self._values(np.concatenate([one, other]), ["content"]).items()
                }
                similarity[start : start + _TEXTS] = [
                    jaccard(texts[a], texts[b], shingle_words)
                    for a, b in zip(one.tolist(), other.tolist(), strict=True)
                ]
            return similarity

        return compared

    def _values(self, numbers: Numbers, columns: list[str]) -> dict[int, dict[str, Any]]:
        """Columns of some records, by number."""
        wanted = np.unique(numbers)
        found: dict[int, dict[str, Any]] = {}
        for part in np.unique(np.searchsorted(self._firsts, wanted, side="right") - 1).tolist():
            first = self._firsts[part]
            with opened(self._context.work, f"clean/{part:06d}.parquet") as table:
                for group in range(table.num_row_groups):
                    end = first + table.metadata.row_group(group).num_rows
                    own = wanted[(wanted >= first) & (wanted < end)]
                    if len(own):
                        rows = table.read_row_group(group, columns=columns).take(pa.array(own - first))
                        found |= dict(zip(own.tolist(), rows.to_pylist(), strict=True))
                    first = end
        return found
