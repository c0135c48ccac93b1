"""A context goes to other processes, whatever it has opened in this one."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from raygen.preparation.context import Context
from tests.prepared import text_job


@pytest.mark.parametrize("uri", ["prepared", "s3://bucket/prepared"])
def test_what_was_opened_stays_in_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-1")
    job = text_job(preparation={"uri": uri})
    context = Context(job.model_dump_json(exclude_none=True), str(tmp_path), "0" * 64)
    assert context.work.uri.startswith(context.place.uri)
    sent = pickle.loads(pickle.dumps(context))  # noqa: S301 (our own)
    assert vars(sent) == {"document": context.document, "base": context.base, "recipe": context.recipe}
    assert sent.work.uri == context.work.uri
