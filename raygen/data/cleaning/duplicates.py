"""Finds records that are there more than once: a function of their signatures and order alone, however they were read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from raygen.data.cleaning.signatures import CERTAIN, RECALL, Signatures, Sketches
from raygen.data.cleaning.words import Hashes

Numbers = NDArray[np.int64]
Exactly = Callable[[Numbers, Numbers], NDArray[np.float64]]
"""The similarity of pairs of records, by their order numbers, from the records themselves."""

_FEW = 1024
"""Records of which all pairs with a common key are compared."""
_PAIRS = 1 << 21
"""Pairs that are in memory at a time."""
_COMPARED = 1 << 14
"""Pairs whose signatures are in memory at a time."""


class Likeness(Protocol):
    """How near duplicates are found."""

    @property
    def threshold(self) -> float:
        """Least similarity of near duplicates."""

    @property
    def error(self) -> float:
        """How far an estimated similarity near the threshold may be off."""

    @property
    def bucket_limit(self) -> int | None:
        """How many records of a bucket another one is compared with at most; None is all of them."""

    def keys(self, sketches: Sketches, recall: float = RECALL) -> Iterator[Hashes]:
        """For each band a key of each record; those with a common key, a bucket, are candidates."""

    def similarities(self, first: Sketches, second: Sketches) -> NDArray[np.float64]:
        """The similarity of each pair."""


@dataclass(frozen=True)
class Duplicates:
    """Records that are left out since they are there already, in ascending order.

    Attributes:
        dropped: Their order numbers.
        kept: For each the order number of the record that is kept instead of it.
        similarity: Of the two, as far as it is known: 1 for equal ones.
        unlooked: Comparisons that were not made, since buckets were too full.
    """

    dropped: Numbers
    kept: Numbers
    similarity: NDArray[np.float64]
    unlooked: int = 0


@dataclass(frozen=True)
class Certificate:
    """Whether any record of validation has a near duplicate in training.

    Attributes:
        validation: Records of validation.
        training: Records of training.
        threshold: Least similarity of near duplicates.
        equal: Pairs of equal records.
        candidates: Pairs that were compared. A pair at the threshold is among them with the probability `recall`.
        recall: That probability.
        highest: Highest similarity that was found; 0 where there were no candidates.
        pair: Order numbers of that pair, validation first; None where there were no candidates.
    """

    validation: int
    training: int
    threshold: float
    equal: int
    candidates: int
    recall: float
    highest: float
    pair: tuple[int, int] | None

    @property
    def holds(self) -> bool:
        """Whether there is none."""
        return self.equal == 0 and self.highest < self.threshold


def find_duplicates(
    order: Numbers,
    signatures: Signatures,
    likeness: Likeness | None = None,
    first: NDArray[np.bool_] | None = None,
    exactly: Exactly | None = None,
) -> Duplicates:
    """Which records to leave out, so that of those that are alike one is kept.

    Records are taken one by one, those that come first before the others, and else by their numbers; one is left out if it is like
    one that was kept. So each has its like among what is kept, and chains of small differences leave nothing out that is unlike all that stays.
    Nothing depends on the order of the rows.

    Args:
        order: (records,); place of each in the order of the sources; all differ.
        signatures: Of the same records.
        likeness: How near duplicates are found; None looks for equal records alone.
        first: (records,); which ones are kept rather than the others. Default: none.
        exactly: Decides where the estimate is near the threshold. Default: the estimate decides.
    """
    before = np.zeros(len(order), np.bool_) if first is None else first
    rows = np.lexsort((order, ~before))
    ordered, exact = order[rows], signatures.exact[rows]
    keeper = _equal(exact)
    similarity = np.ones(len(order))
    unlooked = 0
    if likeness is not None and signatures.sketches is not None:
        distinct = np.flatnonzero(keeper < 0)
        sketches = signatures.sketches
        alike = distinct[_candidates(likeness, sketches, rows[distinct])]
        search = _Search(likeness, sketches[rows[alike]], ordered[alike], exactly)
        search.kept(np.arange(len(alike)))
        unlooked = search.unlooked
        near = search.keeper >= 0
        keeper[alike[near]] = alike[search.keeper[near]]
        similarity[alike[near]] = search.similarity[near]
        # What equals one that was left out since is kept for by the same.
        equal = np.flatnonzero(keeper >= 0)
        through = equal[keeper[keeper[equal]] >= 0]
        similarity[through] = similarity[keeper[through]]
        keeper[through] = keeper[keeper[through]]
    left_out = np.flatnonzero(keeper >= 0)
    by_order = left_out[np.argsort(ordered[left_out])]
    return Duplicates(ordered[by_order], ordered[keeper[by_order]], similarity[by_order], unlooked)


def certificate(
    order: Numbers,
    signatures: Signatures,
    validation: NDArray[np.bool_],
    likeness: Likeness,
    exactly: Exactly | None = None,
) -> Certificate:
    """Compares the validation split with the training split once more, with bands that miss nothing at the threshold.

    Args:
        order: (records,); their numbers.
        signatures: Of what is kept of both splits, with sketches.
        validation: (records,); which ones are of the validation split.
        likeness: As of `find_duplicates`.
        exactly: As of `find_duplicates`.
    """
    if signatures.sketches is None:
        raise ValueError("the signatures have no sketches")
    held, trained = np.flatnonzero(validation), np.flatnonzero(~validation)
    sketches = signatures.sketches
    equal = np.isin(_whole(signatures.exact[held]), _whole(signatures.exact[trained])).sum()
    search = _Search(likeness, sketches, order, exactly, CERTAIN, limited=False)
    count, highest, pair = 0, 0.0, None
    for left, right in search.pairs(trained, held):
        similarity = search.similarities(left, right)
        count += len(left)
        # Of pairs that are equally alike the first, whatever the order of the rows.
        best = np.lexsort((order[left], order[right], -similarity))[0]
        found = (int(order[right[best]]), int(order[left[best]]))
        if pair is None or (-similarity[best], found) < (-highest, pair):
            highest, pair = float(similarity[best]), found
    return Certificate(len(held), len(trained), likeness.threshold, int(equal), count, CERTAIN, highest, pair)


def alike_in_training(
    order: Numbers,
    signatures: Signatures,
    validation: NDArray[np.bool_],
    likeness: Likeness,
    exactly: Exactly | None = None,
) -> Numbers:
    """The order numbers of training's records that keep a certificate from holding, ascending; arguments as of `certificate`."""
    if signatures.sketches is None:
        raise ValueError("the signatures have no sketches")
    held, trained = np.flatnonzero(validation), np.flatnonzero(~validation)
    equal = np.isin(_whole(signatures.exact[trained]), _whole(signatures.exact[held]))
    found = [order[trained[equal]]]
    search = _Search(likeness, signatures.sketches, order, exactly, CERTAIN, limited=False)
    for left, right in search.pairs(trained, held):
        found.append(order[left[search.similarities(left, right) >= likeness.threshold]])
    return np.unique(np.concatenate(found))


def _whole(exact: Hashes) -> NDArray[Any]:
    """Rows of two numbers as one value each."""
    return np.ascontiguousarray(exact).view(np.dtype([("a", np.uint64), ("b", np.uint64)]))[:, 0]


def _equal(exact: Hashes) -> Numbers:
    """For each record the first equal one before it; -1 where there is none."""
    by_value = np.lexsort((np.arange(len(exact)), exact[:, 1], exact[:, 0]))
    ordered = exact[by_value]
    starts = np.ones(len(exact), np.bool_)
    starts[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    first = by_value[np.maximum.accumulate(np.where(starts, np.arange(len(exact)), 0))]
    keeper = np.full(len(exact), -1, np.int64)
    keeper[by_value] = np.where(starts, -1, first)
    return keeper


def _candidates(likeness: Likeness, sketches: Sketches, rows: Numbers) -> NDArray[np.bool_]:
    """Which of these rows share a key with another one."""
    shared = np.zeros(len(rows), np.bool_)
    for keys in likeness.keys(sketches[rows]):
        by_key = np.argsort(keys)
        ordered = keys[by_key]
        same = ordered[1:] == ordered[:-1]
        shared[by_key[1:][same]] = True
        shared[by_key[:-1][same]] = True
    return shared


class _Search:
    """Looks for near duplicates among some records; earlier ones have lower numbers."""

    def __init__(
        self,
        likeness: Likeness,
        sketches: Sketches,
        order: Numbers,
        exactly: Exactly | None,
        recall: float = RECALL,
        *,
        limited: bool = True,
    ) -> None:
        self.keeper: Numbers = np.full(len(sketches), -1, np.int64)
        self.similarity = np.ones(len(sketches))
        self.unlooked = 0
        self._likeness = likeness
        self._sketches = sketches
        self._order = order
        self._exactly = exactly
        self._keys = list(likeness.keys(sketches, recall))
        self._limited = limited

    def kept(self, members: Numbers) -> Numbers:
        """Decides about records none of which is like one that is kept already.

        By halves, so that the many records of a large cluster are compared with the few of it that are kept, and not with
        each other.
        """
        if len(members) <= _FEW:
            return self._few(members)
        half = len(members) // 2
        before, after = self.kept(members[:half]), members[half:]
        for left, right in self._alike(before, after):
            # All pairs of a later record are in one part, by the earlier ones, of which the first is taken.
            later, at = np.unique(right, return_index=True)
            self.keeper[later] = left[at]
            self.similarity[later] = self.similarities(left[at], later)
        return np.concatenate([before, self.kept(after[self.keeper[after] < 0])])

    def _few(self, members: Numbers) -> Numbers:
        found = [
            (left[left < right], right[left < right])
            for left, right in self._alike(members, members, limited=False)
        ]
        if found:
            left, right = (np.concatenate(side) for side in zip(*found, strict=True))
            by_later = np.lexsort((left, right))
            similarity = self.similarities(left[by_later], right[by_later]).tolist()
            pairs = zip(left[by_later].tolist(), right[by_later].tolist(), similarity, strict=True)
            for earlier, later, alike in pairs:
                # All that decides about the earlier one came before.
                if self.keeper[earlier] < 0 and self.keeper[later] < 0:
                    self.keeper[later], self.similarity[later] = earlier, alike
        return members[self.keeper[members] < 0]

    def _alike(
        self, left: Numbers, right: Numbers, *, limited: bool = True
    ) -> Iterator[tuple[Numbers, Numbers]]:
        """Pairs of near duplicates, each once, sorted by the right and then the left one."""
        for one, other in self.pairs(left, right, limited=limited):
            near = (one != other) & (self.similarities(one, other) >= self._likeness.threshold)
            yield one[near], other[near]

    def similarities(self, left: Numbers, right: Numbers) -> NDArray[np.float64]:
        """The similarity of each pair: estimated, and where that is near the threshold exactly, if that can be had."""
        parts = [
            self._likeness.similarities(
                self._sketches[left[start : start + _COMPARED]],
                self._sketches[right[start : start + _COMPARED]],
            )
            for start in range(0, len(left), _COMPARED)
        ]
        similarity = np.concatenate(parts) if parts else np.zeros(0)
        if self._exactly is not None:
            unsure = np.abs(similarity - self._likeness.threshold) <= self._likeness.error
            if unsure.any():
                similarity[unsure] = self._exactly(self._order[left[unsure]], self._order[right[unsure]])
        return similarity

    def pairs(
        self, left: Numbers, right: Numbers, *, limited: bool = True
    ) -> Iterator[tuple[Numbers, Numbers]]:
        """Pairs with a common key, each once, sorted by the right and then the left one."""
        sides = []
        for keys in self._keys:
            by_key = np.argsort(keys[left], kind="stable")
            sides.append((keys[left][by_key], left[by_key], keys))
        yield from self._of_buckets(
            sides, right, self._likeness.bucket_limit if limited and self._limited else None
        )

    def _of_buckets(
        self, sides: list[tuple[Hashes, Numbers, Hashes]], right: Numbers, limit: int | None
    ) -> Iterator[tuple[Numbers, Numbers]]:
        spans = []
        total = 0
        for ordered, _, keys in sides:
            start = np.searchsorted(ordered, keys[right], "left")
            count = np.searchsorted(ordered, keys[right], "right") - start
            total += int(count.sum() if limit is None else np.minimum(count, limit).sum())
            spans.append((start, count))
        if total > _PAIRS and len(right) > 1:
            half = len(right) // 2
            yield from self._of_buckets(sides, right[:half], limit)
            yield from self._of_buckets(sides, right[half:], limit)
            return
        codes = []
        size = len(self._sketches)
        for (_, members, _), (start, whole) in zip(sides, spans, strict=True):
            count = whole if limit is None else np.minimum(whole, limit)
            self.unlooked += int((whole - count).sum())
            before = np.cumsum(count) - count
            at = np.repeat(start - before, count) + np.arange(int(count.sum()))
            codes.append(np.repeat(right, count) * size + members[at])
        unique = np.unique(np.concatenate(codes)) if codes else np.zeros(0, np.int64)
        if len(unique):
            yield unique % size, unique // size
