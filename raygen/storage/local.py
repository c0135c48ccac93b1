"""A local folder as storage; a mounted volume that several pods share is one too.

An object is written under a temporary name, flushed to the device, and renamed or linked to its
own name, so that a killed writer or a power cut leaves the old object or the new one.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from raygen.errors import InputError
from raygen.storage.base import AlreadyExistsError, Buffer, Entry, NotFoundError
from raygen.storage.faults import explained
from raygen.storage.keys import TEMPORARY_PREFIX, check_key, check_prefix
from raygen.storage.temporary import is_stale, temporary_name

_WRITE_BUFFER_BYTES = 1 << 20

# What link() answers on a file system without hard links (exFAT, SMB, many FUSE mounts).
_NO_HARD_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}

# What fsync() answers where a folder cannot be flushed by itself.
_NO_FOLDER_SYNC = {errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF}


class LocalStorage:
    """Objects as files under `root`, which need not exist yet."""

    def __init__(self, root: Path) -> None:
        self._root = _resolved(root)

    @property
    def uri(self) -> str:
        """The root folder's absolute path."""
        return str(self._root)

    def within(self, folder: str) -> LocalStorage:
        """The same storage seen from `folder`."""
        return LocalStorage(self._path(folder, follow=True))

    def read(self, key: str) -> bytes:
        """The whole object."""
        with self.open(key) as stream:
            return stream.read()

    def open(self, key: str) -> BinaryIO:
        """A seekable reader that the caller closes."""
        path = self._path(key, follow=True)
        with explained(path, "read"):
            return io.BufferedReader(_Reader(path))

    def write(self, key: str, data: Buffer) -> None:
        """Writes or replaces an object atomically."""
        self.stream(key, (data,))

    def stream(self, key: str, chunks: Iterable[Buffer]) -> None:
        """Writes or replaces an object atomically, from chunks."""
        path = self._path(key)
        with explained(path, "written"):
            temporary = _stage(path.parent, chunks)
            try:
                temporary.replace(path)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise
            _sync_folder(path.parent)

    def create(self, key: str, data: Buffer) -> None:
        """Writes an object that must not exist; of several processes exactly one succeeds."""
        path = self._path(key)
        with explained(path, "created"):
            temporary = _stage(path.parent, (data,))
            try:
                _link(temporary, path, data)
            except FileExistsError:
                raise AlreadyExistsError(
                    "this object exists and was left as it is", where=str(path)
                ) from None
            finally:
                temporary.unlink(missing_ok=True)
            _sync_folder(path.parent)

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """Every finished object under `prefix`, sorted by key."""
        entries = []
        for path in self._files(prefix):
            if not path.name.startswith(TEMPORARY_PREFIX):
                with suppress(FileNotFoundError), explained(path, "listed", keep=FileNotFoundError):
                    entries.append(Entry(path.relative_to(self._root).as_posix(), path.stat().st_size))
        return iter(sorted(entries))

    def exists(self, key: str) -> bool:
        """Whether there is an object with that key."""
        try:
            self.size(key)
        except NotFoundError:
            return False
        return True

    def size(self, key: str) -> int:
        """The object's size in bytes."""
        path = self._path(key, follow=True)
        with explained(path, "read"):
            if path.is_dir():
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            return path.stat().st_size

    def delete(self, key: str) -> None:
        """Deletes an object; one that is already gone is no error."""
        path = self._path(key)
        with explained(path, "deleted"):
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError):
                return
            # A manifest must be gone from the device before the shards that it names go.
            _sync_folder(path.parent)

    def delete_prefix(self, prefix: str) -> None:
        """Deletes every object under `prefix`, and the folders that held them."""
        if not prefix:
            raise InputError("refused to delete a whole storage", where=self.uri)
        folder = self._folder(prefix)
        with explained(folder, "deleted"), suppress(FileNotFoundError):
            shutil.rmtree(folder)

    def clean(self, prefix: str = "") -> int:
        """Removes the temporary files of writers that no longer live."""
        removed = 0
        for path in self._files(prefix):
            with suppress(FileNotFoundError), explained(path, "deleted", keep=FileNotFoundError):
                if path.name.startswith(TEMPORARY_PREFIX) and is_stale(path):
                    path.unlink()
                    removed += 1
        return removed

    def local_path(self, key: str) -> Path | None:
        """The object's path, whether or not it exists."""
        return self._path(key, follow=True)

    def _path(self, key: str, *, follow: bool = False) -> Path:
        """The file of `key`. Renaming replaces a link at the end of a path, reading follows it."""
        check_key(key)
        path = self._root / key
        real = _resolved(path if follow else path.parent)
        if not real.is_relative_to(self._root):
            raise InputError(
                f"the object name {key!r} leads out of its folder through a symbolic link",
                where=self.uri,
                remedy="Replace the link by a folder, or give the folder it leads to as the output.",
            )
        return path

    def _folder(self, prefix: str) -> Path:
        check_prefix(prefix)
        return self._path(prefix.removesuffix("/"), follow=True) if prefix else self._root

    def _files(self, prefix: str) -> Iterator[Path]:
        """Every file under `prefix`, unfinished ones too; symbolic links are left out."""
        pending = [self._folder(prefix)]
        while pending:
            folder = pending.pop()
            with explained(folder, "listed"):
                try:
                    with os.scandir(folder) as found:
                        children = list(found)
                except (FileNotFoundError, NotADirectoryError):
                    continue
            for child in children:
                if child.is_dir(follow_symlinks=False):
                    pending.append(Path(child.path))
                elif child.is_file(follow_symlinks=False):
                    yield Path(child.path)


class _Reader(io.FileIO):
    """A file whose read errors arrive as raygen's."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._path = path

    def readinto(self, buffer: memoryview, /) -> int | None:  # type: ignore[override]
        with explained(self._path, "read"):
            return super().readinto(buffer)

    def readall(self) -> bytes:
        with explained(self._path, "read"):
            return super().readall()


def _resolved(path: Path) -> Path:
    """The path without links."""
    try:
        return path.resolve()
    except FileNotFoundError:
        what, remedy = "the working folder is gone", "Change to a folder that is there."
    except (OSError, RuntimeError):
        # Python 3.13 raises an OSError.
        what, remedy = "these symbolic links lead to each other", "Replace one of them by a folder."
    raise InputError(what, where=str(path), remedy=remedy)


def _stage(folder: Path, chunks: Iterable[Buffer]) -> Path:
    """Writes `chunks` to a new temporary file in `folder` and flushes it to the device."""
    path, descriptor = _open_temporary(folder)
    try:
        _fill(descriptor, chunks)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _open_temporary(folder: Path) -> tuple[Path, int]:
    """Opens a new temporary file; the mode honours the umask, so that pods can share a volume."""
    path = folder / temporary_name()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    # A folder may vanish right after it was made when another process deletes its prefix.
    for _ in range(3):
        _make_folder(folder)
        with suppress(FileNotFoundError):
            return path, os.open(path, flags, 0o666)
    return path, os.open(path, flags, 0o666)


def _link(temporary: Path, path: Path, data: Buffer) -> None:
    """Gives `temporary` its own name unless that is taken (FileExistsError)."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        # NFS may repeat a link whose answer was lost: two names then show that the first one won.
        if temporary.stat().st_nlink != 2:
            raise
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        _create_in_place(path, data)


def _create_in_place(path: Path, data: Buffer) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        _fill(descriptor, (data,))
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _fill(descriptor: int, chunks: Iterable[Buffer]) -> None:
    with os.fdopen(descriptor, "wb", buffering=_WRITE_BUFFER_BYTES) as stream:
        stream.writelines(chunks)
        stream.flush()
        os.fsync(descriptor)


def _make_folder(folder: Path) -> None:
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for child in reversed(missing):
        child.mkdir(exist_ok=True)
        _sync_folder(child.parent)


def _sync_folder(folder: Path) -> None:
    """Makes a new, renamed or deleted name in `folder` outlive a power cut."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)
