"""The sections of results/README.md about sweeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from harness import read_result
from image_table import judged

Heading = Callable[[str, dict[str, Any]], Iterator[str]]
Row = Callable[..., Iterator[str]]
Middle = Callable[..., tuple[str, str]]

FIGURES = (
    ("raygen_to_ideal", "raygen's time over the trials' own, shared by the slots", 3),
    ("tune_to_ideal", "Ray Tune's, with reused actors", 3),
    ("overhead_to_tune", "raygen's idle time of a slot for each trial over Ray Tune's", 3),
    ("driver_mb", "MB of the driver", 0),
    ("restart_s", "s to open the sweep again, up to its next decision", 2),
    ("summary_kb", "kB of summary.json", 1),
)


def sweep_overhead(heading: Heading, row: Row, middle: Middle) -> Iterator[str]:
    """What a sweep costs beside its trials."""
    for name in ("sweep_overhead", "sweep_scale"):
        result = read_result(name)
        if not result:
            continue
        title = (
            f"{result['trials']:,} trials that sleep for {result['seconds']:g} s, {result['slots']} at a time"
        )
        yield from heading(title, result)
        yield from row("figure", "median", "least to most", "must")
        yield from row(*["---"] * 4)
        for figure, words, digits in FIGURES:
            if figure in result:
                bound = result["must"].get(figure)
                limit = judged(f"<= {bound:g}", result[figure]["median"]) if bound is not None else ""
                yield from row(words, *middle(result[figure], digits), limit)
        yield ""
