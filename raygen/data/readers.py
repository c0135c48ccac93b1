"""The readers of data by what the data holds."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from raygen.data.progress import Notice
from raygen.data.protocol import Dataset, Reader
from raygen.data.remarks import Remarks
from raygen.data.sources.files import find_files
from raygen.errors import MissingExtraError
from raygen.spec import Data, ResolvedJob
from raygen.spec.contents import Domain
from raygen.spec.data.sources import MUSIC_FORMAT

if TYPE_CHECKING:
    from raygen.data.shards.pieces import OpenPieces


def _text() -> Reader:
    from raygen.data.text import windows

    return windows


def _images() -> Reader:
    from raygen.data.images import pixels

    return pixels


READERS = {"text": _text, "images": _images}
"""Kind of contents -> its reader, imported when it is needed."""


def open_data(
    job: ResolvedJob,
    base: Path,
    files: Mapping[str, bytes],
    notice: Notice | None = None,
    open_pieces: OpenPieces | None = None,
    first: int | None = None,
) -> Dataset:
    """The data set of a job.

    Args:
        job: A resolved job.
        base: Folder that relative source paths start from.
        files: What the data set gave to keep when the run began; empty for a new run.
        notice: Takes a sentence now and then, where it takes long.
        open_pieces: What reads data that is prepared. Default: threads of this process.
        first: The position at which training most likely begins, so that what is prepared is read from now on.

    Raises:
        DataError: the data cannot be used; says where and why.
    """
    if job.spec.preparation is not None:
        from raygen.data.shards.dataset import PreparedData
        from raygen.data.shards.pieces import ThreadedPieces

        return PreparedData(job, base, open_pieces=open_pieces or ThreadedPieces, first=first)
    return READERS[job.spec.data.kind]().open_data(job, base, files, notice)


def units_per_sample(job: ResolvedJob) -> int:
    """How many units a sample of a job's data has, before it is opened: tokens of a window, or 1 image."""
    if job.spec.data.kind == "images":
        return 1
    from raygen.data.text.windows import context_length

    return context_length(job)


def find_sources(job: ResolvedJob, base: Path) -> None:
    """Looks whether every source has files, or the data is prepared, and reads none of them.

    Raises:
        DataError: a source is missing or empty.
        MissingExtraError: a source is on the hub of Hugging Face or holds music, and the library that reads it is not
            installed.
    """
    data = job.spec.data
    if job.spec.preparation is not None:
        from raygen.data.shards.index import read_index
        from raygen.data.shards.store import open_place

        if read_index(open_place(job.spec.preparation.uri, base)) is not None:
            return
    held = (data.validation.sources or ()) if data.validation is not None else ()
    for source in (*data.train.sources, *held):
        if source.format == MUSIC_FORMAT and find_spec("miditok") is None:
            raise MissingExtraError("miditok", "music")
        if not source.is_on_hub:
            find_files(source, base, Remarks())
        elif find_spec("datasets") is None:
            raise MissingExtraError("datasets", "huggingface")


def open_domain(data: Data, files: Mapping[str, bytes]) -> Domain:
    """What a model must know of its data, from what the data set gave to keep.

    Raises:
        DataError: a file is missing or damaged.
    """
    return READERS[data.kind]().open_domain(files)
