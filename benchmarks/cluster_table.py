"""The test cluster's part of results/README.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import image_table
from harness import read_result

Heading = Callable[[str, dict[str, Any]], Iterator[str]]
Row = Callable[..., Iterator[str]]
Middle = Callable[..., tuple[str, str]]


def start(heading: Heading, row: Row, middle: Middle) -> Iterator[str]:
    """From `kubectl apply` to the first step, by phase."""
    result = read_result("cluster_start")
    if result:
        yield from heading(
            "On the test cluster: `kubectl apply` to the end of the first step, two workers", result
        )
        yield from row(
            "s until", "raygen, median", "least to most", "plain Ray Train, median", "least to most"
        )
        yield from row(*["---"] * 5)
        sides = result["seconds"]
        for phase, seconds in sides["raygen"].items():
            label = "all" if phase == "all" else phase
            yield from row(label, *middle(seconds, 1), *middle(sides["plain"][phase], 1))
        median, spread = middle(result["ratio"], 3)
        bound = image_table.limit(result["must"]["start_to_plain"])
        yield f"\nRatio within each pair: {median} ({spread}); must be {bound}.\n"


def up(heading: Heading, row: Row, middle: Middle) -> Iterator[str]:
    """How long the test cluster takes to be there."""
    result = read_result("cluster_up")
    if result:
        yield from heading("`make cluster-up`", result)
        yield from row("figure", "median", "least to most", "must")
        yield from row(*["---"] * 4)
        must = result["must"]
        for name, label in (
            ("warm", "s, with nothing to build"),
            ("change", "s, from a change of the code to pods of it"),
        ):
            if name in result:
                yield from row(label, *middle(result[name], 1), image_table.limit(must[f"{name}_seconds"]))
        if "fresh" in result:
            fresh = result["fresh"]
            yield from row(
                "s, with everything to build",
                f"{fresh['seconds']:,.0f}",
                "once",
                image_table.limit(must["fresh_seconds"]),
            )
            disk = f"{fresh['disk_gb']:.1f}"
            yield from row(
                "GB on the disk, with all caches", disk, "once", image_table.limit(must["disk_gb"])
            )
            steps = ", ".join(
                f"{name} {seconds:.0f}" for name, seconds in fresh["steps"].items() if seconds >= 1
            )
            yield f"\nOf that: {steps}.\n"
        else:
            yield ""


def operator(heading: Heading, row: Row, middle: Middle) -> Iterator[str]:
    """The operator with thousands of jobs."""
    result = read_result("operator_scale")
    if not result:
        return
    del middle
    yield from heading(
        "The operator with thousands of jobs, a real API server, RayJobs ended by a stub", result
    )
    counts = list(result["jobs"])
    yield from row("figure", *(f"{int(count):,} jobs" for count in counts), "must")
    yield from row(*["---"] * (len(counts) + 2))
    must = result["must"]
    for name, label, digits, bound in (
        ("ray_jobs_after_s", "s until all have their RayJob", 1, ""),
        ("ray_jobs_per_second", "RayJobs a second", 0, ""),
        ("succeeded_after_s", "s until all have succeeded", 1, ""),
        ("p50", "s from a job to its RayJob, median", 2, ""),
        ("p99", "the same, 99 of 100", 2, ""),
        ("writes_per_job", "writes of the operator for each job, Events included", 2, "writes_per_job"),
        (
            "reconciles_per_second",
            "looks a second at 500 jobs that train, without a write",
            0,
            "reconciles_per_second",
        ),
        ("rss_mb", "MB of memory", 0, "rss_mb"),
        ("ready_seconds", "s from its start to ready", 1, "ready_seconds"),
    ):
        values = [f"{(found['latency'] | found)[name]:,.{digits}f}" for found in result["jobs"].values()]
        yield from row(label, *values, image_table.limit(must[bound]) if bound else "")
    yield ""


def peer(heading: Heading, row: Row, middle: Middle) -> Iterator[str]:
    """The operator beside Kubeflow Trainer."""
    result = read_result("operator_peer")
    if not result:
        return
    yield from heading(
        f"{result['jobs']:,} jobs to their RayJobs or JobSets a second, on one API server, in turns", result
    )
    yield from row("side", "median", "least to most", "CPU s", "raygen to it", "must")
    yield from row(*["---"] * 6)
    for name, label in (
        ("raygen", "raygen"),
        ("trainer", "Kubeflow Trainer 2.3.0 as its manifests configure it"),
        ("trainer_raised", "with its limits raised"),
        ("trainer_parallel", "built anew with 20 workers, limits raised"),
    ):
        side = result["sides"][name]
        ratio = result["ratios_of_raygen"].get(name)
        bound = result["must"].get(f"to_{name}")
        yield from row(
            label,
            *middle(side["per_second"], 1),
            middle(side["cpu_s"], 1)[0],
            middle(ratio, 2)[0] if ratio else "",
            image_table.limit(bound) if bound else "",
        )
    yield ""


def operator_start(heading: Heading, row: Row, middle: Middle) -> Iterator[str]:
    """What the operator adds to a start."""
    result = read_result("operator_start")
    if not result:
        return
    yield from heading("A TrainingJob beside its own RayJob applied by hand, on the test cluster", result)
    yield from row(
        "s from `kubectl apply`", "TrainingJob, median", "least to most", "RayJob, median", "least to most"
    )
    yield from row(*["---"] * 5)
    own, plain = result["seconds"]["trainingjob"], result["seconds"]["rayjob"]
    for name, label in (
        ("applied", "until kubectl has ended"),
        ("ray_job", "until the RayJob is there"),
        ("first_step", "until the first step is done"),
    ):
        yield from row(label, *middle(own[name], 2), *middle(plain[name], 2))
    median, spread = middle(result["difference"], 2)
    bound = image_table.limit(result["must"]["more_than_the_rayjob_s"])
    yield f"\nDifference within each pair: {median} s ({spread}); must be {bound}.\n"


def soak(heading: Heading, row: Row, middle: Middle) -> Iterator[str]:
    """Jobs on the cluster among kills."""
    result = read_result("soak")
    if not result:
        return
    del middle
    yield from heading(f"{result['jobs']} jobs on the test cluster, {result['kills']} kills", result)
    killed = ", ".join(f"{kind} {count}" for kind, count in result["killed"].items())
    causes = ", ".join(f"{cause} {count}" for cause, count in result["causes"].items())
    yield from row("figure", "value", "must")
    yield from row("---", "---", "---")
    for name, label in (
        ("failed", "jobs that did not succeed"),
        ("different", f"losses unlike the calm run's, of {result['losses_compared']:,}"),
        ("missing_steps", "steps without a loss"),
        ("two_ray_jobs", "attempts with two RayJobs, or jobs with two at a time"),
        ("left", "RayJobs, RayClusters and pods left at the end"),
    ):
        yield from row(label, str(len(result[name])), image_table.limit(result["must"][name]))
    yield from row("attempts", str(result["attempts"]), "")
    yield from row("minutes", f"{result['all_jobs_s'] / 60:.0f}", "")
    yield f"\nKilled: {killed}. How attempts ended: {causes}.\n"
