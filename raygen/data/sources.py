"""Reads documents from local files, folders, globs and JSON lines."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from raygen.data.tokenizers import to_utf8
from raygen.errors import DataError, InputError
from raygen.spec import Source

GLOB_CHARACTERS = frozenset("*[")


def read_documents(sources: Sequence[Source], base: Path) -> list[str]:
    """All documents of these sources, in order; files of a folder or glob in the order of their paths.

    Args:
        sources: Where to read.
        base: Folder that relative paths start from.

    Raises:
        DataError: a source is missing, empty, unreadable, not UTF-8 or not JSON lines.
        InputError: a URI has a scheme that this build cannot read.
    """
    documents = [
        document
        for source in sources
        for path in find_files(source, base)
        for document in _read(path, source)
    ]
    if not documents:
        raise DataError(
            "the data holds no text",
            where=", ".join(source.uri for source in sources),
            remedy="Give files with at least a few thousand characters.",
        )
    return documents


def find_files(source: Source, base: Path) -> list[Path]:
    """The files of a source in the order of their paths; hidden ones inside a folder are left out.

    Raises:
        DataError: there are none, or a folder cannot be read.
        InputError: the URI has a scheme that this build cannot read.
    """
    path = local_path(source.uri, base)
    try:
        if path.is_dir():
            found = _in_folder(path)
        elif path.exists():
            found = [path]
        elif GLOB_CHARACTERS & set(source.uri):
            found = _matches(source.uri, base)
        else:
            raise DataError(
                "no such file or folder",
                where=str(path),
                remedy="Correct the uri; a relative one starts from the folder of the job file.",
            )
    except OSError as error:
        raise DataError(
            f"cannot be read: {error.strerror}",
            where=str(error.filename or path),
            remedy="Correct the uri, or make every folder on its way readable.",
        ) from error
    if not found:
        raise DataError("there are no files", where=str(path), remedy="Put files there, or correct the uri.")
    return sorted(found)


def _in_folder(folder: Path) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise error

    found = []
    for top, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not _is_hidden(name)]
        found += [Path(top, name) for name in names if not _is_hidden(name)]
    return [path for path in found if path.is_file()]


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "_"))


def _matches(uri: str, base: Path) -> list[Path]:
    # Relative to the base, so that brackets in the base's own name are no pattern.
    pattern = str(local_path(uri, Path()))
    found = (base / match for match in glob.glob(pattern, root_dir=base, recursive=True))  # noqa: PTH207 (absolute patterns)
    return [path for path in found if path.is_file()]


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
            remedy="Give a local path or a file:// URI.",
        )
    # Path.expanduser raises where there is no such user; this leaves the path as it is.
    return base / os.path.expanduser(uri.removeprefix("file://"))  # noqa: PTH111


def _read(path: Path, source: Source) -> Iterator[str]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"cannot be read: {error.strerror}",
            where=str(path),
            remedy="Check that the file exists and is readable.",
        ) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"is not UTF-8 (byte {content[error.start]:#04x} at offset {error.start})",
            where=str(path),
            remedy="Convert the file to UTF-8, for example with iconv, or leave it out.",
        ) from error
    if source.format == "JsonLines":
        yield from _lines(text, path, source.field or "text")
    elif text:
        yield text


def _lines(text: str, path: Path, field: str) -> Iterator[str]:
    # Only "\n" ends a line of JSON lines; str.splitlines would also break at U+2028 inside a string.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(
                "is not a JSON object; the line may be cut off",
                where=where,
                remedy="Write one complete JSON object per line.",
            ) from error
        document = value.get(field) if isinstance(value, dict) else None
        if not isinstance(document, str):
            known = f"the keys {sorted(value)[:8]}" if isinstance(value, dict) else f"no keys: {line[:40]!r}"
            raise DataError(
                f"has no text under the key {field!r}; it has {known}",
                where=where,
                remedy="Name the key that holds the text in the source's `field`.",
            )
        try:
            to_utf8(document)
        except DataError as error:
            raise DataError(error.what, where=where, remedy=error.remedy) from error
        if document:
            yield document
