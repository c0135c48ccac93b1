"""Writes results/README.md from results/*.json.

python benchmarks/table.py
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cluster_table
import cuda_table
import data_table
import image_table
import install_table
import processor_table
import sweep_table
from harness import RESULTS, ROOT, read_result, spread

SIDE_NAMES = {
    "nanogpt": "nanoGPT",
    "nanogpt-recipe": "nanoGPT's recipe in raygen",
    "nanogpt-recipe-bf16": "the same in BFloat16",
    "best-recipe": "raygen's own recipe, equal tokens and parameters",
    "best-recipe-bf16": "the same in BFloat16",
}
RATIO_NAMES = {
    "raygen_to_bare_loop": ("raygen / bare PyTorch loop on the same module", ">= 0.98"),
    "raygen_bf16_to_raygen": ("BFloat16 / Float32", "goal >= 1.3"),
    "raygen_to_nanogpt": ("raygen / nanoGPT's model and step", ">= 1"),
    "nanogpt_to_raygen": ("nanoGPT / raygen, each in a process of its own", "reported"),
}
WORKER_SIDES = {
    "raygen": "raygen",
    "ddp": "DistributedDataParallel",
    "ddp_views": "the same with gradient_as_bucket_view",
    "afterwards": "one sum after the backward pass",
}
QUALITY_LIMITS = {"nanogpt-recipe": "<= 1.88", "best-recipe": "<= 1.78"}


def main() -> None:
    path = RESULTS / "README.md"
    path.write_text(page())
    print(f"wrote {path.relative_to(ROOT)}")


def page() -> str:
    """The whole page."""
    images = [
        image_table.vae_quality(heading, row),
        image_table.gan_quality(heading, row),
        image_table.speed(heading, row, middle),
        image_table.memorisation(heading, row),
    ]
    parts = (
        cluster_table.start,
        cluster_table.up,
        cluster_table.operator,
        cluster_table.peer,
        cluster_table.operator_start,
        cluster_table.soak,
        install_table.first_model,
        install_table.upgrade,
        install_table.queued,
    )
    on_cluster = [part(heading, row, middle) for part in parts]
    gpu = cuda_table.cuda(heading, row, middle)
    cpu = [
        part(heading, row, middle)
        for part in (processor_table.processors, processor_table.runs, processor_table.threads)
    ]
    of_data = (
        data_table.image_streams,
        data_table.picture_streams,
        data_table.text_streams,
        data_table.first_batch,
        data_table.data_kills,
        data_table.duplicates,
        data_table.augmentation_speed,
        image_table.feature_distances,
        sweep_table.sweep_overhead,
        sweep_table.sweep_kills,
        sweep_table.sweep_curves,
        sweep_table.sweep_regret,
    )
    data = [part(heading, row, middle) for part in of_data]
    alone = [
        startup(),
        first_steps(),
        speed(),
        quality(),
        *images,
        *cpu,
        gpu,
        ray(),
        workers(),
        driver(),
        checkpoints(),
        s3(),
        kills(),
        *data,
    ]
    sections = [*alone, *on_cluster]
    head = "# Results\n\nWritten by `python benchmarks/table.py` from the files beside it; do not edit.\n"
    return "\n".join([head, *filter(None, map("\n".join, sections))])


def startup() -> Iterator[str]:
    result = read_result("startup")
    if result:
        yield from heading("Start-up", result)
        yield from row("command", "median s", "least to most", "must")
        yield from row(*["---"] * 4)
        for name, seconds in result["seconds"].items():
            limit = result["limits"].get(name)
            yield from row(
                f"`{name}`",
                *middle(seconds, 3),
                image_table.judged(f"<= {limit}" if limit else "", seconds["median"]),
            )
        yield ""


def first_steps() -> Iterator[str]:
    result = read_result("startup_workers")
    if result:
        other = result["other"]
        yield from heading(f"`raygen train` to the first step, in turns with {other['commit'][:7]}", result)
        yield f"On a loaded machine: {other['load']:.1f} processes, these among them, wanted a core on average.\n"
        yield from row("workers", "s", "s before", "share, within each round", "least to most", "must")
        yield from row(*["---"] * 6)
        for workers, sides in result["workers"].items():
            now, before = sides["this"]["seconds"], sides["other"]["seconds"]
            shares = spread([a / b for a, b in zip(now["values"], before["values"], strict=True)])
            times = middle(now, 1)[0], middle(before, 1)[0]
            must = image_table.judged(f"<= {result['limit']}", shares["median"])
            yield from row(workers, *times, *middle(shares, 2), must)
        yield ""


def speed() -> Iterator[str]:
    titles = {"text_speed": "Tokens per second", "text_speed_avx2": "Tokens per second, held to AVX2"}
    for result, title in ((read_result(name), title) for name, title in titles.items()):
        if not result:
            continue
        yield from heading(title, result)
        yield from row("side", "median", "least to most")
        yield from row(*["---"] * 3)
        for kind, sides in (("alternating", result["interleaved"]), ("alone", result["alone"])):
            for name, values in sides.items():
                yield from row(f"{name}, {kind}", *middle(values, 0))
        yield ""
        yield from row("ratio, within each pair", "median", "least to most", "must")
        yield from row(*["---"] * 4)
        for name, values in result["ratios"].items():
            label, limit = RATIO_NAMES[name]
            yield from row(label, *middle(values, 3), image_table.judged(limit, values["median"]))
        yield ""


def quality() -> Iterator[str]:
    result = read_result("text_quality")
    if result:
        yield from heading("Validation loss after 1,536,000 tokens, nats per character", result)
        yield from row("model", "parameters", "seeds", "median", "least to most", "must")
        yield from row(*["---"] * 6)
        for side in SIDE_NAMES:
            runs = [run for run in result["runs"] if run["side"] == side]
            if runs:
                cells = f"{runs[0]['parameters']:,}", str(len(runs)), *middle(result["loss"][side], 4)
                must = image_table.judged(QUALITY_LIMITS.get(side, ""), result["loss"][side]["median"])
                yield from row(SIDE_NAMES[side], *cells, must)
        estimates = [run["loss_on_20_batches"] for run in result["runs"] if "loss_on_20_batches" in run]
        if estimates:
            yield f"\nnanoGPT's own estimate on 20 batches: {', '.join(f'{loss:.4f}' for loss in estimates)}."
        yield ""


def ray() -> Iterator[str]:
    result = read_result("ray_overhead")
    if result:
        yield from heading("One worker of Ray Train", result)
        yield from row("figure", "median", "least to most", "must")
        yield from row(*["---"] * 4)
        bound = image_table.limit(result["must"]["ray_to_bare_loop"])
        yield from row(
            "bare loop's time / raygen's, alternating in the worker", *middle(result["ratio"], 3), bound
        )
        label = "the same, the bare loop afterwards without Ray"
        yield from row(label, *middle(result["ratio_without_ray"], 3), "reported")
        yield from row("ms of a step", *middle(result["milliseconds_of_a_step"], 2), "")
        for phase, seconds in result["startup_seconds"].items():
            label = "s until the first step is done" if phase == "all" else f"s, {phase}"
            yield from row(label, *middle(seconds, 2), "reported")
        yield ""


def workers() -> Iterator[str]:
    result = read_result("data_parallel")
    if result:
        title = f"A step of {result['workers']} workers on gloo, {result['parameters'] / 1e6:.0f} million parameters"
        yield from heading(title, result)
        yield from row("side", "median s", "least to most")
        yield from row(*["---"] * 3)
        for side, seconds in result["seconds_of_a_step"].items():
            yield from row(WORKER_SIDES[side], *middle(seconds, 3))
        yield ""
        yield from row("raygen's time, within each round, over that of", "median", "interval of 95 %", "must")
        yield from row(*["---"] * 4)
        for side, ratio in result["ratio_of_seconds"].items():
            bound = image_table.limit(result["must"]["raygen_to_ddp"]) if side == "ddp" else "reported"
            low, high = ratio["interval"]
            yield from row(WORKER_SIDES[side], middle(ratio, 3)[0], f"{low:.3f} to {high:.3f}", bound)
        yield ""


def driver() -> Iterator[str]:
    result = read_result("driver_memory")
    if result:
        yield from heading("Peak of resident memory, a job of two workers", result)
        yield from row("MB of data", "MB of the driver", "must", "MB of the largest worker")
        yield from row(*["---"] * 4)
        for size, found in result["by_megabytes_of_data"].items():
            limit = (
                image_table.limit(result["must"]["largest_data"])
                if size == max(result["by_megabytes_of_data"], key=int)
                else ""
            )
            yield from row(size, f"{found['driver']:.0f}", limit, f"{found['largest_child']:.0f}")
        yield ""


def checkpoints() -> Iterator[str]:
    result = read_result("checkpoint_cost")
    if result:
        yield from heading(f"A checkpoint every {result['every_steps']} steps", result)
        yield from row("figure", "median", "least to most", "must")
        yield from row(*["---"] * 4)
        yield from row("ms in the call", *middle(result["milliseconds_of_a_call"], 2), "")
        share = result["share_of_loop_waiting"], result["limit_of_share"]
        must = image_table.judged(f"<= {share[1] * 100:g}", share[0]["median"] * 100)
        yield from row("% of the loop in the call", *middle(share[0], 3, 100), must)
        yield from row("% slower in all", *middle(result["slowdown"], 2, 100), "reported")
        yield ""


def s3() -> Iterator[str]:
    result = read_result("s3_upload")
    if result:
        best, size = result["boto3_best"], result["bytes"] / 2**20
        yield from heading(f"{size:,.0f} MiB into an S3 server on the same machine", result)
        yield from row("figure", "median", "least to most", "must")
        yield from row(*["---"] * 4)
        yield from row("s, raygen", *middle(result["seconds"]["raygen"], 2), "")
        label = f"s, boto3 with {best['threads']} threads and parts of {best['part_mib']} MiB"
        yield from row(label, *middle(result["seconds"]["boto3"], 2), "")
        must = result["must"]
        yield from row(
            "boto3's time / raygen's",
            *middle(result["raygen_to_boto3"], 3),
            image_table.judged(f">= {must['raygen_to_boto3']:g}", result["raygen_to_boto3"]["median"]),
        )
        share = result["share_of_loop_waiting"]
        bound = image_table.judged(f"<= {must['share_of_loop_waiting'] * 100:g}", share["median"] * 100)
        yield from row("% of the loop in the call that saves", *middle(share, 3, 100), bound)
        yield ""


def kills() -> Iterator[str]:
    result = read_result("kill_resume")
    if result:
        yield from heading("Kill and continue", result)
        yield from row("kills", "losses compared", "of these logged again", "different", "last checkpoint")
        yield from row(*["---"] * 5)
        same = "same bytes" if result["last_checkpoints_identical"] else "differs"
        numbers = ("kills", "losses_compared", "losses_repeated", "losses_different")
        yield from row(*[f"{result[name]:,}" for name in numbers], same)
        yield ""


def heading(title: str, result: dict[str, Any]) -> Iterator[str]:
    machine = result["machine"]
    yield f"## {title}\n"
    yield f"`{result['command']}`, {result['date'][:10]}, commit {result['commit']}, "
    if "gpu" in machine:
        gpu = machine["gpu"]
        yield f"{gpu['name']}, {gpu['memory']}, driver {gpu['driver']}, CUDA {gpu['cuda']}, "
    yield f"{machine['processor']} (family {machine['family']}, model {machine['model']}), {machine['cores']} cores, "
    yield f"{machine['memory_gib']} GiB, Python {result['versions']['python']}, PyTorch {result['versions']['torch']}.\n"


def row(*cells: str) -> Iterator[str]:
    yield "|" + "|".join(cells) + "|"


def middle(values: dict[str, Any], digits: int, factor: float = 1) -> tuple[str, str]:
    """Median, and least to most."""
    median, least, most = (f"{values[key] * factor:,.{digits}f}" for key in ("median", "min", "max"))
    return median, f"{least} to {most}"


if __name__ == "__main__":
    main()
