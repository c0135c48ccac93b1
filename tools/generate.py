"""Writes the files that follow from the models; with --check, says whether they are up to date.

python tools/generate.py [--check]
"""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from raygen.spec import TrainingJob
from raygen.spec.base import Spec
from raygen.spec.crd import definitions
from raygen.spec.fields import FieldShape, fields_of
from raygen.spec.schema import json_schema

SOURCE = Path(__file__).resolve().parents[1]
ROOT = SOURCE
"""Where the generated files go."""

INTRODUCTION = """\
# TrainingJob

Every field of a job file. Made from the models in `raygen/spec` by `make generate`; edit those.

The file is YAML 1.2 (`1e-3` is a number, `no` is text) or, if its name ends with `.json`, JSON. Unknown
keys are refused. A key that is left out has the default, and so has one that is null where a default is
named in words. Paths of fields, as in faults and for `--set`, join keys by dots and name list items by
position or, where they have one, by name: `spec.evaluation.metrics[loss].type`.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the generated files.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file differs")
    check = parser.parse_args().check
    differing = [path for path, text in generated().items() if not _settle(ROOT / path, text, check=check)]
    if differing:
        sys.stderr.write("Bring them up to date with: make generate\n")
    return 1 if differing else 0


def generated() -> dict[str, str]:
    """Every generated file: path from the root of the repository -> text."""
    return {
        "schemas/trainingjob.json": json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n",
        "docs/reference/trainingjob.md": reference(),
        **(kinds := {f"manifests/crd/{name}.yaml": _yaml(body) for name, body in definitions().items()}),
        "manifests/install/install.yaml": _install(kinds.values()),
    }


def _install(kinds: Iterable[str]) -> str:
    """Everything that a cluster with KubeRay needs, in the order in which it can be applied."""
    written = ("manifests/admission/policies.yaml", "manifests/install/operator.yaml")
    head = "# Made by `make generate`: kubectl apply --server-side -f manifests/install/install.yaml\n"
    return head + "---\n".join([*kinds, *((SOURCE / name).read_text(encoding="utf-8") for name in written)])


def _yaml(document: dict[str, object]) -> str:
    """One document; long texts stay on one line, and nothing is an alias."""

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:
            del data
            return True

    head = "# Made from raygen/spec by `make generate`; edit that.\n"
    text: str = yaml.dump(document, Dumper=Plain, sort_keys=False, width=1_000_000, allow_unicode=True)
    return head + text


def reference() -> str:
    """The reference as Markdown: one table for every object."""
    sections = [section for path, model in _objects("", TrainingJob) for section in _section(path, model)]
    return "\n".join([INTRODUCTION, *sections])


def _settle(path: Path, text: str, *, check: bool) -> bool:
    """Writes a file, or compares it and says how it differs."""
    if not check:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return True
    there = path.read_text(encoding="utf-8") if path.is_file() else ""
    if there == text:
        return True
    changes = [line for line in difflib.ndiff(there.splitlines(), text.splitlines()) if line[0] in "+-"]
    sys.stderr.write(f"{path.relative_to(ROOT)} is out of date, {len(changes)} lines differ:\n")
    sys.stderr.writelines(f"  {line[:120]}\n" for line in changes[:10])
    return False


def _objects(path: str, model: type[Spec]) -> Iterator[tuple[str, type[Spec]]]:
    yield path, model
    for key, field in fields_of(model).items():
        below = f"{path}.{key}" if path else key
        if field.shape.model is not None:
            yield from _objects(below, field.shape.model)
        elif field.shape.items is not None and field.shape.items.model is not None:
            yield from _objects(below + "[]", field.shape.items.model)


def _section(path: str, model: type[Spec]) -> Iterator[str]:
    yield f"## {path or 'The whole file'}\n"
    yield " ".join((model.__doc__ or "").split()) + "\n"
    yield "| field | type | default | description |"
    yield "|---|---|---|---|"
    yield from (_row(field) for field in fields_of(model).values())
    yield ""
    if model.rules:
        yield "Rules:\n"
        yield from (f"- {f'`{rule.at}` ' if rule.at else ''}{_cell(rule.message)}" for rule in model.rules)
        yield ""


def _row(field: FieldShape) -> str:
    if field.required:
        default = "required"
    elif field.default is None:
        default = "see description" if "Default:" in field.description else "none"
    else:
        default = f"`{json.dumps(field.default)}`"
    return f"| `{field.key}` | {_cell(field.shape.words)} | {default} | {_cell(field.description)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    sys.exit(main())
