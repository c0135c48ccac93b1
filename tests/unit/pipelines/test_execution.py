from __future__ import annotations

import json

from raygen.errors import DataError, RunError
from raygen.pipelines.execution import document_of, error_of


def test_an_error_that_a_worker_tells_is_the_same_error() -> None:
    error = DataError("is gone", where="here", remedy="Restore it.")
    again = error_of(json.loads(json.dumps(document_of(error))))
    assert type(again) is DataError
    assert (again.what, again.where, again.remedy) == (error.what, error.where, error.remedy)


def test_an_error_of_another_version_is_an_error_of_the_run() -> None:
    told = document_of(DataError("is gone")) | {"error": "NotYetKnownError"}
    assert type(error_of(told)) is RunError
