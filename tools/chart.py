"""Makes the parts of charts/raygen that follow from other files: values, their schema and table, definitions, policies."""

from __future__ import annotations

import hashlib
import json
import subprocess
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from raygen.spec.schema.base import Spec
from raygen.spec.schema.fields import fields_of
from raygen.spec.schema.json_schema import json_schema
from tools.chart_values import Values

CHART = "charts/raygen"
WIDTH = 110
MADE = "Made by `make generate`"
IMAGE = "registry.example.org/raygen-operator@sha256:" + "0" * 64
"""To be replaced."""
INSTALL = f"# {MADE} from charts/raygen: kubectl apply --server-side -f manifests/install/install.yaml\n"
MARKS = "<!-- values: made from tools/chart_values.py by `make generate` -->\n", "<!-- /values -->"
"""Between these the README has the values."""
OPERATOR = "system:serviceaccount:raygen-system:raygen-operator"
"""The account of the operator in manifests/admission/policies.yaml."""


def values_yaml() -> str:
    """values.yaml: every value with its default and what it is."""
    return (
        f"# {MADE} from tools/chart_values.py; edit that.\n" + "\n".join(_values(Values, Values(), 0)) + "\n"
    )


def values_schema() -> str:
    """values.schema.json: what Helm checks before it renders anything."""
    schema = _in_words(json_schema(Values))
    # Helm's own key; a chart that has this one as a part may set it.
    schema["properties"]["global"] = {"type": "object"}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _in_words(schema: Any) -> Any:
    """The same without the patterns of images: Helm would show the pattern, and templates/_checks.tpl says what to do."""
    if isinstance(schema, dict):
        image = "@sha256" in str(schema.get("pattern", ""))
        return {key: _in_words(part) for key, part in schema.items() if not (image and key == "pattern")}
    return [_in_words(part) for part in schema] if isinstance(schema, list) else schema


def definitions(kinds: Mapping[str, str]) -> dict[str, str]:
    """The CustomResourceDefinitions as the chart's files: name -> text; a template reads them, since CEL is no template."""
    return {f"{CHART}/files/{name}.yaml": text for name, text in kinds.items()}


def admission(policies: str) -> str:
    """The template of the policies: those of manifests/admission, for whatever account the operator has."""
    counts = [policies.count(f"{sign} '{OPERATOR}'") for sign in ("!=", "==")]
    if counts != [1, 1] or "{{" in policies:
        raise ValueError(
            "the policies do not name the operator once for others and once for itself, or look like a template"
        )
    others = '{{ include "raygen.operators" . }}'
    known = policies.replace(
        f"request.userInfo.username != '{OPERATOR}'", f"!(request.userInfo.username in {others})"
    ).replace(f"request.userInfo.username == '{OPERATOR}'", f"request.userInfo.username in {others}")
    body = f"# {MADE} from manifests/admission/policies.yaml; edit that.\n{known}"
    return "{{- if .Values.admission.enabled }}\n" + body + "{{- end }}\n"


def install(root: Path, helm: Path) -> str:
    """manifests/install/install.yaml: the chart as it is without a value, for clusters without Helm."""
    command = [str(helm), "template", "raygen", str(root / CHART), "--namespace", "raygen-system"]
    options = ["--api-versions", "ray.io/v1/RayJob", "--set", f"image={IMAGE}"]
    done = subprocess.run(  # noqa: S603 (this repository's own chart)
        [*command, *options], check=True, capture_output=True, text=True
    )
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": "raygen-system",
            "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
        },
    }
    body = yaml.safe_dump(namespace, sort_keys=False) + done.stdout.replace(
        "    app.kubernetes.io/managed-by: Helm\n", ""
    )
    return f"{INSTALL}# {digest(root, body)}\n{body}"


def install_is_current(root: Path, text: str) -> bool:
    """Whether install.yaml is what `install` makes of this chart; told by a digest, since Helm is not everywhere."""
    head, _, rest = text.removeprefix(INSTALL).partition("\n")
    return text.startswith(INSTALL) and head == f"# {digest(root, rest)}"


def digest(root: Path, body: str) -> str:
    """Of the chart and of what was made of it."""
    found = hashlib.sha256(body.encode())
    for path in sorted(
        path for path in (root / CHART).rglob("*") if path.is_file() and path.name != "README.md"
    ):
        found.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return f"sha256:{found.hexdigest()}"


def readme(text: str) -> str:
    """The chart's README with its table of values as they are."""
    before, rest = text.split(MARKS[0])
    _, after = rest.split(MARKS[1])
    rows = ["| value | default | what it is |", "|---|---|---|", *_rows(Values, Values(), "")]
    return before + MARKS[0] + "\n" + "\n".join(rows) + "\n\n" + MARKS[1] + after


def _rows(model: type[Spec], value: Spec, prefix: str) -> Iterator[str]:
    for key, field in fields_of(model).items():
        given = getattr(value, field.name)
        if field.shape.model is not None and given is not None:
            yield from _rows(field.shape.model, given, f"{prefix}{key}.")
        else:
            choices = f" One of {', '.join(field.shape.choices)}." if field.shape.choices else ""
            default = f"`{_flow(given)}`" if given is not None else ""
            yield f"| `{prefix}{key}` | {default} | {field.description}{choices} |"


def _values(model: type[Spec], value: Spec, depth: int) -> Iterator[str]:
    indent = "  " * depth
    for key, field in fields_of(model).items():
        if depth == 0:
            yield ""
        for line in textwrap.wrap(field.description, WIDTH - len(indent) - 2):
            yield f"{indent}# {line}"
        given = getattr(value, field.name)
        if field.shape.model is not None and given is not None:
            yield f"{indent}{key}:"
            yield from _values(field.shape.model, given, depth + 1)
        else:
            yield f"{indent}{key}: {_flow(given)}"


def _flow(value: Any) -> str:
    plain = list(value) if isinstance(value, tuple) else value
    text: str = yaml.safe_dump(plain, default_flow_style=True, width=1_000_000, sort_keys=False)
    return text.removesuffix("...\n").strip()
