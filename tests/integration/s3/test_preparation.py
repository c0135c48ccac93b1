"""Sources in an object store are known by the tags that the server gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from raygen.errors import DataError
from raygen.preparation import sources
from raygen.storage import open_storage
from tests.integration.s3.conftest import fresh
from tests.prepared import documents, prepared, text_job


@pytest.mark.parametrize("many", [2, 100])
def test_an_object_that_was_replaced_is_other_data(
    tmp_path: Path, aws: dict[str, str], monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    monkeypatch.setattr(sources, "MANY", many)
    uri = fresh()
    storage = open_storage(uri)
    texts = {f"a/{number}.txt": text for number, text in enumerate(documents(12, words=300))}
    for key, text in texts.items():
        storage.write(key, text.encode())
    job = text_job(data__train={"sources": [{"uri": f"{uri}/a/*.txt"}]}, data__validation={"fraction": 0.3})
    assert prepared(job, tmp_path).new
    assert not prepared(job, tmp_path).new
    storage.write("a/7.txt", texts["a/7.txt"].swapcase().encode())
    with pytest.raises(DataError, match="other sources"):
        prepared(job, tmp_path)
    storage.write("a/7.txt", texts["a/7.txt"].encode())
    assert not prepared(job, tmp_path).new
