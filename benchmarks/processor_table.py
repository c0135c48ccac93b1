"""The sections of results/README.md on kinds of processors and on threads; see table.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cuda_table import Heading, Middle, Row
from harness import read_result
from image_table import judged


def processors(heading: Heading, row: Row, middle: Middle) -> Iterator[str]:
    """The examples' defaults beside their alternatives on two kinds of processor."""
    result = read_result("processors")
    if not result:
        return
    yield from heading("Defaults on two kinds of processor", result)
    variables = " ".join(f"{name}={value}" for name, value in result["imitation"].items())
    yield f"AVX2 alone is imitated by `{variables}`; MKL uses AVX2 on AMD's processors by itself.\n"
    yield from row("job", "processor", "ms of a step", "speed beside", "median", "least to most", "must")
    yield from row(*["---"] * 7)
    for group, kinds in result["groups"].items():
        for kind, found in kinds.items():
            default, *_ = found["milliseconds"]
            step = f"{default}: {middle(found['milliseconds'][default], 1)[0]}"
            for other, ratio in found["default_to"].items():
                must = _must(result, kind, other, ratio["median"])
                yield from row(group, kind, step, other, *middle(ratio, 2), must)
    yield ""
    for kind, found in result.get("muon_products", {}).items():
        yield (
            f"Muon's matrix products in the first example, {kind}: {found['gflop']:.2f} GFLOP a step, which take"
            f" {found['milliseconds']:.1f} ms at the {found['gflops_per_second']:.0f} GFLOP/s of a product of 2048 x 2048 in the same run.\n"
        )


def _must(result: dict[str, Any], kind: str, other: str, median: float) -> str:
    if (kind, other) != ("AVX2 alone", "AdamW"):
        return ""
    return judged(f">= {result['must']['muon_to_adamw']}", median)


def runs(heading: Heading, row: Row, middle: Middle) -> Iterator[str]:
    """The first example as a whole."""
    del middle
    result = read_result("processors_runs")
    if not result:
        return
    yield from heading("The first example on two kinds of processor", result)
    must = result["must"]
    yield from row("optimizer, processor", "loss", "s", "must")
    yield from row(*["---"] * 4)
    for name, run in result["runs"].items():
        bound = f"{result['readme_loss']} +- {must['loss_difference']}, <= {must['demo_seconds']} s"
        if (
            abs(run["loss"] - result["readme_loss"]) > must["loss_difference"]
            or run["seconds"] > must["demo_seconds"]
        ):
            bound += ", missed"
        yield from row(name, f"{run['loss']:.4f}", f"{run['seconds']:.0f}", bound if "AVX2" in name else "")
    yield ""


def threads(heading: Heading, row: Row, middle: Middle) -> Iterator[str]:
    """Steps per second by the way in which threads wait."""
    result = read_result("threads")
    if not result:
        return
    yield from heading("Threads that wait", result)
    yield (
        "Rounds for which a thread spins before it sleeps (GOMP_SPINCOUNT). The share of the cores that others used at most in the"
        " turns that count, which the machine's own processes and the busy ones are, stands beside.\n"
    )
    yield from row("job", "rounds", "steps per second", "least to most", "turns", "others")
    yield from row(*["---"] * 6)
    for job, sides in result["results"].items():
        for side, found in sides.items():
            speed = found["steps_per_second"]
            cells = *middle(speed, 1), str(len(speed["values"])), f"{found['others'] * 100:.0f} %"
            yield from row(job, side, *cells)
    yield ""
