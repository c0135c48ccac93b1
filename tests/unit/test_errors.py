"""The tree of errors is drawn as it is."""

from __future__ import annotations

import re
from pathlib import Path

from raygen import errors
from raygen.kube.errors import ApiError

PACKAGE = Path(errors.__file__).parent
TREE = {
    name: line for line in (errors.__doc__ or "").splitlines() for name in re.findall(r"─ (\w+Error)", line)
}


def classes() -> dict[str, type[errors.RaygenError]]:
    found = {
        name: value
        for name, value in vars(errors).items()
        if name.endswith("Error") and name != "RaygenError"
    }
    return {**found, "ApiError": ApiError}


def test_the_tree_holds_every_class_and_no_other() -> None:
    assert TREE.keys() == classes().keys()


def test_every_leaf_is_raised_somewhere() -> None:
    sources = [
        path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py") if path != Path(errors.__file__)
    ]
    inner = {base.__name__ for value in classes().values() for base in value.__mro__[1:]}
    used = {name for name in classes() if any(re.search(rf"\b{name}\b", text) for text in sources)}
    assert classes().keys() - inner == used - inner


def test_the_exit_codes_are_those_drawn() -> None:
    assert "exit code 2" in TREE["InputError"]
    assert errors.InputError.exit_code == 2
    assert "exit code 1" in TREE["RunError"]
    assert errors.RunError.exit_code == errors.FencedError.exit_code == 1
    assert "(exit code 2)" in TREE["ApiError"]
    assert ApiError("refused", status=403).exit_code == 2
    assert "(1)" in TREE["ApiError"]
    assert ApiError("away").exit_code == ApiError("broken", status=500).exit_code == 1
