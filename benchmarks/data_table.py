"""The sections of results/README.md about data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from harness import read_result
from image_table import judged

Heading = Callable[[str, dict[str, Any]], Iterator[str]]
Row = Callable[..., Iterator[str]]
Middle = Callable[..., tuple[str, str]]

IMAGE_LIMITS = {"pyarrow": ">= 0.5", "litdata": ">= 10", "webdataset": ">= 30", "streaming": ">= 30"}
PAIRS = {
    "macro_f1": ("macro F1", ">= 0.953"),
    "found": ("copies found", ""),
    "false_removals": ("false removals", ""),
}


def image_streams(heading: Heading, row: Row, middle: Middle) -> Iterator[str]:
    """Shuffled batches of MNIST beside other loaders."""
    result = read_result("image_streams")
    if result:
        yield from heading(f"60,000 images of MNIST in shuffled batches of {result['batch']}", result)
        yield from row("reader", "images/s, median", "least to most", "raygen's / these", "must")
        yield from row(*["---"] * 5)
        for name, rates in result["images_per_s"].items():
            versions = result.get("versions_of_peers", {})
            label = " ".join(filter(None, (name, versions.get(name, ""))))
            yield from row(label, *middle(rates, 0), *_ratio(result, name, IMAGE_LIMITS.get(name, "")))
        yield ""


def picture_streams(heading: Heading, row: Row, middle: Middle) -> Iterator[str]:
    """Shuffled batches of photographs from an S3 server beside other loaders."""
    result = read_result("picture_streams")
    if result:
        title = f"{result['files']:,} JPEG files of 64 x 64, prepared, from an S3 server on the same machine"
        yield from heading(title, result)
        yield from row("reader", "images/s, median", "least to most", "raygen's / these", "must")
        yield from row(*["---"] * 5)
        for name, rates in result["images_per_s"].items():
            package = name.partition(",")[0]
            label = name.replace(package, f"{package} {result['versions_of_peers'].get(package, '')}".strip())
            yield from row(label, *middle(rates, 0), *_ratio(result, name, f">= {result['must']:g}"))
        yield ""
        for name, written in result["written"].items():
            yield f"- {name} wrote {written['bytes'] / 1e6:,.0f} MB in {written['seconds']:,.0f} s."
        yield ""


def _ratio(result: dict[str, Any], name: str, must: str) -> tuple[str, str]:
    """raygen's speed as a multiple of another reader's, and what it must be; nothing for raygen itself."""
    if name not in result["ratio"]:
        return "", ""
    median = result["ratio"][name]["median"]
    return f"{median:,.2f}", judged(must, median)


def augmentation_speed(heading: Heading, row: Row, middle: Middle) -> Iterator[str]:
    """Augmented images beside torchvision and kornia."""
    result = read_result("augmentation_speed")
    if result:
        shape = " x ".join(map(str, result["shape"]))
        yield from heading(f"Augmentation of a batch of {shape} on one core, seven changes", result)
        yield from row("library", "images/s, median", "least to most")
        yield from row(*["---"] * 3)
        for name, rates in result["images_per_second"].items():
            yield from row(name, *middle(rates, 0))
        yield ""


def text_streams(heading: Heading, row: Row, middle: Middle) -> Iterator[str]:
    """Batches of prepared text from an S3 server beside bare reads, and the memory of readers."""
    result = read_result("text_streams")
    if result:
        must = result["must"]
        title = f"{result['megabytes']} MB of tokens from an S3 server on the same machine, into batches of 64 x 256"
        yield from heading(title, result)
        yield from row("figure", "median", "least to most", "must")
        yield from row(*["---"] * 4)
        for name, rates in result["mb_per_s"].items():
            yield from row(f"MB/s, {name}", *middle(rates, 1), "")
        yield from row("million tokens/s, raygen", *middle(result["million_tokens_per_s"], 1), "")
        ratio, first = result["raygen_to_boto3"], result["first_batch_s"]
        least = judged(f">= {must['raygen_to_boto3']:g}", ratio["median"])
        yield from row("raygen's MB/s / those of bare reads", *middle(ratio, 3), least)
        yield from row("s until the first batch", *middle(first, 2), judged("<= 0.5", first["median"]))
        waits = result["training_waits"]
        most = judged(f"< {must['training_waits'] * 100:g}%", waits * 100)
        yield from row("share of a small GPT's steps that waits for data", f"{waits:.2%}", "", most)
        for size, found in result["memory_mb"].items():
            peaks = [one["peak_mb"] for one in found]
            label = f"MB of memory at most, two readers of {size} GB"
            most = judged(f"<= {must['memory_mb']}", max(peaks))
            yield from row(label, "", " and ".join(f"{peak:,.0f}" for peak in peaks), most)
        yield ""


def first_batch(heading: Heading, row: Row, middle: Middle) -> Iterator[str]:
    """How long the first batch takes from opening the data, by each way to read."""
    result = read_result("first_batch")
    if result:
        title = f"The first batch of {result['files']:,} prepared pictures of 64 x 64"
        yield from heading(title, result)
        yield from row("who reads", "s from opening the data, median", "least to most", "must")
        yield from row(*["---"] * 4)
        for name, seconds in result["first_batch_s"].items():
            must = judged(f"<= {result['must'][name]:g}", seconds["median"])
            yield from row(name, *middle(seconds, 2), must)
        yield ""


def data_kills(heading: Heading, row: Row, middle: Middle) -> Iterator[str]:
    """Kills of what prepares data and of what streams it."""
    del middle
    result = read_result("data_kills")
    if result:
        yield from heading("Kills while data is prepared and streamed", result)
        yield from row("what", "kills", "ended in spite of them", "different", "must")
        yield from row(*["---"] * 5)
        for name, what in (("prepare", "data_sets"), ("stream", "passes")):
            found = result[name]
            ended = f"{found[what]} {what.replace('_', ' ')}"
            yield from row(
                name, str(found["kills"]), ended, str(found["different"]), judged("<= 0", found["different"])
            )
        yield ""


def duplicates(heading: Heading, row: Row, middle: Middle) -> Iterator[str]:
    """Near duplicates of texts: how many are told, and how fast."""
    del middle
    result = read_result("duplicates")
    if result:
        yield from heading("Near-duplicates of texts", result)
        yield from row("figure", "value", "must")
        yield from row(*["---"] * 3)
        for threshold, figures in result["pairs"].items():
            for name, (label, must) in PAIRS.items():
                yield from row(
                    f"{label}, 20,000 labelled pairs, threshold {threshold}",
                    f"{figures[name]:.4f}",
                    judged(must, figures[name]),
                )
        speed = result["speed"]
        for found in filter(None, (speed, result.get("large"))):
            ours, size = found["raygen"], f"{found['megabytes']:,.0f} MB"
            yield from row(
                f"planted copies found, {size}", f"{ours['found']:.4f}", judged(">= 0.99", ours["found"])
            )
            share = ours["false_removals"] / found["documents"]
            yield from row(
                f"texts removed that are no copies, {size}", f"{share:.3%}", judged("<= 0.1 %", share * 100)
            )
        if "large" in result:
            yield from row(f"MB/s, raygen, {size}", f"{ours['mb_per_second']:.2f}", "")
        for name in ("raygen", "datatrove"):
            if name in speed:
                yield from row(f"MB/s, {name}", f"{speed[name]['mb_per_second']:.2f}", "")
        if "ratio" in speed:
            yield from row(
                "raygen's MB/s / datatrove's", f"{speed['ratio']:.2f}", judged(">= 1.5", speed["ratio"])
            )
        yield ""
