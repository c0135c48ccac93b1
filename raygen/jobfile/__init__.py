"""Reads job files: YAML 1.2 or JSON text to a TrainingJob or another kind, with the line of every fault; and writes them.

YAML 1.2's core schema decides what a plain word is (yaml.org/spec/1.2.2, chapter 10.3): 1e-3 is a number,
`no` is text, 2026-11-24 is text. Keys are unique, and aliases may not make a small file large.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from raygen.errors import JobFileError, ValidationError, without_secrets
from raygen.jobfile.json_text import compose_json
from raygen.jobfile.overrides import apply, override
from raygen.jobfile.text import MAX_BYTES, decode
from raygen.jobfile.tree import read
from raygen.jobfile.writer import dumps
from raygen.jobfile.yaml_text import compose_yaml
from raygen.spec import Kind, TrainingJob, parse_kind
from raygen.spec.schema.faults import spelled
from raygen.spec.schema.validate import Lines

__all__ = ["Loaded", "LoadedJob", "dumps", "kind_in", "load", "load_kind", "loads", "loads_kind", "override"]

K = TypeVar("K", bound=Kind)


@dataclass(frozen=True)
class Loaded(Generic[K]):
    """An object of a kind and where it came from.

    Attributes:
        value: The object, without resolved defaults.
        path: The file; relative source paths start from its folder.
        raw: Its content as JSON values, with overrides.
        lines: Line of each value in the file, by location.
    """

    value: K
    path: Path
    raw: dict[str, Any]
    lines: Lines = field(default_factory=dict, repr=False)

    @contextmanager
    def with_lines(self) -> Iterator[None]:
        """Faults of the object that are only found inside this context have their file and lines too."""
        try:
            yield
        except ValidationError as error:
            known = {spelled(location): line for location, line in self.lines.items()}
            error.where = error.where or str(self.path)
            error.faults = tuple(one.at(_line(one.path, known)) for one in error.faults)
            raise


class LoadedJob(Loaded[TrainingJob]):
    """A job and where it came from."""

    @property
    def job(self) -> TrainingJob:
        """The job, without resolved defaults."""
        return self.value


def load(path: str | Path, *, overrides: Sequence[str] = ()) -> LoadedJob:
    """Reads a job file; see `load_kind`."""
    return LoadedJob(**vars(load_kind(TrainingJob, path, overrides=overrides)))


def loads(content: bytes | str, name: str | Path = "job.yaml", *, overrides: Sequence[str] = ()) -> LoadedJob:
    """Reads the content of a job file; see `loads_kind`."""
    return LoadedJob(**vars(loads_kind(TrainingJob, content, name, overrides=overrides)))


def load_kind(kind: type[K], path: str | Path, *, overrides: Sequence[str] = ()) -> Loaded[K]:
    """Reads a file that holds an object of a kind.

    Args:
        kind: The kind's class.
        path: JSON if its name ends with .json, else YAML.
        overrides: `path=value` each, applied in this order; see `override`.

    Raises:
        JobFileError: the file cannot be read, or is neither YAML nor JSON.
        ValidationError: the object has faults; holds every one.
    """
    path = Path(path)
    return loads_kind(kind, _content(path, kind.noun), path, overrides=overrides)


def loads_kind(
    kind: type[K], content: bytes | str, name: str | Path, *, overrides: Sequence[str] = ()
) -> Loaded[K]:
    """Reads the content of such a file; `name` tells its format and stands in messages. See `load_kind`."""
    where = ascii(str(name))[1:-1]
    compose = compose_json if str(name).lower().endswith(".json") else compose_yaml
    document, lines, found = read(compose(decode(content, where), where), where)
    for location in apply(document, overrides, kind):
        lines[location] = None
    value = parse_kind(kind, document, lines, where=where, known=found)
    return Loaded(value, Path(name), document, lines)


def kind_in(path: str | Path) -> str | None:
    """The kind that a file says it holds; None where it says none, or is not read.

    Raises:
        JobFileError: the file cannot be read, or is neither YAML nor JSON.
    """
    path = Path(path)
    where = ascii(str(path))[1:-1]
    compose = compose_json if str(path).lower().endswith(".json") else compose_yaml
    document, _, _ = read(compose(decode(_content(path, TrainingJob.noun), where), where), where)
    kind = document.get("kind") if isinstance(document, dict) else None
    return kind if isinstance(kind, str) else None


def _line(path: str, known: Mapping[str, int | None]) -> int | None:
    """The line of a path, or of what it leads into; None where neither is in the file."""
    while path and path not in known:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return known.get(path)


def _content(path: Path, noun: str) -> bytes:
    where = ascii(without_secrets(str(path)))[1:-1]
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        problem, remedy = "there is no such file", f"Give the path of a {noun} file."
    except IsADirectoryError:
        problem, remedy = "is a folder", f"Give the path of a {noun} file in it."
    except PermissionError:
        problem, remedy = "may not be read", "Give this user permission to read it."
    except OSError as error:
        problem, remedy = f"cannot be read: {error.strerror}", "Check the disk, or copy the file elsewhere."
    except ValueError:
        problem, remedy = "is not a path", f"Give the path of a {noun} file."
    raise JobFileError(problem, where=where, remedy=remedy) from None
