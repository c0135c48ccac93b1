"""`raygen data verify`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from raygen.cli.local.job_file import needs_training
from raygen.cli.output import number, print_result, printable, table
from raygen.errors import InputError

if TYPE_CHECKING:
    from raygen.data.verification import Difference, Verification
    from raygen.run.record import RunRecord

DIFFERS = 1
"""Exit code where the run is not what it says."""


def run(args: argparse.Namespace) -> int:
    """Compares the order of a run's samples with the one that its data and seed make."""
    with needs_training():
        from raygen.data.verification import verify
        from raygen.run.record import RunRecord
    record = RunRecord.open(args.run)
    found = verify(
        record.job,
        record.base,
        _recorded(record),
        record.data_files(),
        contents=args.contents,
        notice=_notice,
    )
    used = _used(record)
    print_result(args, _document(record, found, used), _text(found, used, contents=args.contents))
    return DIFFERS if found.differences else 0


def _recorded(record: RunRecord) -> Any:
    from raygen.data.order_hash import OrderRecord

    order = record.document.get("order")
    if order is None:
        raise InputError(
            "the run has no record of the order of its samples",
            where=f"{record.directory.uri}/job.json",
            remedy="It was made by an earlier raygen; `raygen train` with its job file adds the record when the run goes on.",
        )
    return OrderRecord(**order)


def _notice(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _used(record: RunRecord) -> int:
    """How many positions the run has trained on, as far as its checkpoints and attempts that have ended tell."""
    from raygen.checkpoint import steps

    ended = [attempt.last_step or 0 for attempt in record.directory.attempts()]
    done = max([0, *ended, *steps(record.directory.checkpoints)])
    return done * record.job.spec.training.global_batch_size


def _document(record: RunRecord, found: Verification, used: int) -> dict[str, Any]:
    return {
        "run": record.directory.uri,
        "equal": not found.differences,
        "data": found.data or None,
        "order": asdict(found.found),
        "positions": {"used": used, "covered": min(used, found.found.positions)},
        "shards": found.shards,
        "differences": [asdict(difference) for difference in found.differences],
    }


def _text(found: Verification, used: int, *, contents: bool) -> str:
    order = found.found
    rows = {
        "state": "differs" if found.differences else "equal",
        "order": f"{order.sha256}, of {number(order.positions)} positions",
        "covers": _covered(found, used),
        "depends on": ", ".join(f"{name} {_shown(value)}" for name, value in order.of.items()),
        "data": found.data or ("read again" if contents else "held in memory; --contents reads it"),
    }
    if found.data:
        rows["contents"] = f"{number(found.shards)} shards read" if found.shards is not None else "not read"
    lines = [table(rows), *map(_line, found.differences)]
    return "\n".join(lines)


def _covered(found: Verification, used: int) -> str:
    covered = found.found.positions
    if used <= covered:
        return f"all {number(used)} positions that the run has used"
    rest = "the others are the same function of what it depends on, and no hash covers them"
    return f"the first {number(covered)} of {number(used)} positions that the run has used; {rest}"


def _line(difference: Difference) -> str:
    recorded, found = _shown(difference.recorded), _shown(difference.found)
    return f"{printable(difference.what)}: recorded {recorded}, found {found}"


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    return printable(str(value))
