"""The chart's part of results/README.md: the first model, an upgrade, and jobs in queues."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import image_table
from cluster_table import Heading, Middle, Row
from harness import read_result


def first_model(heading: Heading, row: Row, middle: Middle) -> Iterator[str]:
    """From a cluster without KubeRay to a trained model."""
    del middle
    for name, job in (
        ("first_model", "500 steps on one worker of two cores"),
        ("first_model_sample", "the sample's 2,000 steps on two workers"),
    ):
        result = read_result(name)
        if not result:
            continue
        yield from heading(f"Two helm installs and one kubectl apply: the first model, {job}", result)
        runs = result["seconds"]
        yield from row("s", *(f"run {number}" for number in range(1, len(runs) + 1)), "must")
        yield from row(*["---"] * (len(runs) + 2))
        for phase in runs[0]:
            bound = image_table.limit(result["must"]["all_s"]) if phase == "all" else ""
            yield from row(phase, *(f"{one[phase]:.1f}" for one in runs), bound)
        yield ""


def upgrade(heading: Heading, row: Row, middle: Middle) -> Iterator[str]:
    """The chart upgraded while jobs train."""
    result = read_result("upgrade")
    if not result:
        return
    del middle
    yield from heading(f"The chart upgraded and rolled back while {result['jobs']} jobs train", result)
    yield from _musts(row, result)
    yield from row("pods of jobs", str(result["pods"]), "")
    for verb, seconds in result["seconds"].items():
        yield from row(f"s of helm {verb} --wait", f"{seconds:.0f}", "")
    yield ""


def queued(heading: Heading, row: Row, middle: Middle) -> Iterator[str]:
    """Jobs that Kueue lets in one after the other."""
    del middle
    for name, how in (("queued", "a stub in KubeRay's place"), ("queued_pods", "in pods")):
        result = read_result(name)
        if result:
            yield from _queued(heading, row, result, how)


def _queued(heading: Heading, row: Row, result: dict[str, Any], how: str) -> Iterator[str]:
    jobs, operator = result["jobs"], result["operator"]
    count = sum(jobs.values())
    yield from heading(f"{count} jobs of two teams and Kueue, with room for two, {how}", result)
    yield from _musts(row, result)
    for team, number in jobs.items():
        times = result["admission_s"][team]
        said = f"{times['first']:.0f}, {times['median']:.0f}, {times['last']:.0f}"
        yield from row(f"s until the first, the median, the last of {team}'s {number} was let in", said, "")
    shares = " to ".join(str(one) for one in result["admitted_while_both_teams_wait"].values())
    yield from row(f"let in while both teams had jobs that waited, {' to '.join(jobs)}", shares, "")
    yield from row("minutes in all", f"{result['seconds']['all'] / 60:.0f}", "")
    yield from row("the operator's CPU, ms a job", f"{1000 * operator['cpu_s_a_job']:.0f}", "")
    yield from row("the same, as a share of one core", f"{100 * operator['share_of_a_core']:.2f} %", "")
    yield from row("its memory at most, MB", f"{operator['peak_rss_mb_of_one']:.0f}", "")
    yield ""


def _musts(row: Row, result: dict[str, Any]) -> Iterator[str]:
    yield from row("figure", "value", "must")
    yield from row("---", "---", "---")
    for name, bound in result["must"].items():
        yield from row(name.replace("_", " "), f"{bound['value']:.3g}", image_table.limit(bound))
