"""Reads job files: YAML 1.2 or JSON text to a TrainingJob, with the line of every fault; and writes them.

YAML 1.2's core schema decides what a plain word is (yaml.org/spec/1.2.2, chapter 10.3): 1e-3 is a number,
`no` is text, 2026-11-24 is text. Keys are unique, and aliases may not make a small file large.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raygen.errors import JobFileError
from raygen.jobfile.json_text import compose_json
from raygen.jobfile.overrides import apply, override
from raygen.jobfile.text import MAX_BYTES, decode
from raygen.jobfile.tree import read
from raygen.jobfile.writer import dumps
from raygen.jobfile.yaml_text import compose_yaml
from raygen.spec import TrainingJob, parse

__all__ = ["LoadedJob", "dumps", "load", "loads", "override"]


@dataclass(frozen=True)
class LoadedJob:
    """A job and where it came from.

    Attributes:
        job: The job, without resolved defaults.
        path: The file; relative source paths start from its folder.
        raw: Its content as JSON values, with overrides.
    """

    job: TrainingJob
    path: Path
    raw: dict[str, Any]


def load(path: str | Path, *, overrides: Sequence[str] = ()) -> LoadedJob:
    """Reads a job file.

    Args:
        path: JSON if its name ends with .json, else YAML.
        overrides: `path=value` each, applied in this order; see `override`.

    Raises:
        JobFileError: the file cannot be read, or is neither YAML nor JSON.
        ValidationError: the job has faults; holds every one.
    """
    path = Path(path)
    return loads(_content(path), path, overrides=overrides)


def loads(content: bytes | str, name: str | Path = "job.yaml", *, overrides: Sequence[str] = ()) -> LoadedJob:
    """Reads the content of a job file; `name` tells its format and stands in messages. See `load`."""
    where = ascii(str(name))[1:-1]
    compose = compose_json if str(name).lower().endswith(".json") else compose_yaml
    document, lines, found = read(compose(decode(content, where), where), where)
    for location in apply(document, overrides):
        lines[location] = None
    job = parse(document, lines, where=where, known=found)
    return LoadedJob(job, Path(name), document)


def _content(path: Path) -> bytes:
    where = ascii(str(path))[1:-1]
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        problem, remedy = "there is no such file", "Give the path of a job file."
    except IsADirectoryError:
        problem, remedy = "is a folder", "Give the path of a job file in it."
    except PermissionError:
        problem, remedy = "may not be read", "Give this user permission to read it."
    except OSError as error:
        problem, remedy = f"cannot be read: {error.strerror}", "Check the disk, or copy the file elsewhere."
    except ValueError:
        problem, remedy = "is no path", "Give the path of a job file."
    raise JobFileError(problem, where=where, remedy=remedy) from None
