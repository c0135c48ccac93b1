"""Data that is prepared before anything trains: by an attempt of its own, whose pods are there for that alone.

Pods that prepare need no GPUs, and pods that train need none of these: an attempt of either kind has only its own, so that
neither waits beside the other, a queue counts what is used, and Ray Data never waits for cores that training holds. Once
the data is whole, attempts train; that it is the operator knows from the driver that has prepared it or found it so.

On a cluster that jobs share, whose pods are there already, the attempt that trains prepares first.
"""

from __future__ import annotations

from raygen.kube.bodies import Fields
from raygen.operator.attempts.draft import Draft
from raygen.operator.attempts.endings import Ending
from raygen.spec.status import PREPARATION

PREPARED = "Prepared"


def next_stage(draft: Draft) -> str:
    """What the next attempt is for: Preparation, or "" to train."""
    wanted, known = draft.spec.get("preparation"), draft.status.get("prepared") or {}
    if wanted is None or draft.shared_cluster or known.get("uri") == wanted["uri"]:
        return ""
    return PREPARATION


def prepares(attempt: Fields) -> bool:
    """Whether an attempt only prepares data."""
    return attempt.get("stage") == PREPARATION


def concluded(draft: Draft, attempt: Fields, ending: Ending, outcome: Fields | None) -> Ending:
    """How an attempt ended, if need be in other words: what has prepared its data is not done yet, and the next one trains."""
    if not prepares(attempt) or not ending.succeeded:
        return ending
    told = (outcome or {}).get("prepared")
    wanted = draft.spec.get("preparation")
    if told is None and wanted is not None and "cause" not in attempt:
        # It could not say so; what is not there after all, the attempt that trains prepares.
        told = {"uri": wanted["uri"]}
    if told is not None:
        draft.status["prepared"] = told
    return Ending(
        PREPARED, f"{(outcome or {}).get('message') or 'The data is prepared.'} The next attempt trains."
    )


def is_under_way(draft: Draft, attempt: Fields) -> bool:
    """Whether the driver of an attempt that has done no steps says that it prepares data."""
    return "firstStep" not in attempt and draft.preparation.get("rayJob") == attempt["rayJob"]


def message(attempt: Fields) -> str:
    """What an attempt does that prepares; how far it is the driver says, so the words stay."""
    again = " again, after its head pod was lost" if "lostHeads" in attempt else ""
    return f"Attempt {attempt['number']} prepares the data{again}; status.preparation says how far."
