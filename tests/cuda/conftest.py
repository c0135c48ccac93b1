"""Tests of what happens on a CUDA device. Without one they fail: skipped, they would prove nothing."""

from __future__ import annotations

import pytest
import torch


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--device", default="cuda", help="cpu tries these tests themselves, where they can run there"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        # PyTorch's compiler warns of things that its callers cannot change.
        item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> str:
    return str(request.config.getoption("--device", default="cuda"))


@pytest.fixture(scope="session", autouse=True)
def _there_is_one(device: str) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.fail("tests/cuda needs a CUDA device, and PyTorch finds none here", pytrace=False)
