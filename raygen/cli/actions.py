"""Actions: verbs below a verb."""

from __future__ import annotations

import argparse
from collections.abc import Callable


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
