from __future__ import annotations

import pytest
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError
from urllib3.exceptions import ProtocolError

from raygen.errors import OutputError
from raygen.storage import NotFoundError
from raygen.storage.s3.faults import explained, is_throttled, is_transient

SECRET = "a-secret-in-the-server's-answer"  # noqa: S105


def answer(code: str, status: int) -> boto.ClientError:
    details = {"Code": code, "Message": SECRET, "AWSAccessKeyId": SECRET}
    response = {"Error": details, "ResponseMetadata": {"HTTPStatusCode": status}}
    return boto.ClientError(response, "GetObject")


def refused(error: Exception) -> OutputError:
    """The error in raygen's words, with nothing of the server's or boto3's."""
    with pytest.raises(OutputError) as caught, explained("s3://b/k", "written", "host:1"):
        raise error
    assert caught.value.where == "s3://b/k"
    assert caught.value.what.startswith("cannot be written: ")
    assert caught.value.remedy
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is error
    return caught.value


@pytest.mark.parametrize(
    ("code", "status", "words", "remedy"),
    [
        ("NoSuchBucket", 404, "there is no such bucket", "Create it"),
        ("AccessDenied", 403, "access is denied", "s3:GetObject"),
        ("403", 403, "access is denied", "s3:PutObject"),
        ("InvalidAccessKeyId", 403, "the credentials are refused", "AWS_ACCESS_KEY_ID"),
        ("SignatureDoesNotMatch", 403, "the credentials are refused", "AWS_PROFILE"),
        ("ExpiredToken", 400, "the credentials have expired", "Get new ones"),
        ("PermanentRedirect", 301, "the bucket is in another region", "AWS_REGION"),
        ("AuthorizationHeaderMalformed", 400, "the bucket is in another region", "AWS_REGION"),
        ("RequestTimeTooSkewed", 403, "clock is wrong", "Set the clock"),
        ("QuotaExceeded", 403, "full", "Free some space"),
        ("507", 507, "full", "Free some space"),
        ("EntityTooLarge", 400, "no object of this size", "another output"),
        ("SlowDown", 503, "asks for fewer requests", "later"),
        ("NotImplemented", 501, "does not know conditional writes", "Use a server that does"),
        ("ObjectParentIsFile", 409, "stands where", "Delete that object"),
        ("MalformedXML", 400, "the server answers 400 MalformedXML", "manual"),
        ("<secret>", 418, "the server answers 418", "manual"),
    ],
)
def test_a_server_s_answer_is_explained(code: str, status: int, words: str, remedy: str) -> None:
    error = refused(answer(code, status))
    assert words in error.what
    assert code in error.what or "<" not in error.what
    assert remedy in error.remedy


@pytest.mark.parametrize(
    ("error", "words", "remedy"),
    [
        (boto.NoCredentialsError(), "there are no credentials", "AWS_ACCESS_KEY_ID"),
        (
            boto.PartialCredentialsError(provider="env", cred_var=SECRET),
            "there are no credentials",
            "AWS_PROFILE",
        ),
        (boto.EndpointConnectionError(endpoint_url=SECRET), "host:1 does not answer", "AWS_ENDPOINT_URL"),
        (boto.ConnectTimeoutError(endpoint_url=SECRET), "host:1 does not answer", "network"),
        (boto.ReadTimeoutError(endpoint_url=SECRET), "host:1 does not answer", "network"),
        (ProtocolError(SECRET), "host:1 does not answer", "server"),
        (boto.SSLError(endpoint_url=SECRET, error=SECRET), "host:1 is not trusted", "AWS_CA_BUNDLE"),
        (boto.ParamValidationError(report=SECRET), "boto3 raises ParamValidationError", "AWS_CONFIG_FILE"),
    ],
)
def test_what_boto3_raises_is_explained(error: Exception, words: str, remedy: str) -> None:
    shown = refused(error)
    assert words in shown.what
    assert remedy in shown.remedy


@pytest.mark.parametrize("code", ["NoSuchKey", "404"])
def test_a_missing_object_is_named(code: str) -> None:
    with pytest.raises(NotFoundError, match="no such object"), explained("s3://b/k", "read", "host"):
        raise answer(code, 404)


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (answer("InternalError", 500), True),
        (answer("SlowDown", 503), True),
        (answer("ConditionalRequestConflict", 409), True),
        (answer("BadDigest", 400), True),
        (answer("PreconditionFailed", 412), False),
        (answer("AccessDenied", 403), False),
        (answer("NoSuchUpload", 404), False),
        (boto.EndpointConnectionError(endpoint_url=""), True),
        (boto.ConnectionClosedError(endpoint_url=""), True),
        (boto.ResponseStreamingError(error=""), True),
        (boto.IncompleteReadError(actual_bytes=1, expected_bytes=2), True),
        (boto.FlexibleChecksumError(error_msg=""), True),
        (ResponseParserError(), True),
        (boto.SSLError(endpoint_url="", error=""), False),
        (boto.NoCredentialsError(), False),
    ],
)
def test_what_may_pass_by_itself(error: Exception, transient: bool) -> None:
    assert is_transient(error) is transient


def test_only_a_server_that_asks_for_it_gets_longer_waits() -> None:
    assert is_throttled(answer("SlowDown", 503))
    assert not is_throttled(answer("InternalError", 500))
