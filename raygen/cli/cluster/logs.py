"""`raygen logs`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from raygen.cli.cluster.connection import object_of
from raygen.cli.output import print_result, printable
from raygen.errors import InputError, RaygenError, without_secrets

if TYPE_CHECKING:
    from raygen.kube import Resource

DRIVER = "driver"
FOLLOW_SECONDS = 2.0
"""Between two looks at a run directory; processes write to it every five."""


def run(args: argparse.Namespace) -> int:
    """Prints what the driver of a job says while its head pod is there, and after that what its run directory has kept."""
    if "/" in args.name or args.name in (".", ".."):
        return _kept(args, args.name)
    cluster, namespace, kind = object_of(args)
    from raygen.client.jobs import current, get

    job = get(cluster, namespace, args.name, kind)
    status = job.get("status") or {}
    is_asked = args.attempt is not None or args.rank != DRIVER
    # One that Kueue took back has trained, though its attempt has not ended.
    began = any("ended" in one or "firstStep" in one for one in status.get("attempts", ()))
    if not status.get("driver") and not began:
        raise InputError(
            "the driver has not started, and nothing is kept of an earlier one",
            where=args.name,
            remedy=f"{current(job)['message'].rstrip('.')}. Wait for it: raygen wait {args.name} --for Training",
        )
    if "run" in status and (is_asked or not status.get("driver")):
        return _kept(args, status["run"])
    return _live(args, cluster, job, kind)


def _kept(args: argparse.Namespace, where: str) -> int:
    """Prints from a run directory, wherever the pods are."""
    from raygen.run.logs import kept
    from raygen.run.record import run_directory

    rank = None if args.rank == DRIVER else int(args.rank)
    read = set[str]()
    try:
        directory = run_directory(where)
        lines = [line for line in kept(directory.storage, args.attempt, read) if line.get("rank") == rank]
    except RaygenError as error:
        raise InputError(
            f"the pods are gone, and the run directory cannot be read: {error.what}",
            where=without_secrets(where),
            remedy=error.remedy or "Set AWS_ACCESS_KEY_ID and the like as its pods have them.",
        ) from error
    if not lines:
        whose = "the driver" if rank is None else f"rank {rank}"
        which = "" if args.attempt is None else f" in attempt {args.attempt}"
        raise InputError(
            f"nothing is kept of what {whose} printed{which}",
            where=where,
            remedy="Logs are kept from the moment the run is found; before that, read why: raygen get",
        )
    if args.follow:
        # In the attempt that it began with: another one is another story.
        attempt = int(lines[0]["attempt"])

        def more() -> list[dict[str, Any]]:
            return [line for line in kept(directory.storage, attempt, read) if line.get("rank") == rank]

        def over() -> bool:
            attempts = directory.attempts()
            return not attempts or attempts[-1].number != attempt or attempts[-1].ended is not None

        _follow(args, lines, more, over)
    else:
        print_result(args, {"run": where, "lines": lines}, _text(lines).removesuffix("\n"))
    return 0


def _follow(
    args: argparse.Namespace,
    lines: list[dict[str, Any]],
    more: Callable[[], list[dict[str, Any]]],
    over: Callable[[], bool],
) -> None:
    """Prints lines as they come, until their attempt is over; each is a JSON document of its own."""
    while True:
        for line in lines:
            print_result(args, line, _text([line]).removesuffix("\n"))
        sys.stdout.flush()
        # Asked first, so that what was printed up to the end is read.
        is_over = over()
        lines = more()
        if is_over and not lines:
            return
        if not lines:
            time.sleep(FOLLOW_SECONDS)


def _text(lines: Iterable[Mapping[str, Any]]) -> str:
    return "".join(f"{printable(str(line.get('text', '')))}\n" for line in lines)


def _live(args: argparse.Namespace, cluster: Any, job: dict[str, Any], kind: Resource) -> int:
    """Prints from the head pod."""
    from raygen.client.dashboard import Forward
    from raygen.client.jobs import attempt_is_over
    from raygen.client.logs import logs
    from raygen.kube import RAY_JOBS

    namespace = job["metadata"]["namespace"]
    forward = Forward(cluster, job)
    try:
        attempt = job["status"]["attempts"][-1]["rayJob"]
        job_id = (cluster.get(RAY_JOBS, namespace, attempt).get("status") or {}).get("jobId")
        if not job_id:
            raise InputError(
                "the driver has not started",
                where=attempt,
                remedy=f"Wait: raygen wait {args.name} --for Training",
            )
        found: list[str] = []

        def write(text: str) -> None:
            found.append(text)
            if not args.json:
                sys.stdout.write(text)
                sys.stdout.flush()

        def over() -> bool:
            return attempt_is_over(cluster, namespace, args.name, attempt, kind)

        if not logs(forward.url, job_id, write, follow=args.follow, over=over):
            run = job["status"].get("run")
            rest = f"raygen logs {run}" if run else "in its run directory"
            print(
                f"the attempt has ended and its head pod is gone; all that was kept: {rest}", file=sys.stderr
            )
    finally:
        forward.close()
    if args.json:
        print_result(args, {"name": args.name, "rayJob": attempt, "logs": "".join(found)}, "")
    return 0
