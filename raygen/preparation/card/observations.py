"""What whoever trains on a prepared data set should know of it, though nothing in it is wrong."""

from __future__ import annotations

from collections.abc import Sequence

from raygen.data.shards.index import Index, Shard
from raygen.spec import ResolvedJob

SHARE_TOLERANCE = 0.25
"""How far the share of the validation split may be from the one that is asked for, as a part of that, before it is told."""


def observations(index: Index, job: ResolvedJob) -> tuple[str, ...]:
    """Sentences, each of which stands for itself; a function of the index and the job alone."""
    held = job.spec.data.validation
    if held is None or held.fraction is None:
        return ()
    validation = _units(index.validation)
    whole = validation + sum(_units(component.shards) for component in index.train)
    share = validation / max(whole, 1)
    if abs(share - held.fraction) <= SHARE_TOLERANCE * held.fraction:
        return ()
    unit, records = ("tokens", "documents") if index.kind == "text" else ("images", "images")
    why = ", which may be of very different lengths" if index.kind == "text" else ""
    asked = f"spec.data.validation.fraction asks for {held.fraction:.2%}"
    sentence = f"validation holds {share:.2%} of all {unit}, where {asked}: {records} are drawn one by one, so that few of them give another share"
    return (sentence + why,)


def _units(shards: Sequence[Shard]) -> int:
    return sum(shard.units for shard in shards)
