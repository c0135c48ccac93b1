"""A cluster in which a job trains."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.client.stub import Cluster, job, serving


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """An API server over HTTP."""
    made = Cluster(job())
    with serving(made.answer) as made.url:
        yield made
