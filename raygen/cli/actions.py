"""Actions: verbs below a verb."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

RUN = "run"
"""The action that may be left out."""
ACTIONS = {
    "evaluate": frozenset({RUN, "train-extractor", "train-judge"}),
    "sweep": frozenset({RUN, "best", "replay", "report", "show"}),
}
"""Of the verbs that have such an action."""


def with_action(arguments: Sequence[str]) -> list[str]:
    """The arguments of a command line, with the action that `raygen sweep FILE` and `raygen evaluate RUN` leave out."""
    given = list(arguments)
    actions = ACTIONS.get(given[0]) if given else None
    if actions is None or {"-h", "--help"} & set(given[1:2]):
        return given
    # Behind another option a word may be its value.
    first = next((one for one in given[1:] if one != "--json"), None)
    return given if first in actions else [given[0], RUN, *given[1:]]


def actions_of(
    verb: argparse.ArgumentParser, package: str, metavar: str = "ACTION"
) -> Callable[[str, str], argparse.ArgumentParser]:
    """Lets a verb have actions.

    Args:
        verb: The verb's parser.
        package: Where each action's module is, which has `run(args) -> int`.
        metavar: What help calls them.

    Returns:
        A function that adds one, given its name and what help says of it.
    """
    actions = verb.add_subparsers(dest="action", metavar=metavar, required=True)

    def action(name: str, text: str) -> argparse.ArgumentParser:
        added = actions.add_parser(name, help=text, description=text, epilog=verb.epilog, allow_abbrev=False)
        # Left out, it must not undo one that stands before the action.
        added.add_argument(
            "--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object on stdout"
        )
        added.set_defaults(module=f"{package}.{name}")
        return added

    return action
