"""Shared by all tests: a small job on a small text, and CI's rule that nothing is skipped."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

import pytest
import torch

from tests.jobs import write_images, write_text

CI = os.environ.get("CI") == "true"

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def pytest_configure() -> None:
    """Has this process and its children hear SIGINT, which shells have processes in the background ignore."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    # An expected failure is reported as skipped too.
    return report if hasattr(report, "wasxfail") else _not_skipped(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    return _not_skipped(report)


def _not_skipped(report: Report) -> Report:
    if CI and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"
    return report


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder with `text.txt`, about 9,000 characters; runs go to `runs` below it."""
    write_text(tmp_path / "text.txt")
    return tmp_path


@pytest.fixture
def image_base(tmp_path: Path) -> Path:
    """A folder with `images.parquet`, 120 grey images of three classes; runs go to `runs` below it."""
    write_images(tmp_path / "images.parquet")
    return tmp_path
