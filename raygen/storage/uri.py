"""From a URI to the storage that holds it."""

from __future__ import annotations

import re
from pathlib import Path

from raygen.errors import InputError, MissingExtraError, without_secrets
from raygen.storage.base import Storage
from raygen.storage.local import LocalStorage

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)


def open_storage(uri: str) -> Storage:
    """Opens the storage at `uri`: a path, absolute or relative, `file:///absolute/path` or `s3://bucket/folder`.

    Nothing is created until the first write, and no server is asked until the first call.

    Raises:
        InputError: If the scheme is unknown or the URI is malformed.
        MissingExtraError: If the package that the scheme needs is not installed.
    """
    if not uri or "\0" in uri:
        raise InputError("the storage URI is empty or has a NUL in it", remedy="Give a folder: runs/")
    match = _SCHEME.fullmatch(uri)
    if match is None:
        return LocalStorage(_expanded(uri))
    scheme, rest = match[1].lower(), match[2]
    if scheme == "s3":
        return _s3(f"s3://{rest}")
    if scheme != "file":
        raise InputError(
            f"there is no storage for {scheme}://",
            where=without_secrets(uri),
            remedy="Use a local folder (a path, or file:///absolute/path), or s3://bucket/folder.",
        )
    if not rest.startswith("/") or re.search(r"[?#%]", rest):
        raise InputError(
            "a file URI has an absolute path and neither host, query, fragment nor percent escape",
            where=without_secrets(uri),
            remedy="Write file:///absolute/path, or the path alone.",
        )
    return LocalStorage(Path(rest))


def _s3(uri: str) -> Storage:
    try:
        from raygen.storage.s3.bucket import S3Storage
    except ModuleNotFoundError as error:
        if error.name not in ("boto3", "botocore", "urllib3"):
            raise
        raise MissingExtraError("boto3", "s3") from error
    return S3Storage(uri)


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(
            "this user has no home folder to put in place of ~", where=path, remedy="Write the path out."
        ) from None
