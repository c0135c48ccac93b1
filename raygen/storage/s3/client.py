"""One connection to an S3 server: where it is and who we are by AWS's own variables, and how long to try.

AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION, AWS_PROFILE, AWS_CA_BUNDLE, the files of AWS's command line
(`addressing_style` is there) and its chain of credentials are boto3's business; nothing of it is a setting of a job.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from raygen.errors import InputError
from raygen.storage.s3.faults import FAILURES, is_throttled, is_transient, status_of

T = TypeVar("T")

CONCURRENCY = 8
"""Parts of one upload on their way at a time."""

_CONNECT_SECONDS = 5
_FIRST_ANSWER_SECONDS = 10
_ANSWER_SECONDS = 60


@dataclass(frozen=True)
class Patience:
    """How long a request is repeated.

    An endpoint that has never answered is most likely a mistake, so it gets few attempts, and a run ends in
    seconds. One that has answered gets the time of a restart.

    Attributes:
        first_attempts: Until the first answer.
        seconds: From a request's first failure, after that.
        base: Seconds; the mean wait doubles from half of this.
        throttled_base: The same where the server asks for fewer requests.
        longest: Seconds of a single wait at most.
    """

    first_attempts: int = 3
    seconds: float = 90.0
    base: float = 0.1
    throttled_base: float = 1.0
    longest: float = 10.0

    def wait(self, attempt: int, *, throttled: bool) -> float:
        """Seconds before the next attempt, evenly drawn from 0 on, so that many clients do not come back at once."""
        base = self.throttled_base if throttled else self.base
        return random.random() * min(base * 2.0 ** min(attempt - 1, 30), self.longest)


@dataclass(frozen=True)
class Reach:
    """How another library gets at the same objects.

    Attributes:
        endpoint: URL of the server.
        custom: Whether that was asked for, so that AWS's own addresses do not apply.
        region: Of the bucket.
        virtual: Whether the bucket's name is part of the host's.
        access_key: Of the chain of credentials; None without any.
        secret_key: The same.
        token: Of temporary credentials.
        authority: File of certificates, or None for the system's.
    """

    endpoint: str
    custom: bool
    region: str
    virtual: bool
    access_key: str | None
    secret_key: str | None
    token: str | None
    authority: str | None

    def __repr__(self) -> str:
        return f"Reach({urlsplit(self.endpoint).hostname})"


class Connection:
    """A client that any thread may use.

    botocore's own repetitions are switched off: they share a budget between all threads of a client, which the
    parts of one upload use up within a second, and they cover neither bodies that are cut off nor 409.

    Raises:
        InputError: endpoint, profile or another setting is malformed.
    """

    def __init__(self, patience: Patience = Patience()) -> None:
        self.patience = patience
        self.conditional: set[str] = set()
        """Buckets that were seen to refuse a second conditional write."""
        self._answered = False
        try:
            self._core = botocore.session.get_session()
            self._session = boto3.session.Session(botocore_session=self._core)
            self._quick = self._client(_FIRST_ANSWER_SECONDS)
            self._patient = self._client(_ANSWER_SECONDS)
        except (BotoCoreError, ValueError) as error:
            raise InputError(
                f"S3 cannot be set up: {type(error).__name__}",
                where="AWS_ENDPOINT_URL, AWS_REGION, AWS_PROFILE, AWS_CONFIG_FILE",
                remedy="Correct these variables, or the files that they name.",
            ) from error

    @property
    def endpoint(self) -> str:
        """Host and port of the server, for messages."""
        parts = urlsplit(self._patient.meta.endpoint_url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)

    def reach(self) -> Reach:
        """How another library gets at the same objects, with the credentials of now."""
        meta, found = self._patient.meta, self._session.get_credentials()
        frozen = found.get_frozen_credentials() if found is not None else None
        style = (meta.config.s3 or {}).get("addressing_style")
        host = urlsplit(meta.endpoint_url).hostname or ""
        return Reach(
            endpoint=meta.endpoint_url,
            custom=style == "path" or not host.endswith((".amazonaws.com", ".amazonaws.com.cn")),
            region=meta.region_name or "us-east-1",
            virtual=style == "virtual",
            access_key=frozen.access_key if frozen else None,
            secret_key=frozen.secret_key if frozen else None,
            token=frozen.token if frozen else None,
            authority=self._core.get_config_variable("ca_bundle"),
        )

    def run(self, action: Callable[[Any], T], cancelled: threading.Event | None = None) -> T:
        """What `action` gives, given the client; called again where the same may succeed a little later.

        Args:
            action: One request, reading of the answer's body included. It may have taken effect although
                it raises, since an answer can get lost.
            cancelled: Once it is set, nothing is repeated.

        Raises:
            Exception: One of `s3_faults.FAILURES`, the last attempt's.
        """
        cancelled = cancelled or threading.Event()
        deadline: float | None = None
        attempt = 0
        while True:
            attempt += 1
            try:
                result = action(self._patient if self._answered else self._quick)
            except FAILURES as error:
                if 200 <= status_of(error) < 500:
                    self._answered = True
                now = time.monotonic()
                deadline = deadline or now + self.patience.seconds
                over = now >= deadline if self._answered else attempt >= self.patience.first_attempts
                if over or not is_transient(error):
                    raise
                if cancelled.wait(self.patience.wait(attempt, throttled=is_throttled(error))):
                    raise
            else:
                self._answered = True
                return result

    def _client(self, seconds: int) -> Any:
        return self._session.client(
            "s3",
            # boto3 itself reads AWS_DEFAULT_REGION only; AWS's other clients read AWS_REGION.
            region_name=os.environ.get("AWS_REGION") or self._session.region_name or "us-east-1",
            config=Config(
                connect_timeout=_CONNECT_SECONDS,
                read_timeout=seconds,
                retries={"mode": "standard", "total_max_attempts": 1},
                max_pool_connections=4 * CONCURRENCY,
                tcp_keepalive=True,
            ),
        )


def connect() -> Connection:
    """The connection that the environment describes; one for all storages of this process."""
    settings = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_")))
    return _connection(os.getpid(), settings)


@lru_cache(maxsize=4)
def _connection(process: int, settings: tuple[tuple[str, str], ...]) -> Connection:  # noqa: ARG001 (keys)
    return Connection()
