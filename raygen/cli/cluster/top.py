"""`raygen top`."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from raygen.cli.cluster.connection import columns, connection
from raygen.cli.output import number, print_result

if TYPE_CHECKING:
    from raygen.client.top import Usage

HEAD = ["NAME", "STATUS", "WORKERS", "GPUS", "STEP", "PER-SECOND", "GOODPUT", "ETA", "GPU-HOURS"]
CLEAR = "\x1b[H\x1b[J"


def run(args: argparse.Namespace) -> int:
    """Prints what the jobs of a cluster use and how well, once or until it is interrupted."""
    cluster, namespace = connection(args)
    from raygen.client.jobs import list_jobs
    from raygen.client.top import goodput, usage
    from raygen.kube import SWEEPS

    where = "" if args.all_namespaces else namespace
    while True:
        objects = [*list_jobs(cluster, where), *list_jobs(cluster, where, SWEEPS)]
        found = [one for one in usage(objects, datetime.now(UTC)) if one.active or args.ended]
        share = goodput(found)
        text = _text(found, share, price=args.price, with_namespace=args.all_namespaces)
        if args.watch and sys.stdout.isatty():
            sys.stdout.write(CLEAR)
        document: dict[str, Any] = {
            "jobs": [asdict(one) for one in found],
            **_totals(found, args.price),
            "goodput": share,
        }
        print_result(args, document, text)
        if not args.watch:
            return 0
        sys.stdout.flush()
        time.sleep(args.watch)


def _totals(found: list[Usage], price: float | None) -> dict[str, Any]:
    hours = sum(one.gpu_hours for one in found)
    active = [one for one in found if one.active]
    cost = {} if price is None else {"cost": hours * price}
    return {"active": len(active), "gpus": sum(one.gpus for one in active), "gpu_hours": hours, **cost}


def _text(found: list[Usage], share: float | None, *, price: float | None, with_namespace: bool) -> str:
    head = (["NAMESPACE"] if with_namespace else []) + HEAD + ([] if price is None else ["COST"])
    rows = [_row(one, price=price, with_namespace=with_namespace) for one in found]
    totals = _totals(found, price)
    parts = [f"{totals['active']} active", f"{totals['gpus']} GPUs"]
    if share is not None:
        parts.append(f"goodput {share:.0%}")
    parts.append(f"{totals['gpu_hours']:.1f} GPU hours")
    if price is not None:
        parts.append(f"cost {totals['cost']:,.2f}")
    summary = ", ".join(parts)
    return f"{columns([head, *rows])}\n\n{summary}" if rows else "no active jobs"


def _row(one: Usage, *, price: float | None, with_namespace: bool) -> list[str]:
    cells = [
        f"{one.name} (sweep)" if one.kind == "Sweep" else one.name,
        one.reason,
        str(one.workers),
        str(one.gpus),
        f"{number(one.step)}/{number(one.steps)} {one.step / one.steps:.0%}" if one.steps else one.trials,
        number(round(one.throughput)) if one.throughput else "",
        f"{one.goodput:.0%}" if one.goodput is not None else "",
        one.eta,
        f"{one.gpu_hours:.1f}",
    ]
    cost = [] if price is None else [f"{one.gpu_hours * price:,.2f}"]
    return ([one.namespace] if with_namespace else []) + cells + cost
