"""The words of a status are those that operator and driver write, no more and no fewer."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import raygen.errors
from raygen.operator.attempts import endings
from raygen.spec.job.guards import GUARDS
from raygen.spec.reasons import (
    CONDITIONS,
    COUNTED,
    DISRUPTED,
    FINAL,
    REFUSED,
    SUCCEEDED,
    UNCOUNTED,
    WAITING,
)

OPERATOR = Path(endings.__file__).parents[1]
PLACES = {"Ending": 0, "Trouble": 0, "tell": 1, "put": 2, "Refusal": 0}
"""Calls by which the operator says why, and which of their arguments is the word."""
UNSEEN = {"RaygenError", "ExportError", "RunError", "GuardError", "RollBackError", "ApiError", "StoppedError"}
"""Errors that no user sees as a reason, or that are said elsewhere."""
DOCUMENTED = {*WAITING, *SUCCEEDED, *FINAL, *COUNTED, *UNCOUNTED}
EVERY = DOCUMENTED | {reason for kind in CONDITIONS.values() for reason in kind.reasons}


def said() -> Iterator[str]:
    """Every word that the operator's code writes as a reason or cause."""
    for path in OPERATOR.rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                name = (
                    node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                )
                place = PLACES.get(name, -1)
                # The function `conditions.put` has the list first.
                place += name == "put" and isinstance(node.args[0], ast.Name) and node.args[0].id == "told"
                if 0 <= place < len(node.args):
                    yield from words(node.args[place])
            elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "REASON":
                yield from words(node.value)


def words(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.IfExp):
        yield from words(node.body)
        yield from words(node.orelse)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def errors() -> set[str]:
    """The errors of the driver."""
    found = {
        name
        for name, one in vars(raygen.errors).items()
        if isinstance(one, type) and issubclass(one, Exception)
    }
    return {"GateFailed" if name == "GateFailedError" else name for name in found - UNSEEN}


def test_every_word_of_the_operator_is_there() -> None:
    found = set(said())
    assert {"Starting", "Unschedulable", "HeadLost", "Suspending", "NotAllowed"} <= found
    assert found - EVERY == set()


def test_every_error_and_guard_of_the_driver_is_there() -> None:
    assert errors() - DOCUMENTED == set()
    assert set(GUARDS) <= FINAL.keys()


def test_no_word_is_there_that_nobody_writes() -> None:
    driver = {"Completed", "EarlyStopped", "AlreadyComplete", "Prepared", "RunError", *errors(), *GUARDS}
    driver |= {"GateFailed", "BudgetUsedUp", "SpaceExhausted", "PopulationTrained"}
    assert EVERY - set(said()) - driver - set(DISRUPTED) == set()


def test_the_operator_counts_what_is_said_to_count() -> None:
    assert set(UNCOUNTED) == endings.FREE
    assert not endings.FINAL - {*SUCCEEDED, *FINAL}
    assert set(REFUSED) <= WAITING.keys()


def test_every_word_says_what_it_means_and_what_to_do() -> None:
    for table in (WAITING, SUCCEEDED, FINAL, COUNTED, UNCOUNTED):
        for name, meaning in table.items():
            assert meaning.text.endswith("."), name
            assert meaning.remedy.endswith("."), name
