"""A fake endpoint for each test, and a key for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.evaluation.judge.fake import KEY, FakeEndpoint, serving


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEndpoint]:
    monkeypatch.setenv("JUDGE_TEST_KEY", KEY)
    with serving(FakeEndpoint()) as endpoint:
        yield endpoint
