"""`raygen sweep replay`."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from raygen.cli.extras import needs
from raygen.cli.output import number, print_result

SHOWN = 10


def run(args: argparse.Namespace) -> int:
    """Works out every proposal again; exit code 1 if one is another than the log has."""
    with needs("train,sweep", "Optuna"):
        from raygen.sweeps.replay import replay
    found = replay(args.sweep)
    same = "all the same" if not found.differences else "not the same"
    counted = f"{number(found.proposals)} proposals and {number(found.decisions)} other decisions"
    lines = [f"{counted} of {number(found.drivers)} drivers: {same}"]
    lines += [
        f"event {one.event}: the log has {dict(one.logged)}, and {dict(one.replayed)} follows"
        for one in found.differences[:SHOWN]
    ]
    if len(found.differences) > SHOWN:
        lines.append(f"and {len(found.differences) - SHOWN} more")
    print_result(args, asdict(found), "\n".join(lines))
    return 1 if found.differences else 0
