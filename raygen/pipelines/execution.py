"""How raygen runs a pipeline of Ray Data, and hears of what goes wrong in it. Ray must have been started."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from raygen import errors
from raygen.errors import RaygenError, RunError

if TYPE_CHECKING:
    from ray.data import Dataset


def dataset_of(items: Sequence[Mapping[str, Any]]) -> Dataset:
    """Items as a data set of Ray, one block for each, so that each can be worked on anywhere.

    Its settings are a copy of the process's, and what changes them changes no other pipeline.
    """
    import ray

    # Its own words are of blocks and operators, and go to whoever reads the result.
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    made = ray.data.from_items(list(items), override_num_blocks=len(items))
    made.context.enable_progress_bars = False
    made.context.print_on_execution_start = False
    return made


def document_of(error: RaygenError) -> dict[str, Any]:
    """An error as JSON values. A mistake in the data would come again: it is told as a result, so that Ray does not try again."""
    return {"error": type(error).__name__, "what": error.what, "where": error.where, "remedy": error.remedy}


def error_of(document: Mapping[str, Any]) -> RaygenError:
    """The error that was told so."""
    kind = getattr(errors, document["error"], RunError)
    error: RaygenError = kind(document["what"], where=document["where"], remedy=document["remedy"])
    return error


@contextmanager
def losses_explained(doing: str, remedy: str) -> Iterator[None]:
    """Makes errors of Ray those of raygen.

    Args:
        doing: What a worker does: it stands in the message.
        remedy: What to do.

    Raises:
        RunError: Ray gave up.
    """
    import ray

    try:
        yield
    except ray.exceptions.RayError as error:
        raise RunError(
            f"a worker that {doing} was lost: {str(error).strip().splitlines()[-1]}",
            where="Ray Data",
            remedy=remedy,
        ) from error
