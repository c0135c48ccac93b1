"""The actions of `raygen data`, and their options."""

from __future__ import annotations

import argparse


def add_data_actions(data: argparse.ArgumentParser) -> None:
    """Adds the actions of `data`. Each one's module under raygen.cli.local.data has `run(args) -> int`.

    Args:
        data: The parser of the verb.
    """
    actions = data.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, text: str) -> argparse.ArgumentParser:
        added = actions.add_parser(name, help=text, description=text, epilog=data.epilog, allow_abbrev=False)
        # Left out, it must not undo one that stands before the action.
        added.add_argument(
            "--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object on stdout"
        )
        added.set_defaults(module=f"raygen.cli.local.data.{name}")
        return added

    verify = action("verify", "compute the order of a run's samples again, and compare it with the run's")
    verify.add_argument("run", metavar="RUN", help="run directory")
    verify.add_argument(
        "--contents", action="store_true", help="also read all data, and check it against its index"
    )
