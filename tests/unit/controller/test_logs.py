"""The operator's log for machines: one JSON object a line, which names its job."""

from __future__ import annotations

import json
import logging
import threading
import warnings
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from raygen.controller import logs


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == "", "stdout is for results"
    return [json.loads(line) for line in captured.err.splitlines()]


def test_a_line_says_when_who_and_of_which_job(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json")
    log = logging.getLogger("raygen.operator.process")
    log.info("ready: %d jobs", 3)
    with logs.about("team", "tiny", 2):
        log.warning("two\nlines")
    with logs.about("team", "new"):
        log.debug("is not told")
        log.error("no attempt yet")
    ready, tiny, new = lines(capsys)
    assert datetime.fromisoformat(ready.pop("time")).utcoffset() is not None
    assert ready == {"level": "info", "logger": "raygen.operator.process", "message": "ready: 3 jobs"}
    assert {name: tiny[name] for name in ("namespace", "job", "attempt", "message", "level")} == {
        "namespace": "team",
        "job": "tiny",
        "attempt": 2,
        "message": "two\nlines",
        "level": "warning",
    }
    assert new["job"] == "new"
    assert "attempt" not in new


def test_an_exception_keeps_its_traceback_on_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json")
    try:
        raise ValueError("odd")
    except ValueError:
        logging.getLogger("raygen").exception("a fault")
    (line,) = lines(capsys)
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: odd")


def test_threads_are_at_jobs_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json")
    log = logging.getLogger("raygen")
    with logs.about("team", "mine"):
        other = threading.Thread(target=lambda: log.info("another thread's"))
        other.start()
        other.join()
    log.info("after")
    assert all("job" not in line for line in lines(capsys))


def test_warnings_are_lines_too(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    (line,) = lines(capsys)
    assert "DeprecationWarning: old" in line["message"]


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    with logs.about("team", "tiny"):
        logging.getLogger("raygen").info("ready")
    assert capsys.readouterr().err.endswith(" INFO ready\n")


def test_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="none of text, json"):
        logs.configure("xml")
