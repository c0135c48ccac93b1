"""The section of results/README.md on a CUDA device; see table.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from harness import read_result
from image_table import limit

Heading = Callable[[str, dict[str, Any]], Iterator[str]]
Row = Callable[..., Iterator[str]]
Middle = Callable[..., tuple[str, str]]

SIDE_NAMES = {
    "raygen": "raygen",
    "bare_loop": "bare loop, PyTorch's own settings",
    "bare_loop_repeatable": "bare loop, equal steps give equal bits, as raygen's do",
}


def cuda(heading: Heading, row: Row, middle: Middle) -> Iterator[str]:
    """Speed on a CUDA device: the GPT, then what else was measured."""
    result = read_result("cuda_speed")
    if not result:
        return
    yield from heading("On one GPU", result)
    yield from row("figure", "median", "least to most", "must")
    yield from row(*["---"] * 4)
    yield from gpt(result, row, middle)
    if "checkpoint" in result:
        found = result["checkpoint"]
        every, share = found["every_steps"], found["must"]["share_of_loop_waiting"]
        label = f"ms in the call that saves, every {every} steps"
        yield from row(label, *middle(found["milliseconds_of_a_call"], 1), "")
        bound = limit({**share, "at_most": share["at_most"] * 100})
        yield from row("% of the loop in that call", f"{share['value'] * 100:.2f}", "", bound)
    for name, value in result.get("images", {}).get("per_second", {}).items():
        yield from row(f"images per second, {name}", f"{value:,.0f}", "", "reported")
    if "example" in result:
        found = result["example"]
        yield from row(f"s, `{found['name']}`", f"{found['seconds']:.1f}", "", "reported")
        yield from row("its validation loss", f"{found['validation_loss']:.4f}", "", "reported")
    yield ""


def gpt(result: dict[str, Any], row: Row, middle: Middle) -> Iterator[str]:
    """The GPT's figures."""
    found = result.get("gpt")
    if not found:
        return
    millions = f"{found['parameters'] / 1e6:.1f} million parameters"
    for name, values in found["tokens_per_second"].items():
        what = f"tokens per second, {SIDE_NAMES[name]}"
        yield from row(f"{what}: {millions}, BFloat16" if name == "raygen" else what, *middle(values, 0), "")
    for name, key in (("bare_loop_repeatable", "ratio"), ("bare_loop", "ratio_to_default_settings")):
        label = f"raygen / {SIDE_NAMES[name]}"
        yield from row(label, *middle(found["ratios"][name], 3), limit(found["must"][key]))
    cost = found["cost_of_repeatability"]
    yield from row("% that equal bits cost the bare loop", *middle(cost, 1, 100), "reported")
    alone = found["float32"]
    yield from row("tokens per second in Float32", f"{alone['tokens_per_second']:,.0f}", "", "")
    yield from row("BFloat16 / Float32", f"{alone['bfloat16_to_float32']:.2f}", "", "reported")
    measured = result["products"]["BFloat16"]
    use = f"{found['use_of_measured'] * 100:.1f}"
    yield from row(f"% of the {measured:.0f} TFLOP/s of large products, measured here", use, "", "reported")
    if "use_of_sheet" in found:
        sheet = f"% of the {found['sheet_tflops']:.0f} TFLOP/s of the data sheet"
        must = found["must"]["use"]
        bound = limit({**must, "at_least": must["at_least"] * 100})
        yield from row(sheet, f"{found['use_of_sheet'] * 100:.1f}", "", bound)
