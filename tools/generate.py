"""Writes the files that follow from the models; with --check, says whether they are up to date.

python -m tools.generate [--check]
"""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from raygen.spec.job.training_job import TrainingJobSpec
from raygen.spec.kinds import KINDS, definitions
from raygen.spec.reasons import (
    CONDITIONS,
    COUNTED,
    FINAL,
    NOTHING,
    SUCCEEDED,
    UNCOUNTED,
    WAITING,
    Meaning,
)
from raygen.spec.schema.base import Spec
from raygen.spec.schema.crd import CustomResource
from raygen.spec.schema.fields import FieldShape, Shape, fields_of
from raygen.spec.schema.json_schema import json_schema
from raygen.spec.status import Attempt, Condition
from tools import chart, dashboards

SOURCE = Path(__file__).resolve().parents[1]
ROOT = SOURCE
"""Where the generated files go."""

JOB = """\
# TrainingJob

Every field of a job file. Made from the models in `raygen/spec` by `make generate`; edit those.

The file is YAML 1.2 (`1e-3` is a number, `no` is text) or, if its name ends with `.json`, JSON. Unknown
keys are refused. A key that is left out has the default, and so has one that is null where a default is
named in words. Paths of fields, as in faults and for `--set`, join keys by dots and name list items by
position or, where they have one, by name: `spec.evaluation.metrics[loss].type`.

On a cluster the object has a [status](#status) too.
"""

RUNTIME = """\
# RaygenRuntime

Every field of a RaygenRuntime, of which an administrator makes one or more
([a sample](../../manifests/samples/runtime.yaml)); `spec.runtimeRef.name` of a job names one. Made from the models in
`raygen/spec` by `make generate`; edit those.

A change counts for attempts that begin after it; of `ceilings.hours` and `headLostSeconds` it counts at once. Unknown keys
are refused. A key that is left out has the default.
"""

SWEEP = """\
# Sweep

Every field of a sweep file. Made from the models in `raygen/spec` by `make generate`; edit those. What may stand in
`spec.template.spec` is [a TrainingJob's spec](trainingjob.md#spec), of which `output` and `training.earlyStopping` cannot be given.
"""

INTRODUCTIONS = {"TrainingJob": JOB, "RaygenRuntime": RUNTIME, "Sweep": SWEEP}
"""What a kind's reference begins with; any other has the plain one."""
PLAIN = """\
# {name}

Every field of a {name}. Made from the models in `raygen/spec` by `make generate`; edit those.
"""

INSTALL = "manifests/install/install.yaml"
GUIDE = "docs/jobs-on-a-cluster.md"
MARKS = "<!-- reasons: made from raygen/spec/reasons.py by `make generate` -->\n", "<!-- /reasons -->"
"""Between these the guide has the reasons."""
MEANINGS = (
    "What they mean, and what to do: [jobs on a cluster](../jobs-on-a-cluster.md#what-the-status-says)."
)


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the generated files.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file differs")
    check = parser.parse_args().check
    differing = [path for path, text in generated().items() if not _settle(ROOT / path, text, check=check)]
    differing += _install(check=check)
    if differing:
        sys.stderr.write("Bring them up to date with: make generate\n")
    return 1 if differing else 0


def generated() -> dict[str, str]:
    """Every generated file: path from the root of the repository -> text."""
    kinds = _definitions()
    return {
        **{f"schemas/{_file(one)}.json": _schema(one.kind) for one in KINDS},
        **{f"docs/reference/{_file(one)}.md": _reference(one) for one in KINDS},
        GUIDE: _guide((SOURCE / GUIDE).read_text(encoding="utf-8")),
        **{f"manifests/crd/{name}.yaml": text for name, text in kinds.items()},
        **chart.definitions(kinds),
        **dashboards.files(),
        f"{chart.CHART}/templates/admission.yaml": chart.admission(
            (SOURCE / "manifests/admission/policies.yaml").read_text(encoding="utf-8")
        ),
        f"{chart.CHART}/values.yaml": chart.values_yaml(),
        f"{chart.CHART}/values.schema.json": chart.values_schema(),
        f"{chart.CHART}/README.md": chart.readme(
            (SOURCE / chart.CHART / "README.md").read_text(encoding="utf-8")
        ),
    }


def _install(*, check: bool) -> list[str]:
    """Writes what the chart makes without a value, or checks it; its path if it is out of date."""
    there = (SOURCE / INSTALL).read_text(encoding="utf-8")
    is_current = chart.install_is_current(SOURCE, there)
    if check:
        if not is_current:
            sys.stderr.write(f"{INSTALL} is not what the chart makes\n")
        return [] if is_current else [INSTALL]
    if not is_current:
        from testcluster.tools import binary

        there = chart.install(SOURCE, binary("helm"))
    _settle(ROOT / INSTALL, there, check=False)
    return []


def _definitions() -> dict[str, str]:
    return {name: _yaml(body) for name, body in definitions().items()}


def _file(one: CustomResource) -> str:
    """The name of files about a kind."""
    return one.kind.__name__.lower()


def _reference(one: CustomResource) -> str:
    name = one.kind.__name__
    roots: dict[str, type[Spec]] = {"": one.kind} | ({"status": one.status} if one.status is not None else {})
    return reference(INTRODUCTIONS.get(name) or PLAIN.format(name=name), roots)


def _yaml(document: dict[str, object]) -> str:
    """One document; long texts stay on one line, and nothing is an alias."""

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:
            del data
            return True

    head = "# Made from raygen/spec by `make generate`; edit that.\n"
    text: str = yaml.dump(document, Dumper=Plain, sort_keys=False, width=1_000_000, allow_unicode=True)
    return head + text


def _schema(kind: type[Spec]) -> str:
    return json.dumps(json_schema(kind), indent=2, ensure_ascii=False) + "\n"


def reference(introduction: str, roots: dict[str, type[Spec]]) -> str:
    """A reference as Markdown: one table for every object.

    Args:
        introduction: What comes first.
        roots: What is described, by its path.
    """
    objects = [found for path, model in roots.items() for found in _objects(path, model)]
    return "\n".join([introduction, *(line for path, model in objects for line in _section(path, model))])


def _guide(text: str) -> str:
    """The guide with the reasons as they are."""
    before, rest = text.split(MARKS[0])
    _, after = rest.split(MARKS[1])
    return before + MARKS[0] + "\n".join(_reasons()) + "\n" + MARKS[1] + after


def _reasons() -> Iterator[str]:
    """What each reason means and what to do: one table for each of the ways in which a job can be."""
    for title, meanings in (
        ("The job has not ended (`Succeeded` is Unknown):", WAITING),
        ("It has ended well (True):", SUCCEEDED),
        ("It has failed, and another attempt would fail the same way (False):", FINAL),
        ("An attempt has failed; after `attempts.limit` of them the job has (False):", COUNTED),
        ("An attempt has ended that does not count; another follows:", UNCOUNTED),
    ):
        yield f"\n{title}\n"
        yield "| reason | what it means | what to do |"
        yield "|---|---|---|"
        alike: dict[Meaning, list[str]] = {}
        for name, meaning in meanings.items():
            alike.setdefault(meaning, []).append(f"`{name}`")
        for meaning, names in alike.items():
            remedy = "" if meaning.remedy == NOTHING else _cell(meaning.remedy)
            yield f"| {', '.join(names)} | {_cell(meaning.text)} | {remedy} |"
    yield ""


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
        # A reference of its own has it.
        if path and field.shape.model is TrainingJobSpec:
            continue
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
    if model is Condition:
        yield "| type | what it says | reasons |"
        yield "|---|---|---|"
        for name, kind in CONDITIONS.items():
            yield f"| `{name}` | {_cell(kind.text)} | {_names(kind.reasons)} |"
        yield f"\n{MEANINGS}\n"
    if model is Attempt:
        yield f"Causes that count against `attempts.limit`: {_names(COUNTED)}.\n"
        yield f"Causes that do not: {_names(UNCOUNTED)}.\n"
        yield f"Causes that end the job: {_names([*SUCCEEDED, *FINAL])}.\n\n{MEANINGS}\n"


def _names(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _row(field: FieldShape) -> str:
    if field.required:
        default = "required"
    elif field.default is None:
        default = "see description" if "Default:" in field.description else "none"
    else:
        default = f"`{json.dumps(field.default)}`"
    return f"| `{field.key}` | {_cell(_type(field.shape))} | {default} | {_cell(field.description)} |"


def _type(shape: Shape) -> str:
    """What a value may be, and what is in it."""
    if shape.items is None:
        return shape.words
    if shape.keys is None:
        return f"{shape.words}, each {shape.items.words}"
    most = f" of at most {shape.bounds['max_length']}" if "max_length" in shape.bounds else ""
    return f"a map{most} names to values; a name is {shape.keys.words}; a value is {shape.items.words}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    sys.exit(main())
