"""A job, or an object of another kind, as YAML text."""

from __future__ import annotations

import re

import yaml

from raygen.spec import Kind


class _Dumper(yaml.SafeDumper):
    """Quotes whatever YAML 1.1 or YAML 1.2 would read as something else than text."""


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # Only double quotes keep these: elsewhere PyYAML writes them as they are, and reads them as line ends.
    style = '"' if re.search("[\x85\u2028\u2029\ufeff]", text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$"),
    list("-+.0123456789"),
)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^0o[0-7]+$"), ["0"])


def dumps(value: Kind) -> str:
    """The fields of an object that were set, as the text of a file that holds it."""
    document = value.model_dump(mode="json", exclude_unset=True)
    return str(yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100))
