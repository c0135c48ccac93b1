"""Changes single values of a job's document, as `--set path=value` does."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any

from raygen.errors import JobFileError, ValidationError
from raygen.jobfile.text import decode
from raygen.jobfile.tree import read
from raygen.jobfile.yaml_text import compose_yaml
from raygen.spec import Kind, TrainingJob
from raygen.spec.schema.faults import Fault, Location, shown
from raygen.spec.schema.paths import WrongPathError, assign, malformed, parts_of


def override(raw: object, assignments: Sequence[str], kind: type[Kind] = TrainingJob) -> Any:
    """A document with some values changed.

    Args:
        raw: The content of a file; it is not changed.
        assignments: `path=value` each, applied in this order. Keys are joined by dots, and `spec.` may be
            left out; list items are named by position or, where they have one, by name:
            `training.seed=3`, `data.train.sources[0].uri=x`, `evaluation.metrics[loss].type=Perplexity`.
            Objects on the way that are missing are made. The value is YAML.
        kind: What the file holds.

    Raises:
        ValidationError: holds a fault for each that has no value or whose path leads nowhere.
    """
    changed = copy.deepcopy(raw)
    apply(changed, assignments, kind)
    return changed


def apply(document: object, assignments: Sequence[str], kind: type[Kind]) -> list[Location]:
    """Changes a document in place; see `override`. Returns the locations that were set."""
    locations: list[Location] = []
    faults: list[Fault] = []
    for assignment in assignments:
        try:
            path, text = _split(assignment, kind)
            # A path that is none comes before a value that is none.
            parts_of(path, kind)
            locations.append(assign(document, path, _value(path, text), kind)[0])
        except WrongPathError as wrong:
            faults.append(wrong.fault)
    if faults:
        raise ValidationError(faults, where="--set", noun=kind.noun)
    return locations


def _split(assignment: str, kind: type[Kind]) -> tuple[str, str]:
    quoted = re.match(r"""(?:[^=\["']|\[(?:"[^"]*"|'[^']*'|[^\]"']*)\])*""", assignment)
    end = quoted.end() if quoted else 0
    if assignment[end : end + 1] != "=" or end == 0:
        raise malformed(assignment, kind)
    return assignment[:end].strip(), assignment[end + 1 :]


def _value(path: str, text: str) -> Any:
    if not text.strip():
        return None
    try:
        value, _, found = read(compose_yaml(decode(text, path), path), path)
    except JobFileError as error:
        if error.what == "is empty":
            return None
        raise WrongPathError(path, shown(text), error.what, error.remedy) from None
    if found:
        raise WrongPathError(path, shown(text), found[0][1].rule, found[0][1].remedy)
    return value
