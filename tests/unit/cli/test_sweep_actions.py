"""What `raygen sweep` takes for an action, and what for a file."""

from __future__ import annotations

import pytest

from raygen.cli.actions import with_action
from raygen.cli.main import build_parser


@pytest.mark.parametrize(
    ("line", "module", "name"),
    [
        ("sweep a.yaml", "run", None),
        ("sweep a.yaml --name best", "run", "best"),
        ("sweep --name best a.yaml", "run", "best"),
        ("sweep --json --name show a.yaml", "run", "show"),
        ("sweep run a.yaml", "run", None),
        ("sweep ./best", "run", None),
    ],
)
def test_a_file_is_run_whatever_its_options_are_called(line: str, module: str, name: str | None) -> None:
    args = build_parser().parse_args(with_action(line.split()))
    assert args.module == f"raygen.cli.local.sweep.{module}"
    assert args.name == name


@pytest.mark.parametrize(
    "line", ["sweep show s", "sweep --json best s", "sweep replay s --json", "sweep report s"]
)
def test_an_action_comes_first(line: str) -> None:
    words = line.split()
    args = build_parser().parse_args(with_action(words))
    assert args.module.rpartition(".")[2] in words
    assert args.sweep == "s"


def test_help_of_the_verb_says_where_the_options_of_a_run_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(with_action(["sweep", "--help"]))
    assert "raygen sweep FILE --help" in " ".join(capsys.readouterr().out.split())
