"""The folder of a data set: whose work is in it, and whether all that its index will name is there, and nothing else.

One recipe at a time fills a folder, however many processes work on it: what they write is equal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from contextlib import suppress

from raygen.data.shards.index import Shard
from raygen.errors import DataError, OutputError
from raygen.preparation.context import WORK, Context
from raygen.storage import AlreadyExistsError, NotFoundError

OWNER = f"{WORK}/owner.json"
SHARDS = ("train/", "validation/")
QUARANTINE = "quarantine/"
_OURS = re.compile(r"(train/\d{3}|validation)/\d{5}-\d{5}\.parquet|quarantine/\d{6}\.jsonl", re.ASCII)
"""Names that a preparation gives; nothing else in the folder is ever deleted."""
_ATTEMPTS = 3
"""Times that a note which comes and goes is looked at."""


def claim(context: Context) -> None:
    """Notes that the folder is being filled by this recipe, unless that is noted already.

    Raises:
        DataError: another one is at it, or was and has not ended.
    """
    note = json.dumps({"recipe": context.recipe}).encode()
    for _ in range(_ATTEMPTS):
        try:
            context.place.create(OWNER, note)
        except AlreadyExistsError:
            # It goes when the data set is whole; then the next attempt gets it.
            if (owner := owner_of(context)) is None:
                continue
            if owner != context.recipe:
                raise _another(context) from None
        return
    raise _another(context)


def owner_of(context: Context) -> str | None:
    """The recipe that the folder is being filled by; None if nobody says so."""
    try:
        note = json.loads(context.place.read(OWNER))
    except NotFoundError:
        return None
    except ValueError:
        return ""
    return str(note["recipe"]) if isinstance(note, dict) and "recipe" in note else ""


def check_owner(context: Context) -> None:
    """Refuses to go on where the folder is not this recipe's any more.

    Raises:
        NotFoundError: the work was deleted; by one that makes the same data, if there is an index now.
        DataError: another recipe has taken the folder over.
    """
    owner = owner_of(context)
    if owner is None:
        raise NotFoundError(
            "what was done so far was deleted while the data was being prepared",
            where=context.work.uri,
            remedy="Run the same again, and leave that folder alone until the data is whole.",
        )
    if owner != context.recipe:
        raise _another(context)


def release(context: Context) -> None:
    """Lets another recipe begin, after a mistake that is to be corrected first."""
    if owner_of(context) == context.recipe:
        context.place.delete(OWNER)


def aside(number: int) -> str:
    """The file of a part's broken records."""
    return f"{QUARANTINE}{number:06d}.jsonl"


def are_there(context: Context, shards: Iterable[Shard]) -> bool:
    """Whether these files are in the folder, with their sizes."""
    try:
        return all(context.place.size(shard.name) == shard.bytes for shard in shards)
    except NotFoundError:
        return False


def settle(context: Context, shards: Collection[Shard], others: Iterable[str]) -> None:
    """Sees that a data set is whole, and removes what an earlier preparation that failed has left of its own.

    Args:
        context: The preparation.
        shards: All that the index will name.
        others: Keys of broken records' files.

    Raises:
        DataError: a shard is missing or has another size.
    """
    found = {
        entry.key: entry.size for prefix in (*SHARDS, QUARANTINE) for entry in context.place.list(prefix)
    }
    for shard in shards:
        if found.get(shard.name) != shard.bytes:
            raise DataError(
                "the shard was changed or deleted before the data was whole",
                where=f"{context.place.uri}/{shard.name}",
                remedy="See that nothing else writes there, and run the same again.",
            )
    named = {*(shard.name for shard in shards), *others}
    for key in sorted(found.keys() - named):
        if _OURS.fullmatch(key):
            context.place.delete(key)
    # Unfinished files of writers that were killed, which are in nobody's way where they cannot be removed.
    with suppress(OutputError):
        context.place.clean()


def _another(context: Context) -> DataError:
    return DataError(
        "the folder holds the beginning of data that is prepared from other sources, or in another way",
        where=context.place.uri,
        remedy=f"If nobody is at it any more, delete {context.place.uri}/{WORK}; else give spec.preparation.uri another folder.",
    )
