"""Batches of prepared text from an S3 server, beside bare reads of the same bytes; and what memory a reader takes.

    python benchmarks/text_streams.py                  # 100 MB of tokens, and memory from 1 to 8 GB
    python benchmarks/text_streams.py --gigabytes      # without the latter, which takes 8 GB of disk

The server is versitygw over a folder of this machine. Each reader takes its turn in a process of its own, with nothing in a
cache: raygen reads whole shards on its threads, checks their SHA-256, and gives batches of 64 samples of 256 tokens; boto3 reads the
same objects in ranges, on as many threads, and throws the bytes away. The shards are those of a text that is drawn,
tokenized by BPE; larger data sets have the same ones several times, under other names. Memory is the peak of a process
that reads every window of the data set, beside another one that does the same. A small GPT is trained on the shards, too, for the share of its time that it waits for data.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
from harness import ROOT, environment, spread, write_result

import raygen
from raygen.data.shards.dataset import PreparedData
from raygen.data.shards.index import INDEX_FILE, Component, read_index
from raygen.data.shards.pieces import FETCHED_AT_ONCE
from raygen.jobfile import dumps, load
from raygen.preparation.executors import InProcess
from raygen.preparation.pipeline import prepare
from raygen.spec import resolve
from raygen.storage import LocalStorage

sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tests" / "cluster"))
from tests.integration.s3 import server as s3

MB = 10**6
SEED, BATCH, CONTEXT, RANGE, STEPS = 1, 64, 256, 8 << 20, 50
CHARACTERS_PER_BYTE = 2
"""Of the text and its shards: a token has 16 bits, and stands for some four characters."""
MUST = {"raygen_to_boto3": 0.9, "memory_mb": 300, "training_waits": 0.01}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=100, help="of tokens, for the speed")
    parser.add_argument("--gigabytes", type=int, nargs="*", default=[1, 8], help="of tokens, for the memory")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--read", choices=("raygen", "boto3", "windows", "training"), help=argparse.SUPPRESS)
    parser.add_argument("--job", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        print(json.dumps(READERS[arguments.read](arguments.job)))
        return
    with tempfile.TemporaryDirectory(prefix="text-streams-") as name:
        folder = Path(name)
        with s3.serving(folder / "server") as server:
            os.environ.update(s3.environment(server.endpoint))
            prepare_shards(folder, server.folder / s3.BUCKET / "data", arguments.megabytes)
            document = {
                "seed": SEED,
                "megabytes": arguments.megabytes,
                **speeds(folder, arguments.turns),
                "training_waits": run(folder, "training")["share"],
                "memory_mb": memory(folder, server.folder / s3.BUCKET / "data", arguments.gigabytes),
                "must": MUST,
            }
    write_result("text_streams", document, arguments.out)


def prepare_shards(folder: Path, place: Path, megabytes: int) -> None:
    """The data set of a text that is drawn, where the server has it, and the job that reads it."""
    draw = random.Random(SEED)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 9))) for _ in range(5000)]
    with (folder / "text.jsonl").open("w") as file:
        while file.tell() < CHARACTERS_PER_BYTE * megabytes * MB:
            file.write(json.dumps({"text": " ".join(draw.choices(words, k=2000))}) + "\n")
    changes = [
        f'data.train.sources=[{{"uri": "{folder / "text.jsonl"}", "format": "JsonLines"}}]',
        'data.validation={"fraction": 0.001}',
        'data.tokenizer={"type": "BPE", "vocabularySize": 4096}',
        f"model.transformer.contextLength={CONTEXT}",
        "evaluation.samples=null",
    ]
    for uri, name in ((str(place), "here.yaml"), (f"s3://{s3.BUCKET}/data", "job.yaml")):
        given = [*changes, f'preparation={{"uri": "{uri}"}}']
        job = load(ROOT / "examples" / "01-gpt-tiny.yaml", overrides=given).job
        (folder / name).write_text(dumps(job))
    prepare(resolve(load(folder / "here.yaml").job), folder, InProcess())


def speeds(folder: Path, turns: int) -> dict[str, Any]:
    """Bytes of shards per second of both readers, in turns, and the ratio of each turn."""
    rates: dict[str, list[float]] = {"raygen": [], "boto3": []}
    first, tokens = [], []
    for turn in range(turns):
        for name in rates if turn % 2 == 0 else reversed(rates):
            found = run(folder, name)
            rates[name].append(found["bytes"] / found["seconds"] / MB)
            if name == "raygen":
                first.append(found["first_batch_s"])
                tokens.append(found["tokens"] / found["seconds"] / MB)
            print(f"turn {turn + 1} of {turns}: {name} {rates[name][-1]:.0f} MB/s", flush=True)
    ratios = [ours / theirs for ours, theirs in zip(rates["raygen"], rates["boto3"], strict=True)]
    return {
        "mb_per_s": {name: spread(values) for name, values in rates.items()},
        "raygen_to_boto3": spread(ratios),
        "first_batch_s": spread(first),
        "million_tokens_per_s": spread(tokens),
    }


def memory(folder: Path, place: Path, gigabytes: list[int]) -> dict[str, Any]:
    """Peak memory of each of two readers at once, by the size of the data set."""
    found = {}
    index = read_index(LocalStorage(place))
    assert index is not None
    shards = [shard for part in index.train for shard in part.shards]
    for size in gigabytes:
        copies = -(-size * 1000 * MB // sum(shard.bytes for shard in shards))
        many = []
        for copy in range(copies):
            for shard in shards:
                name = shard.name.replace(".parquet", f"-{copy}.parquet")
                if not (place / name).exists():
                    shutil.copyfile(place / shard.name, place / name)
                many.append(replace(shard, name=name))
        larger = replace(index, train=(Component("0", tuple(many)),))
        (place / INDEX_FILE).write_bytes(larger.to_json())
        readers = [start(folder, "windows") for _ in range(2)]
        found[str(size)] = [ended(reader) for reader in readers]
        print(f"{size} GB: {found[str(size)]}", flush=True)
    return found


def run(folder: Path, name: str) -> dict[str, Any]:
    return ended(start(folder, name))


def start(folder: Path, name: str) -> subprocess.Popen[str]:
    """A reader with an empty cache of its own; with none where each shard is to come from the server each time."""
    cache = os.devnull if name == "windows" else tempfile.mkdtemp(dir=folder)
    command = [sys.executable, __file__, "--read", name, "--job", str(folder / "job.yaml")]
    return subprocess.Popen(
        command, env=environment() | {"RAYGEN_CACHE_DIR": cache}, stdout=subprocess.PIPE, text=True
    )


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = process.communicate()
    if process.returncode:
        sys.exit("a reader failed")
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def read_batches(path: Path) -> dict[str, Any]:
    """One epoch of batches; it begins when there is a connection, and the index is read."""
    job = resolve(load(path).job)
    started = time.perf_counter()
    data = PreparedData(job, path.parent)
    whole = data.samples_per_epoch
    began, first = time.perf_counter(), 0.0
    for start in range(0, whole, BATCH):
        data.train_batch(range(start, min(start + BATCH, whole)))
        first = first or time.perf_counter() - started
    seconds = time.perf_counter() - began
    data.close()
    read = {"bytes": size_of(data), "tokens": whole * CONTEXT}
    return {**read, "seconds": seconds, "first_batch_s": first, "opened_s": began - started}


def read_ranges(path: Path) -> dict[str, Any]:
    """The same shards by boto3, and nothing done with them."""
    data = PreparedData(resolve(load(path).job), path.parent)
    shards = data.shards()
    data.close()
    client = boto3.client("s3")
    ranges = [
        (shard.name, start, min(start + RANGE, shard.bytes) - 1)
        for shard in shards
        for start in range(0, shard.bytes, RANGE)
    ]
    began = time.perf_counter()

    def get(one: tuple[str, int, int]) -> int:
        name, first, last = one
        answer = client.get_object(Bucket=s3.BUCKET, Key=f"data/{name}", Range=f"bytes={first}-{last}")
        return len(answer["Body"].read())

    with ThreadPoolExecutor(FETCHED_AT_ONCE) as threads:
        total = sum(threads.map(get, ranges))
    return {"bytes": total, "seconds": time.perf_counter() - began}


def read_windows(path: Path) -> dict[str, Any]:
    """A batch here and there of an epoch, so that each window is loaded once."""
    data = PreparedData(resolve(load(path).job), path.parent)
    began = time.perf_counter()
    for start in range(0, data.samples_per_epoch - BATCH, 100 * BATCH):
        data.train_batch(range(start, start + BATCH))
    seconds = time.perf_counter() - began
    data.close()
    # Not `getrusage`: its figure begins with that of the process that this one was made by.
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) * 1024 / MB
    return {"peak_mb": round(peak, 1), "seconds": round(seconds, 1)}


def train(path: Path) -> dict[str, Any]:
    """A small GPT that is trained on them; the share of its steps, but the first, that it waits for data."""
    changes = [
        f"training.duration={{steps: {STEPS}}}",
        "evaluation={}",
        "checkpoint={everySteps: 1000, keepBest: null}",
        f"output={{uri: {path.parent / 'runs'}}}",
    ]
    raygen.train(load(path, overrides=changes).job, base=path.parent, device="cpu")
    run = raygen.Run.open(path.parent / "runs" / "gpt-tiny")
    lines = [line for line in run.directory.read_metrics().lines if line.kind == "train"]
    return {"share": statistics.mean(line.values["data_wait_ratio"] for line in lines[1:])}


def size_of(data: PreparedData) -> int:
    """Bytes of the files of its training split."""
    return sum(shard.bytes for shard in data.shards() if shard.name.startswith("train"))


READERS = {"raygen": read_batches, "boto3": read_ranges, "windows": read_windows, "training": train}

if __name__ == "__main__":
    main()
