"""What does not wait for pipelines of Ray Data."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from raygen.data.shards.dataset import PreparedData
from raygen.pipelines import reading
from raygen.pipelines.reading import Workers, pipelined
from tests.jobs import write_images
from tests.prepared import image_job, prepared


def test_the_first_window_does_not_wait_until_pipelines_have_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, over = threading.Event(), threading.Event()

    def never(*arguments: Any) -> Iterator[Any]:
        del arguments
        begun.set()
        assert over.wait(60)
        yield from ()

    monkeypatch.setattr(reading, "_tables", never)
    write_images(tmp_path / "images.parquet", count=40, size=16)
    job = image_job()
    prepared(job, tmp_path)
    with closing(PreparedData(job, tmp_path, open_pieces=pipelined(Workers(1, {})))) as data:
        assert len(data.train_batch(range(8))) == 8
        # They have begun on the window after it.
        assert begun.wait(60)
        over.set()
