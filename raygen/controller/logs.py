"""The operator's log: lines for people, or JSON objects for machines, which name the job that a line is about."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

Format = Literal["text", "json"]
FORMATS: tuple[str, ...] = get_args(Format)


@dataclass(frozen=True)
class Subject:
    """What a thread is at.

    Attributes:
        namespace: The object's.
        job: Its name.
        attempt: Number of its newest attempt; None before the first, and of kinds that have none.
        kind: Its kind; None where that is not known.
    """

    namespace: str
    job: str
    attempt: int | None = None
    kind: str | None = None


_subject: ContextVar[Subject | None] = ContextVar("subject", default=None)


@contextmanager
def about(namespace: str, job: str, attempt: int | None = None, *, kind: str | None = None) -> Iterator[None]:
    """What this thread logs meanwhile is about an object: mostly a job, by its namespace and name."""
    token = _subject.set(Subject(namespace, job, attempt, kind))
    try:
        yield
    finally:
        _subject.reset(token)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, and where they are known namespace, job, attempt,
    kind and exception.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        subject = _subject.get()
        if subject is not None:
            line |= {name: value for name, value in vars(subject).items() if value is not None}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure(format: str = "text") -> None:  # noqa: A002 (the option's own name)
    """Sends the log of this process to stderr, from INFO on, warnings of Python's too; whatever was set before goes.

    Args:
        format: `text` or `json`.

    Raises:
        ValueError: It is neither.
    """
    if format not in FORMATS:
        raise ValueError(f"the format {format!r} is none of {', '.join(FORMATS)}")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter() if format == "json" else logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
