"""Reads job files: YAML 1.2 or JSON text to a TrainingJob, with the line of every fault.

YAML 1.2's core schema decides what a plain word is (yaml.org/spec/1.2.2, chapter 10.3): 1e-3 is a number,
`no` is text, 2026-11-24 is text. Keys are unique, and anchors may not make a small file large.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from raygen.errors import JobFileError, ValidationError
from raygen.spec import Fault, TrainingJob, parse
from raygen.spec.faults import spelled

MAX_BYTES = 1 << 20
MAX_NODES = 100_000
MAX_DEPTH = 100

Location = tuple[str | int, ...]


class _Resolver(yaml.SafeLoader):
    """PyYAML's composer with the implicit types of YAML 1.2's core schema instead of YAML 1.1's."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (PyYAML's name)


for _tag, _pattern, _first in (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", list("-+0123456789")),
    (
        "float",
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        list("-+0123456789."),
    ),
):
    _Resolver.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


@dataclass(frozen=True)
class LoadedJob:
    """A job and where it came from.

    Attributes:
        job: The job, without resolved defaults.
        path: The file; relative source paths start from its folder.
        document: Its content as JSON values, with overrides.
    """

    job: TrainingJob
    path: Path
    document: dict[str, Any]


def load(path: str | Path, *, overrides: Sequence[str] = ()) -> LoadedJob:
    """Reads a job file.

    Args:
        path: YAML or JSON.
        overrides: `path=value` each, applied in this order; the value is YAML, `spec.` may be left out.

    Raises:
        JobFileError: the file cannot be read, or is no YAML.
        ValidationError: the job has faults.
    """
    path = Path(path)
    try:
        content = path.read_bytes() if path.is_file() else None
    except OSError as error:
        raise JobFileError(
            f"cannot be read: {error.strerror}", where=str(path), remedy="Check the file's permissions."
        ) from error
    except ValueError as error:
        raise JobFileError("is no path", where=ascii(str(path)), remedy="Give the path of a file.") from error
    if content is None:
        kind = "is a folder" if path.is_dir() else "no such file"
        raise JobFileError(kind, where=str(path), remedy="Give the path of a job file.")
    return loads(content, path, overrides=overrides)


def loads(content: bytes | str, path: Path = Path("job.yaml"), *, overrides: Sequence[str] = ()) -> LoadedJob:
    """Reads the content of a job file; see `load`."""
    document, lines, repeated = read_document(content, str(path))
    for override in overrides:
        apply_override(document, override)
    try:
        job = parse(document, lines, where=str(path))
    except ValidationError as error:
        raise ValidationError([*repeated, *error.faults], where=str(path)) from None
    if repeated:
        raise ValidationError(repeated, where=str(path))
    return LoadedJob(job, path, document)


def read_document(content: bytes | str, where: str) -> tuple[Any, dict[Location, int], list[Fault]]:
    """YAML text as JSON values.

    Returns:
        The values, the line of each, and a fault for each key that is there twice.

    Raises:
        JobFileError: the text is no YAML, or too large.
    """
    node = _compose(_decode(content, where), where)
    if node is None:
        raise JobFileError("the file is empty", where=where, remedy="Start from examples/01-gpt-tiny.yaml.")
    reader = _Reader(where)
    return reader.read(node, ()), reader.lines, reader.repeated


def _decode(content: bytes | str, where: str) -> str:
    if len(content) > MAX_BYTES:
        raise JobFileError(
            f"is larger than {MAX_BYTES >> 20} MiB", where=where, remedy="A job file is a few kilobytes."
        )
    if isinstance(content, str):
        return content
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise JobFileError(
            f"is not UTF-8 (byte {content[error.start]:#04x} at offset {error.start})",
            where=where,
            remedy="Save the file as UTF-8.",
        ) from error


def _compose(text: str, where: str) -> Node | None:
    try:
        loader = _Resolver(text)
        try:
            return loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        problem = error.problem or "cannot be read"
        remedy = "Correct the line; indentation is by spaces."
        if "single document" in str(error.context or ""):
            problem, remedy = "holds more than one document", "Keep one job in the file."
        raise JobFileError(f"is no YAML: {problem}", where=f"{where}{line}", remedy=remedy) from None
    except yaml.YAMLError as error:
        reason = str(error).splitlines()[0]
        raise JobFileError(f"is no YAML: {reason}", where=where, remedy="Save it as plain text.") from None
    except RecursionError:
        raise JobFileError("is nested too deeply", where=where, remedy="Remove the nesting.") from None


class _Reader:
    """Turns YAML nodes into JSON values, with bounds on what anchors may unfold to."""

    def __init__(self, where: str) -> None:
        self.lines: dict[Location, int] = {}
        self.repeated: list[Fault] = []
        self._where = where
        self._nodes = 0

    def read(self, node: Node, location: Location) -> Any:
        """The value of a node."""
        self._nodes += 1
        line = node.start_mark.line + 1
        if self._nodes > MAX_NODES or len(location) > MAX_DEPTH:
            raise JobFileError(
                "is too large or too deep, counting what its anchors repeat",
                where=f"{self._where}:{line}",
                remedy="Write the values out, without anchors.",
            )
        self.lines.setdefault(location, line)
        if isinstance(node, MappingNode):
            return self._mapping(node, location)
        if isinstance(node, SequenceNode):
            return [self.read(item, (*location, number)) for number, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: MappingNode, location: Location) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, ScalarNode):
                raise JobFileError(
                    "a key is no plain word", where=f"{self._where}:{line}", remedy="Use words as keys."
                )
            key = key_node.value
            place = (*location, key)
            if key in values:
                again = Fault(spelled(place), "", "is there twice", "Remove one of the two.", line)
                self.repeated.append(again)
                continue
            self.lines[place] = line
            values[key] = self.read(value_node, place)
        return values

    def _scalar(self, node: Node) -> Any:
        text = str(node.value)
        kind = node.tag.rpartition(":")[2]
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        if kind == "int":
            return _whole(text, f"{self._where}:{node.start_mark.line + 1}")
        if kind == "float":
            return float(text.replace(".inf", "inf").replace(".nan", "nan").lower().replace(".inf", "inf"))
        return text


def _whole(text: str, where: str) -> int:
    base = 8 if text.startswith("0o") else 16 if text.startswith("0x") else 10
    try:
        return int(text.removeprefix("0o").removeprefix("0x"), base)
    except ValueError:
        raise JobFileError(
            f"is no whole number: {text[:40]!r}", where=where, remedy="Write a smaller number."
        ) from None


def apply_override(document: Any, override: str) -> None:
    """Changes one value of a document, as `--set` does.

    Args:
        document: The content of a job file; changed in place.
        override: `path=value`; keys by dots, list items by number or, where they have one, by name:
            training.seed=3, data.train.sources[0].uri=x, evaluation.metrics[loss].type=Perplexity.

    Raises:
        JobFileError: it is not of that form, or the path does not fit the document.
    """
    path, equals, text = override.partition("=")
    keys = re.findall(r"[^.\[\]]+", path)
    if not equals or not keys:
        raise JobFileError(
            f"is not of the form path=value: {override[:80]!r}",
            where="--set",
            remedy="Write, for example, --set training.seed=3.",
        )
    if keys[0] not in ("spec", "metadata", "apiVersion", "kind"):
        keys.insert(0, "spec")
    value = read_document(text, "--set")[0] if text.strip() else None
    holder = document
    for key in keys[:-1]:
        holder = _step(holder, key, path)
    last = keys[-1]
    if isinstance(holder, list):
        holder[_index(holder, last, path)] = value
    elif isinstance(holder, dict):
        holder[last] = value
    else:
        raise _no_such_path(path, last)


def _step(holder: Any, key: str, path: str) -> Any:
    if isinstance(holder, list):
        return holder[_index(holder, key, path)]
    if isinstance(holder, dict):
        if holder.get(key) is None:
            holder[key] = {}
        return holder[key]
    raise _no_such_path(path, key)


def _index(holder: list[Any], key: str, path: str) -> int:
    if key.isdecimal() and int(key) < len(holder):
        return int(key)
    for number, item in enumerate(holder):
        if isinstance(item, dict) and item.get("name") == key:
            return number
    raise _no_such_path(path, key)


def _no_such_path(path: str, key: str) -> JobFileError:
    return JobFileError(
        f"{path} leads nowhere at {key!r}",
        where="--set",
        remedy="See docs/reference/trainingjob.md for the paths.",
    )
