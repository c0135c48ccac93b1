"""How pyarrow reads files: by its own client where they are in an object store, so that columns are fetched in parallel.

That client knows AWS's variables in part only (no addressing style, no profile with a role), so everything that
it needs comes from boto3's answer to the same question (`raygen.storage.s3.client.Reach`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from raygen.data.sources.files import AnyFile, File

if TYPE_CHECKING:
    from raygen.storage.s3.client import Reach

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0


def input_file(file: AnyFile) -> Any:
    """What pyarrow's readers take: a path, or an open file of its own kind.

    Raises:
        OSError: It cannot be opened.
    """
    if isinstance(file, File):
        return file.path
    return s3_filesystem(file.storage.reach()).open_input_file(str(file).removeprefix("s3://"))


@lru_cache(maxsize=4)
def s3_filesystem(reach: Reach) -> Any:
    """Pyarrow's client for the server and the credentials that boto3 uses."""
    from pyarrow.fs import S3FileSystem

    server = urlsplit(reach.endpoint)
    options: dict[str, Any] = {"tls_ca_file_path": reach.authority} if reach.authority else {}
    if reach.custom:
        options |= {"scheme": server.scheme, "endpoint_override": server.netloc.rpartition("@")[2]}
    return S3FileSystem(
        access_key=reach.access_key,
        secret_key=reach.secret_key,
        session_token=reach.token,
        region=reach.region,
        force_virtual_addressing=reach.virtual,
        connect_timeout=CONNECT_SECONDS,
        request_timeout=ANSWER_SECONDS,
        **options,
    )


def reason(error: BaseException) -> str:
    """What an error of pyarrow says: its first line, or of a server's answer the code alone."""
    if answer := re.search(r"AWS Error (\w+)", str(error)):
        return f"the server answers {answer[1]}"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
