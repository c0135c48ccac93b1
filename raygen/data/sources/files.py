"""Finds the files of a source, and reads them alike wherever they are: on this machine, or in an object store."""

from __future__ import annotations

import glob
import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, cast

from raygen.data.remarks import Remarks
from raygen.data.sources.folders import SYSTEM_NAMES, is_system, tell_system, tell_unread, walk
from raygen.data.sources.opened import Opened
from raygen.errors import DataError, InputError, OutputError
from raygen.spec import Source
from raygen.storage import Entry, NotFoundError, open_storage

if TYPE_CHECKING:
    from raygen.storage.s3.bucket import S3Storage

GLOB_CHARACTERS = frozenset("*[")
READ_AHEAD = 16
"""Small files of an object store that are fetched at a time."""
EDGE_BYTES = 1 << 16
"""Bytes at either end by which a file on this machine is known again."""
_BUFFER_BYTES = 1 << 17
"""Bytes of a file on this machine that are read at a time at least."""
READ_AHEAD_BYTES = 64 << 20
"""The most that they have together, unless one of them alone has more."""


@dataclass(frozen=True)
class File:
    """A file on this machine.

    Attributes:
        path: Where it is.
        inner: Its path below the source, by segments; of a single file its name.
    """

    path: Path
    inner: tuple[str, ...]

    def __str__(self) -> str:
        return str(self.path)

    @property
    def suffix(self) -> str:
        """The end of the name from its last dot on, in lower case."""
        return self.path.suffix.lower()

    @property
    def size(self) -> int:
        """Bytes; DataError if it cannot be told."""
        try:
            return self.path.stat().st_size
        except OSError as error:
            raise self._unreadable(error) from error

    def read(self) -> bytes:
        """The whole content; DataError if it cannot be read."""
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise self._unreadable(error) from error

    def head(self, count: int) -> bytes:
        """The first bytes, at most `count`; DataError if they cannot be read."""
        try:
            with self.path.open("rb") as opened:
                return opened.read(count)
        except OSError as error:
            raise self._unreadable(error) from error

    def open(self) -> Opened:
        """The content from the beginning, seekable; DataError if it cannot be read, now or later."""
        try:
            return Opened(self.path.open("rb", buffering=_BUFFER_BYTES), self._unreadable)
        except OSError as error:
            raise self._unreadable(error) from error

    def state(self) -> str:
        """A digest of the size and of the bytes at both ends, which a copy has too; DataError if they cannot be read."""
        try:
            with self.path.open("rb", buffering=0) as opened:
                size = os.fstat(opened.fileno()).st_size
                digest = hashlib.sha256(size.to_bytes(8, "little"))
                digest.update(opened.read(EDGE_BYTES))
                opened.seek(max(size - EDGE_BYTES, 0))
                digest.update(opened.read(EDGE_BYTES))
        except OSError as error:
            raise self._unreadable(error) from error
        return digest.hexdigest()[:32]

    def _unreadable(self, error: Exception) -> DataError:
        return DataError(
            f"cannot be read: {getattr(error, 'strerror', None) or error}",
            where=str(self.path),
            remedy="Check that the file exists and is readable.",
        )


@dataclass(frozen=True)
class StoredFile:
    """A file in an object store; used as `File` is. Its size is that of the listing, in bytes."""

    storage: S3Storage
    key: str
    inner: tuple[str, ...]
    size: int

    def __str__(self) -> str:
        return f"{self.storage.uri}/{self.key}"

    @property
    def suffix(self) -> str:
        """The end of the name from its last dot on, in lower case."""
        return PurePosixPath(self.key).suffix.lower()

    def read(self) -> bytes:
        """The whole content; DataError if it cannot be read."""
        try:
            return self.storage.read(self.key)
        except (NotFoundError, OutputError) as error:
            raise _as_data(error) from error

    def head(self, count: int) -> bytes:
        """The first bytes, at most `count`; DataError if they cannot be read."""
        with self.open() as opened:
            return opened.read(count)

    def open(self) -> Opened:
        """The content from the beginning, seekable; DataError if it cannot be read, now or later."""
        try:
            return Opened(self.storage.open(self.key), _as_data)
        except (NotFoundError, OutputError) as error:
            raise _as_data(error) from error

    def state(self) -> str:
        """The tag by which the server knows this content; DataError if it cannot be told."""
        try:
            return self.storage.tag(self.key)
        except (NotFoundError, OutputError) as error:
            raise _as_data(error) from error


AnyFile = File | StoredFile


def file_at(uri: str, inner: tuple[str, ...], size: int) -> AnyFile:
    """The file that a listing found, by its URI.

    Args:
        uri: As `str` of the file gave it.
        inner: Its path below the source.
        size: Bytes, as listed.
    """
    if uri.startswith("s3://"):
        bucket, _, key = uri[len("s3://") :].partition("/")
        return StoredFile(cast("S3Storage", open_storage(f"s3://{bucket}")), key, inner, size)
    return File(Path(uri), inner)


def find_files(source: Source, base: Path, remarks: Remarks) -> Sequence[AnyFile]:
    """The files of a source in the order of their paths; inside a folder, hidden ones are left out.

    Args:
        source: Where to look.
        base: Folder that relative paths start from.
        remarks: Takes what is left out.

    Raises:
        DataError: there are none, or a folder cannot be read.
        InputError: the URI has a scheme that this build cannot read.
    """
    before = len(remarks.all())
    if source.uri.lower().startswith("s3://"):
        files: Sequence[AnyFile] = _in_store(source.uri, remarks)
        where = source.uri
    else:
        files = _on_machine(source.uri, base, remarks)
        where = str(local_path(source.uri, base))
    if not files:
        skipped = "".join(f"; {remark}" for remark in remarks.all()[before:])
        raise DataError(
            f"there are no files{skipped}", where=where, remedy="Put files there, or correct the uri."
        )
    return files


def contents(files: Sequence[AnyFile]) -> Iterator[bytes]:
    """The content of each file, in order; of an object store several are fetched ahead."""
    if all(isinstance(file, File) for file in files):
        yield from (file.read() for file in files)
        return
    threads = ThreadPoolExecutor(READ_AHEAD, thread_name_prefix="data")
    try:
        waiting: deque[tuple[int, Future[bytes]]] = deque()
        ahead = 0
        for file in files:
            while waiting and (len(waiting) >= READ_AHEAD or ahead + file.size > READ_AHEAD_BYTES):
                size, fetched = waiting.popleft()
                ahead -= size
                yield fetched.result()
            waiting.append((file.size, threads.submit(file.read)))
            ahead += file.size
        for _, fetched in waiting:
            yield fetched.result()
    finally:
        threads.shutdown(cancel_futures=True)


def heads(files: Sequence[AnyFile], count: int) -> Iterator[bytes]:
    """The first bytes of each file, at most `count`, in order; of an object store several are fetched ahead."""
    if all(isinstance(file, File) for file in files):
        yield from (file.head(count) for file in files)
        return
    threads = ThreadPoolExecutor(READ_AHEAD, thread_name_prefix="data")
    try:
        yield from threads.map(lambda file: file.head(count), files)
    finally:
        threads.shutdown(cancel_futures=True)


def local_path(uri: str, base: Path) -> Path:
    """The local path behind a plain path or file:// URI.

    Raises:
        InputError: the URI has another scheme.
    """
    scheme = uri.partition("://")[0] if "://" in uri else ""
    if scheme not in ("", "file"):
        raise InputError(
            f"cannot read {scheme}:// sources",
            where=uri,
            remedy="Give a local path, a file:// URI, or for data s3://bucket/key.",
        )
    # Path.expanduser raises where there is no such user; this leaves the path as it is.
    return base / os.path.expanduser(uri.removeprefix("file://"))  # noqa: PTH111


def _on_machine(uri: str, base: Path, remarks: Remarks) -> list[File]:
    path = local_path(uri, base)
    try:
        if path.is_dir():
            files = [File(inside, inside.relative_to(path).parts) for inside in walk(path, remarks)]
        elif path.exists():
            files = [File(path, (path.name,))]
        elif _is_wild(uri):
            files = [File(match, (match.name,)) for match in _matches(uri, base, remarks)]
        else:
            raise _missing(str(path))
    except OSError as error:
        raise DataError(
            f"cannot be read: {error.strerror}",
            where=str(error.filename or path),
            remedy="Correct the uri, or make every folder on its way readable.",
        ) from error
    return sorted(files, key=lambda file: file.path)


def _matches(uri: str, base: Path, remarks: Remarks) -> Iterator[Path]:
    # Relative to the base, so that brackets in the base's own name are no pattern.
    pattern = local_path(uri, Path())
    plain = next(at for at, part in enumerate(pattern.parts) if _is_wild(part))
    rest = pattern.parts[plain:]
    if "**" not in rest or ".." in rest:
        matches = set(glob.glob(str(pattern), root_dir=base, recursive=True))  # noqa: PTH207 (absolute patterns)
        for match in sorted(matches):
            path = base / match
            if _is_left_out(Path(match).parts, pattern.parts):
                tell_system(str(path), remarks, folder=path.is_dir())
            elif path.is_file():
                yield path
            else:
                tell_unread(path, remarks)
        return
    # glob.glob would follow a link to a folder around itself some forty times.
    top = base.joinpath(*pattern.parts[:plain])
    if not top.is_dir():
        return
    hidden = any(part.startswith(".") or (is_system(part) and not _is_wild(part)) for part in rest)
    for path in walk(top, remarks, hidden=hidden, tell_hidden=False):
        inner = path.relative_to(top).parts
        if not _fits(inner, rest):
            continue
        if _is_left_out(inner, rest):
            tell_system(str(path), remarks)
        else:
            yield path


def _is_wild(part: str) -> bool:
    """Whether a segment of a pattern stands for more than itself."""
    return bool(GLOB_CHARACTERS & set(part))


def _is_left_out(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether what a pattern matched is a program's own by a segment that the pattern does not name literally.

    Dot files are no matter here: wildcards match them only where the pattern asks for them.
    """
    if "**" not in pattern and len(parts) == len(pattern):
        return any(
            part.lower() in SYSTEM_NAMES and _is_wild(wanted)
            for part, wanted in zip(parts, pattern, strict=True)
        )
    # What ** stands for cannot be told from the rest.
    named = {wanted for wanted in pattern if not _is_wild(wanted)}
    return any(part.lower() in SYSTEM_NAMES and part not in named for part in parts)


def _in_store(uri: str, remarks: Remarks) -> list[StoredFile]:
    """As `_on_machine`: the object of that key, else all below it, else those that match."""
    bucket, _, key = uri[len("s3://") :].partition("/")
    storage = cast("S3Storage", open_storage(f"s3://{bucket}"))
    folder = tuple(key.rstrip("/").split("/")) if key else ()
    try:
        if key and not key.endswith("/") and storage.exists(key):
            return [StoredFile(storage, key, folder[-1:], storage.size(key))]
        inside = [_stored(storage, entry, len(folder)) for entry in _below(storage, folder)]
        if inside:
            files = _without(inside, lambda file: any(map(is_system, file.inner)), remarks)
        elif _is_wild(key):
            plain = next(at for at, part in enumerate(folder) if _is_wild(part))
            matches = [_stored(storage, entry, -1) for entry in _below(storage, folder[:plain])]
            matches = [file for file in matches if _fits(file.key.split("/"), folder)]
            files = _without(matches, lambda file: _is_left_out(file.key.split("/"), folder), remarks)
        else:
            raise _missing(uri)
    except (NotFoundError, OutputError) as error:
        raise _as_data(error) from error
    return sorted(files, key=lambda file: file.key.split("/"))


def _below(storage: S3Storage, folder: tuple[str, ...]) -> Iterator[Entry]:
    return storage.list("/".join((*folder, "")))


def _stored(storage: S3Storage, entry: Entry, depth: int) -> StoredFile:
    """An object of a listing, of a source that is `depth` folders deep; -1 for what a pattern matched."""
    return StoredFile(storage, entry.key, tuple(entry.key.split("/")[depth:]), entry.size)


def _without(
    files: Sequence[StoredFile], left_out: Callable[[StoredFile], bool], remarks: Remarks
) -> list[StoredFile]:
    """The files without those that are left out, which are told."""
    for file in filter(left_out, files):
        tell_system(str(file), remarks)
    return [file for file in files if not left_out(file)]


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path matches a pattern, as `glob.glob` has it: ** is any number of folders, none hidden."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        if _fits(parts, pattern[1:]):
            return True
        if len(parts) == 1 and len(pattern) == 1:
            return not parts[0].startswith(".")
        return bool(parts) and not parts[0].startswith(".") and _fits(parts[1:], pattern)
    if not parts or (parts[0].startswith(".") and not pattern[0].startswith(".")):
        return False
    return fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _missing(where: str) -> DataError:
    return DataError(
        "no such file or folder",
        where=where,
        remedy="Correct the uri; a relative one starts from the folder of the job file.",
    )


def _as_data(error: Exception) -> DataError:
    """What a storage says, as a fault of the data."""
    if not isinstance(error, InputError):
        return DataError(f"cannot be read: {error}", remedy="Run the same again.")
    remedy = error.remedy.replace("choose another output", "correct the uri")
    return DataError(error.what, where=error.where, remedy=remedy or "Correct the uri.")
