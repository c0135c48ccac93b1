"""The errors of S3 servers and of boto3 in raygen's words.

Nothing that a server or boto3 says is passed on but the error's code: their texts may hold addresses with
a password in them, key ids and signatures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from raygen.errors import OutputError
from raygen.storage.base import NotFoundError

FAILURES = (boto.BotoCoreError, boto.ClientError, ResponseParserError, HTTPError)
"""All that a request can raise."""

_TRANSIENT_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_TRANSIENT_CODES = frozenset(
    {
        # Two conditional writes of one key met, or a bucket is being changed; S3 asks to try again.
        "ConditionalRequestConflict",
        "OperationAborted",
        # The request was damaged on its way.
        "BadDigest",
        "IncompleteBody",
        "XAmzContentChecksumMismatch",
        "XAmzContentSHA256Mismatch",
        "RequestTimeout",
    }
)
_TRANSIENT = (
    boto.HTTPClientError,
    boto.ConnectionError,
    boto.IncompleteReadError,
    boto.FlexibleChecksumError,
    HTTPError,
)
_THROTTLED = frozenset({"SlowDown", "ServiceUnavailable", "Throttling", "ThrottlingException", "429", "503"})

_NO_BUCKET = ("there is no such bucket", "Create it, or correct the uri.")
_REFUSED = (
    "the credentials are refused",
    "Correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile that AWS_PROFILE names.",
)
_EXPIRED = ("the credentials have expired", "Get new ones, then run the same again.")
_MISSING = (
    "there are no credentials",
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give this machine a role.",
)
_DENIED = (
    "access is denied",
    "Give these credentials s3:ListBucket and s3:GetObject; for an output s3:PutObject and s3:DeleteObject too.",
)
_REGION = ("the bucket is in another region", "Set AWS_REGION to the bucket's region.")
_CLOCK = ("this machine's clock is wrong", "Set the clock, then run the same again.")
_FULL = (
    "the storage or its quota is full",
    "Free some space or choose another output, then run the same again.",
)
_BUSY = ("the storage asks for fewer requests", "Run the same again later.")
_IN_THE_WAY = (
    "another object stands where a folder is needed, or a folder where an object is",
    "Delete that object, or choose another output.",
)
_CONDITION = (
    "the server does not know conditional writes (If-None-Match)",
    "Use a server that does, since two runs could overwrite each other; or switch them on there.",
)
_UNREACHABLE = (
    "the endpoint {endpoint} does not answer",
    "Check AWS_ENDPOINT_URL, the network and the server, then run the same again.",
)
_CERTIFICATE = (
    "the certificate of the endpoint {endpoint} is not trusted",
    "Set AWS_CA_BUNDLE to the file of its authority, or correct AWS_ENDPOINT_URL.",
)

_CODES = {
    "NoSuchBucket": _NO_BUCKET,
    "InvalidBucketName": _NO_BUCKET,
    "InvalidAccessKeyId": _REFUSED,
    "SignatureDoesNotMatch": _REFUSED,
    "InvalidToken": _REFUSED,
    "XAdminUserNotFound": _REFUSED,
    "ExpiredToken": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "403": _DENIED,
    "PermanentRedirect": _REGION,
    "TemporaryRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "301": _REGION,
    "RequestTimeTooSkewed": _CLOCK,
    "QuotaExceeded": _FULL,
    "InsufficientStorage": _FULL,
    "XMinioStorageFull": _FULL,
    "507": _FULL,
    "EntityTooLarge": ("the storage takes no object of this size", "Choose another output."),
    "ExistingObjectIsDirectory": _IN_THE_WAY,
    "ObjectParentIsFile": _IN_THE_WAY,
    "NotImplemented": _CONDITION,
    **dict.fromkeys(_THROTTLED, _BUSY),
}
_KINDS = {
    _NO_BUCKET: "bucket",
    _REFUSED: "refused",
    _EXPIRED: "expired",
    _MISSING: "missing",
    _DENIED: "denied",
    _REGION: "region",
    _FULL: "full",
    _UNREACHABLE: "unreachable",
    _CERTIFICATE: "certificate",
}
_NO_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.NoAuthTokenError,
    boto.SSOError,
    boto.TokenRetrievalError,
    boto.ProfileNotFound,
)


def code_of(error: BaseException) -> str:
    """The error code of a server's answer, its status where it has no body; "" if there was no answer."""
    return str(error.response["Error"].get("Code", "")) if isinstance(error, boto.ClientError) else ""


def status_of(error: BaseException) -> int:
    """The HTTP status of a server's answer, 0 if there was none."""
    if not isinstance(error, boto.ClientError):
        return 0
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed a little later."""
    if isinstance(error, boto.ClientError):
        return status_of(error) in _TRANSIENT_STATUS or code_of(error) in _TRANSIENT_CODES
    if isinstance(error, ResponseParserError):
        return True  # an answer that was cut off
    return isinstance(error, _TRANSIENT) and not isinstance(error, boto.SSLError)


def is_throttled(error: BaseException) -> bool:
    """Whether the server asks for fewer requests."""
    return code_of(error) in _THROTTLED


@contextmanager
def explained(where: str, done: str, endpoint: str) -> Iterator[None]:
    """Turns what a request raises into NotFoundError or OutputError.

    Args:
        where: The object, as a person would write it.
        done: What could not be done, as a participle: "written".
        endpoint: Host and port of the server.
    """
    try:
        yield
    except FAILURES as error:
        refuse(error, where, done, endpoint)


def refuse(error: BaseException, where: str, done: str, endpoint: str) -> NoReturn:
    """Raises `error` in raygen's words; see `explained`."""
    if code_of(error) in ("NoSuchKey", "404"):
        raise NotFoundError("there is no such object", where=where) from error
    cause, remedy = _words(error)
    raise OutputError(
        f"cannot be {done}: {cause.format(endpoint=endpoint)}", where=where, remedy=remedy
    ) from error


def kind_of(error: BaseException | None) -> str:
    """What is wrong, in one word of `raygen.storage.probe.KINDS`."""
    return "other" if error is None else _KINDS.get(_words(error), "other")


def _words(error: BaseException) -> tuple[str, str]:
    """Cause and remedy."""
    code = code_of(error)
    if isinstance(error, boto.ClientError):
        shown = code if re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,60}", code) else ""
        answer = f"the server answers {status_of(error)} {shown}".strip()
        return _CODES.get(code, (answer, "Look that up in the server's manual or log."))
    if isinstance(error, _NO_CREDENTIALS):
        return _MISSING
    if isinstance(error, boto.SSLError):
        return _CERTIFICATE
    if is_transient(error):
        return _UNREACHABLE
    return (f"boto3 raises {type(error).__name__}", "Check AWS_ENDPOINT_URL, AWS_REGION and AWS_CONFIG_FILE.")
