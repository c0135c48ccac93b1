"""`raygen completion`."""

from __future__ import annotations

import argparse

import shtab

from raygen.cli.main import build_parser
from raygen.cli.output import print_result


def run(args: argparse.Namespace) -> int:
    """Prints a completion script, for example for `source <(raygen completion bash)`."""
    script: str = shtab.complete(build_parser(), shell=args.shell)
    print_result(args, {"shell": args.shell, "script": script}, script)
    return 0
