"""Thousands of damaged job files: each is read, or explained."""

from __future__ import annotations

import json
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from raygen.errors import JobFileError, ValidationError
from raygen.jobfile import LoadedJob, loads
from tests.budget import examples
from tests.jobs import job_document
from tests.unit.spec.documents import mutated

TEXT = yaml.safe_dump(job_document(), sort_keys=False)
FRAGMENTS = [
    "&a ", "*a", "<<: *a\n", "!!python/name:os.system ", "!x ", "? ", ": ", "- ", "\t", "\n", "---\n", "...\n", "{", "}", "[", "]",
    "'", '"', "|\n", ">\n", "#", "%YAML 3\n", "\\", "1e-3", "1e999", "9" * 5000, "-1", ".nan", ".inf", "0x", "null", "~", "yes",
    "\x00", "\x07", "\x85", "\u2028", "\ufeff", "\U0001f600", "é", "[" * 150, "seed: 1\n", "  seed: 1\n", "steps", "@", "`", ",",
]  # fmt: skip


@st.composite
def damaged_texts(draw: st.DrawFn) -> str | bytes:
    """The text of a job with pieces put in, taken out, doubled or exchanged."""
    text = TEXT
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(start + draw(st.sampled_from([0, 1, 2, 7, 30, 200])), len(text))
        piece = draw(st.sampled_from(FRAGMENTS) | st.text(max_size=5) | st.just(text[start:end] * 2))
        text = text[:start] + piece + text[end:]
    content = text.encode("utf-8", "surrogatepass")
    if not draw(st.booleans()):
        return text
    place = draw(st.integers(0, len(content)))
    return content[:place] + draw(st.binary(max_size=3)) + content[place:]


@st.composite
def damaged_trees(draw: st.DrawFn) -> tuple[str, str]:
    """A job whose values were exchanged, written as JSON or YAML, with an alias now and then."""
    document = draw(mutated(st.builds(job_document)))
    if draw(st.booleans()):
        return json.dumps(document), "job.json"
    shared = document.get("spec") if isinstance(document, dict) else None
    if isinstance(shared, dict) and draw(st.booleans()):
        shared["again"] = shared.get(draw(st.sampled_from(["training", "data", "model"])))
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True), "job.yaml"


@examples(2000)
@given(damaged_texts())
def test_any_text_is_read_or_explained(content: str | bytes) -> None:
    _assert_explained(*_outcome(content, "job.yaml"))


@examples(1000)
@given(damaged_trees())
def test_any_tree_is_read_or_explained(file: tuple[str, str]) -> None:
    _assert_explained(*_outcome(*file))


@examples(300)
@given(st.binary(max_size=40), st.sampled_from(["job.yaml", "job.json"]))
def test_any_bytes_are_explained(content: bytes, name: str) -> None:
    job, error = _outcome(content, name)
    assert job is None
    _assert_explained(job, error)


@examples(300)
@given(
    st.text(max_size=20),
    st.sampled_from(["", "training.", "metadata.labels", "data.train.sources[0]"]),
    st.text(max_size=8),
)
def test_any_override_is_carried_out_or_explained(path: str, prefix: str, value: str) -> None:
    _assert_explained(*_outcome(TEXT, "job.yaml", overrides=[f"{prefix}{path}={value}"]))


def _outcome(content: str | bytes, name: str, **options: Any) -> tuple[LoadedJob | None, Exception | None]:
    try:
        return loads(content, name, **options), None
    except (JobFileError, ValidationError) as error:
        return None, error


def _assert_explained(job: LoadedJob | None, error: Exception | None) -> None:
    assert (job is None) == (error is not None)
    if isinstance(error, JobFileError):
        assert error.what
        assert error.where
        assert error.remedy
    if isinstance(error, ValidationError):
        assert error.faults
        for fault in error.faults:
            assert fault.path
            assert fault.rule
            assert fault.remedy
            assert len(str(fault)) < 600
    str(error).encode()
