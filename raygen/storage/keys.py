"""Names of objects: which keys are allowed, and how a training step is spelled in one."""

from __future__ import annotations

import re

from raygen.errors import InputError

TEMPORARY_PREFIX = ".raygen-tmp-"
"""Begins the name of an object that is still being written; no key may have such a segment."""

_STEP = re.compile(r"step-(\d{8,})", re.ASCII)


def check_key(key: str) -> None:
    """Refuses a key that is empty, absolute, or could lead out of its storage.

    Raises:
        InputError: Naming the key and the rule it breaks.
    """
    if fault := _fault(key):
        raise InputError(
            f"the object name {key!r} {fault}",
            remedy="Use a relative name such as 'samples/step-00000100/text.jsonl'.",
        )


def check_prefix(prefix: str) -> None:
    """Refuses a prefix that is neither empty nor a key followed by one slash."""
    if prefix:
        check_key(prefix.removesuffix("/"))
        if not prefix.endswith("/"):
            raise InputError(f"the prefix {prefix!r} does not end with '/'", remedy="End it with '/'.")


def step_folder(step: int) -> str:
    """The folder name of a step, which sorts like the number up to eight digits: `step-00002000`."""
    return f"step-{step:08d}"


def step_of(folder: str) -> int | None:
    """The step that `step_folder` spelled as `folder`, or None for any other name."""
    match = _STEP.fullmatch(folder)
    if match is None or step_folder(int(match[1])) != folder:
        return None
    return int(match[1])


def _fault(key: str) -> str:
    if not key:
        return "is empty"
    if key.startswith("/"):
        return "is absolute"
    if re.search(r"[\0\\\ud800-\udfff]", key):
        return "has a NUL, a backslash or a lone surrogate in it"
    segments = key.split("/")
    if any(segment in {"", ".", ".."} for segment in segments):
        return "has an empty, '.' or '..' segment"
    if any(segment.startswith(TEMPORARY_PREFIX) for segment in segments):
        return f"has a segment that begins with {TEMPORARY_PREFIX!r}, which unfinished objects use"
    return ""
