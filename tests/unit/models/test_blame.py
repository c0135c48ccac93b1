from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from raygen.models.blame import blamed
from raygen.training.engine.guards import Guards


def caught(act: Callable[[], Any]) -> Exception:
    try:
        act()
    except Exception as error:  # noqa: BLE001 (whatever the libraries raise)
        return error
    raise AssertionError("nothing was raised")


def of_torch() -> Any:
    return nn.Linear(2, 2)("no tensor")


def of_the_standard_library() -> Any:
    return json.loads("{")


def of_a_callback() -> Any:
    return sorted([1, 2], key=lambda _: 1 / 0)


@pytest.mark.parametrize(
    ("act", "function"),
    [
        (of_torch, "of_torch"),
        (of_the_standard_library, "of_the_standard_library"),
        (of_a_callback, "<lambda>"),
    ],
)
def test_the_line_is_the_persons_not_the_librarys(act: Callable[[], Any], function: str) -> None:
    line = act.__code__.co_firstlineno + 1
    assert blamed(caught(act)) == f"{__file__}, line {line}, in {function}"


def test_code_that_is_installed_is_a_persons_when_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "site-packages" / "mine" / "layers.py"
    code = compile("def forward():\n    return 1 / 0\n", str(path), "exec")
    scope: dict[str, Any] = {"__name__": "mine.layers"}
    exec(code, scope)  # noqa: S102 (two lines of our own)
    error = caught(scope["forward"])
    assert blamed(error, {"mine"}) == f"{path}, line 2, in forward"
    assert blamed(error).endswith(", in caught")


def test_raygens_own_line_counts_where_it_is_asked_for() -> None:
    error = caught(lambda: Guards(None, 0, print))  # type: ignore[arg-type]
    assert Path(__file__).name in blamed(error)
    assert "guards.py" in blamed(error, {"raygen"})


def test_a_file_that_cannot_be_parsed_is_the_place() -> None:
    error = caught(lambda: compile("a\nsyntax error\n", "model.py", "exec"))
    assert blamed(error) == "model.py, line 2"


def test_an_error_of_libraries_alone_has_the_innermost_line() -> None:
    error = caught(of_torch)
    trace = error.__traceback__
    while trace is not None and "torch" not in trace.tb_frame.f_code.co_filename:
        trace = trace.tb_next
    inner = traceback.extract_tb(trace)[-1]
    assert blamed(error.with_traceback(trace)) == f"{inner.filename}, line {inner.lineno}, in {inner.name}"


def test_an_error_that_was_never_raised_has_no_place() -> None:
    assert blamed(ValueError("x")) == ""
