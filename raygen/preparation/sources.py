"""The sources of a job, and what tells that they still are what a preparation began with, wherever they lie."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from raygen.data.records.parts import Part
from raygen.data.records.tables.hugging_face import revision_of
from raygen.data.remarks import Remarks
from raygen.data.shards.recipe import digest_of
from raygen.data.sources.files import READ_AHEAD, AnyFile, StoredFile, contents, find_files
from raygen.errors import DataError, OutputError
from raygen.spec import ResolvedJob, Source
from raygen.spec.data.sources import ResolvedSource


def sources_of(job: ResolvedJob) -> Iterable[tuple[str, int, ResolvedSource]]:
    """Split, number and source of all sources of a job."""
    data = job.spec.data
    for number, source in enumerate(data.train.sources):
        yield "train", number, source
    if data.validation is not None:
        for number, source in enumerate(data.validation.sources or ()):
            yield "validation", number, source


def source_of(job: ResolvedJob, split: str, number: int) -> ResolvedSource:
    """One of them."""
    return next(source for own, place, source in sources_of(job) if (own, place) == (split, number))


MANY = 4096
"""Objects from which on they are listed, and not asked about one by one; more than a part has."""


class States:
    """The states of a job's files: what changes with their contents, and not with their place.

    Each file is looked at once, however many parts it is cut into; what is to be looked at anew needs an object of its own.

    Args:
        job: The job.
        base: Folder that relative paths start from.
    """

    def __init__(self, job: ResolvedJob, base: Path) -> None:
        self._job = job
        self._base = base
        self._known: dict[str, str] = {}

    def of(self, part: Part, source: ResolvedSource) -> tuple[str, ...]:
        """The state of each file of a part, in order.

        Raises:
            DataError: one cannot be read.
        """
        if source.format == "HuggingFace" and part.files[0].uri == source.uri:
            return (self._remembered(source.uri, partial(self._streamed, source)),)
        self.look_at([part], source)
        return tuple(self._known[file.uri] for file in part.files)

    def look_at(self, parts: Iterable[Part], source: ResolvedSource) -> None:
        """Looks at the files of several parts of a source at once, which is quicker.

        Raises:
            DataError: one cannot be read.
        """
        uris = {file.uri: file for part in parts for file in part.files if file.uri not in self._known}
        if source.uri in uris and source.format == "HuggingFace":
            return
        self._known |= zip(uris, _looked_at([file.file for file in uris.values()]), strict=True)

    def beside(self, source: ResolvedSource) -> tuple[tuple[str, str], ...]:
        """URI and SHA-256 of what else decides a source's records: its file of labels, and the list of words that leave texts out.

        Raises:
            DataError: one cannot be read.
        """
        cleaning = self._job.spec.data.cleaning
        words = cleaning.text.block_list if cleaning is not None and cleaning.text is not None else None
        named = [uri for uri in (source.labels, words.uri if words is not None else None) if uri is not None]
        return tuple((uri, self._remembered(uri, partial(self._content, uri))) for uri in named)

    def _remembered(self, uri: str, look: Callable[[], str]) -> str:
        if uri not in self._known:
            self._known[uri] = look()
        return self._known[uri]

    def _content(self, uri: str) -> str:
        digest = hashlib.sha256()
        for content in contents(find_files(Source(uri=uri), self._base, Remarks())):
            digest.update(hashlib.sha256(content).digest())
        return digest.hexdigest()

    def _streamed(self, source: ResolvedSource) -> str:
        """Of what the library streams: the revision on the hub where it is known, or the states of the files in a copy."""
        if source.is_on_hub:
            return revision_of(source)
        files = find_files(Source(uri=source.uri), self._base, Remarks())
        listed = [["/".join(file.inner), state] for file, state in zip(files, _looked_at(files), strict=True)]
        return digest_of(listed)


def _looked_at(files: Sequence[AnyFile]) -> list[str]:
    stored = [file for file in files if isinstance(file, StoredFile)]
    if len(stored) > MANY and len(stored) == len(files):
        return _listed(stored)
    with ThreadPoolExecutor(READ_AHEAD, thread_name_prefix="states") as threads:
        return list(threads.map(lambda file: file.state(), files))


def _listed(files: Sequence[StoredFile]) -> list[str]:
    """The states of many objects of one bucket, by listing the folder that holds them all."""
    common = os.path.commonprefix([file.key for file in files])  # noqa: RUF071 (cut to a folder here)
    folder, slash, _ = common.rpartition("/")
    try:
        tags = files[0].storage.tags(folder + slash)
    except OutputError as error:
        raise DataError(error.what, where=error.where, remedy="Correct the uri.") from error
    # One that has gone since tells so itself.
    return [tags.get(file.key) or file.state() for file in files]
