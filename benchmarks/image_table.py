"""The sections of results/README.md on images; see table.py."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from harness import RESULTS, read_result

Heading = Callable[[str, dict[str, Any]], Iterator[str]]
Row = Callable[..., Iterator[str]]

MUST_NAMES = {
    "negative_elbo": "negative ELBO of the test images, nats",
    "negative_log_likelihood": "negative log-likelihood, nats",
    "seconds": "training and evaluation, s",
    "least_share_of_a_digit": "least share of a digit among the samples",
    "confidence": "the classifier's mean confidence",
    "near_copies": "near copies of training images, in pixels; the test images' own share is the limit",
}
SIDE_NAMES = {
    "recipe": "784-400-20, ten epochs, grey levels",
    "best": "the best within 20 minutes, black and white drawn anew",
}
SPEED_NAMES = {
    "vae_speed": "VAE 784-400-20, batch 128",
    "dcgan_speed": "DCGAN, 64 pixels, batch 64, BFloat16",
}


def vae_quality(heading: Heading, row: Row) -> Iterator[str]:
    """What VAEs reach."""
    result = read_result("vae_quality")
    if result:
        yield from heading("VAEs of digits", result)
        yield from row("model", "figure", "value", "must")
        yield from row(*["---"] * 4)
        for side, found in result["sides"].items():
            error = f" +- {found['standard_error']:.2f}" if "standard_error" in found else ""
            for name, figure in found["must"].items():
                value = f"{figure['value']:,.2f}{error if name == 'negative_log_likelihood' else ''}"
                yield from row(SIDE_NAMES[side], MUST_NAMES[name], value, limit(figure))
        yield ""


def gan_quality(heading: Heading, row: Row) -> Iterator[str]:
    """What a GAN reaches."""
    result = read_result("gan_quality")
    if result:
        yield from heading(f"{result['samples']:,} digits from a GAN", result)
        yield from row("figure", "value", "must")
        yield from row(*["---"] * 3)
        for name, figure in result["must"].items():
            yield from row(MUST_NAMES[name], f"{figure['value']:,.4g}", limit(figure))
        for name, value in result["frechet_distance"].items():
            label = name.replace("_", " ")
            yield from row(f"Frechet distance of {label} from the test images", f"{value:.3f}", "reported")
        for name, value in result["neighbourhood"].items():
            yield from row(name.replace("_", " "), f"{value:.3f}", "reported")
        yield f"\nThe classifier is right on {result['classifier']['accuracy']:.2%} of the test images."
        if (RESULTS / "gan_quality.png").exists():
            yield "\n![The first 100 samples](gan_quality.png)"
        yield ""


def speed(heading: Heading, row: Row, middle: Callable[..., tuple[str, str]]) -> Iterator[str]:
    """Images per second beside pytorch/examples."""
    for name, title in SPEED_NAMES.items():
        result = read_result(name)
        if result:
            yield from heading(f"Images per second: {title}", result)
            yield from row("side", "median", "least to most", "must")
            yield from row(*["---"] * 4)
            for side, values in result["interleaved"].items():
                yield from row(f"{side}, alternating", *middle(values, 1), "")
            label = f"raygen / `{result['script']}`, within each pair"
            yield from row(
                label,
                *middle(result["ratio"], 3),
                judged(f">= {result['at_least']}", result["ratio"]["median"]),
            )
            yield ""


def feature_distances(heading: Heading, row: Row, middle: Callable[..., tuple[str, str]]) -> Iterator[str]:
    """Frechet and kernel distance beside other libraries."""
    result = read_result("feature_distances")
    if result:
        must = result["must"]
        size = f"{result['samples']:,} x {result['dimensions']:,}"
        yield from heading(f"Distances between two sets of {size} features", result)
        yield from row(
            "metric",
            "side",
            "s, median",
            "least to most",
            "faster peer's / these",
            "must",
            "MiB beyond",
            "must",
        )
        yield from row(*["---"] * 8)
        for metric in ("frechet", "kernel"):
            for side, found in result[metric].items():
                name = side.replace("_", "-")
                version = result["versions_of_peers"].get(name, "")
                cells = [metric, f"{name} {version}".strip(), *middle(found["seconds"], 2)]
                cells += _against_peers(found, must) if side.startswith("raygen") else ["", ""]
                memory = (
                    judged(f"<= {must['memory_mib']:g}", found["memory_mib"])
                    if side.startswith("raygen")
                    else ""
                )
                yield from row(*cells, f"{found['memory_mib']:,.0f}", memory)
        yield ""


def memorisation(heading: Heading, row: Row) -> Iterator[str]:
    """Which copies are found, and what raises an alarm though nothing was copied."""
    result = read_result("memorisation")
    if result:
        sizes = f"{result['training']:,} training images and {result['held_out']:,} held-out ones"
        yield from heading(f"Copies of training images, with {sizes}", result)
        yield from row("copies under", "found", "must", "alarm at 1 % copies", "AuthPct's", "C_T's")
        yield from row(*["---"] * 6)
        for name, found in result["copies"].items():
            must = judged(
                f">= {result['must']['found']:g}" if name in result["required"] else "", found["found"]
            )
            yield from row(name, f"{found['found']:.3f}", must, *_alarms(found["at_1_percent"]))
        yield ""
        yield from row("a model without copies", "flagged", "interval of 95 %", "alarm", "AuthPct's", "C_T's")
        yield from row(*["---"] * 6)
        for name, found in result["honest"].items():
            low, high = found["interval"]
            yield from row(name, f"{found['flagged']:.3f}", f"{low:.3f} to {high:.3f}", *_alarms(found))
        yield ""


def _alarms(found: dict[str, Any]) -> list[str]:
    return [
        f"yes, p {found['alarm_p']:.1g}" if found["alarm"] else "no",
        f"{'yes' if found['authpct_alarm'] else 'no'}, {found['authpct']:.2f}",
        f"{'yes' if found['c_t_alarm'] else 'no'}, {found['c_t']:.1f}",
    ]


def _against_peers(found: dict[str, Any], must: dict[str, float]) -> tuple[str, str]:
    if "peers_to_raygen" not in found:
        return "", ""
    median = found["peers_to_raygen"]["median"]
    return f"{median:,.2f}", judged(f">= {must['peers_to_raygen']:g}", median)


def limit(figure: dict[str, Any]) -> str:
    """A limit, and whether it is kept."""
    least = "at_least" in figure
    bound = figure["at_least" if least else "at_most"]
    return f"{'>=' if least else '<='} {bound:,.4g}{'' if figure['holds'] else ', missed'}"


def judged(must: str, value: float) -> str:
    """A limit in words, such as `<= 0.1 %`, and whether a figure in the same unit keeps it."""
    found = re.search(r"(>=|<=|<) ([\d.,]+)", must)
    if found is None:
        return must
    bound = float(found[2].replace(",", ""))
    kept = {">=": value >= bound, "<=": value <= bound, "<": value < bound}[found[1]]
    return must if kept else f"{must}, missed"
