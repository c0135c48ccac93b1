"""Writes and reads MNIST by litData, WebDataset or MosaicML Streaming; run by benchmarks/image_streams.py in an environment of its own."""

from __future__ import annotations

import io
import json
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image


def images(source: str) -> Iterator[tuple[np.ndarray[Any, Any], int]]:
    for row in pq.read_table(source).to_pylist():
        image = row["image"]
        content = image["bytes"] if isinstance(image, dict) else image
        yield np.asarray(Image.open(io.BytesIO(content)), dtype=np.uint8)[None], int(row["label"])


def litdata_sample(index: int) -> dict[str, Any]:
    return {"image": torch.from_numpy(SAMPLES[index][0].copy()), "label": SAMPLES[index][1]}


SAMPLES: list[tuple[np.ndarray[Any, Any], int]] = []


def write(name: str, target: str, source: str) -> None:
    SAMPLES.extend(images(source))
    if name == "litdata":
        import litdata

        litdata.optimize(
            litdata_sample,
            list(range(len(SAMPLES))),
            target,
            chunk_bytes="8MB",
            num_workers=1,
            start_method="fork",
        )
    elif name == "webdataset":
        import webdataset

        Path(target).mkdir(parents=True)
        with webdataset.ShardWriter(
            f"{target}/%05d.tar", maxsize=8_000_000, maxcount=100_000, verbose=0
        ) as out:
            for number, (pixels, label) in enumerate(SAMPLES):
                out.write({"__key__": f"{number:06d}", "npy": pixels, "cls": label})
    else:
        from streaming import MDSWriter

        columns = {"image": "ndarray:uint8:1,28,28", "label": "int"}
        with MDSWriter(out=target, columns=columns, size_limit=8_000_000) as out:
            for pixels, label in SAMPLES:
                out.write({"image": pixels, "label": label})


def loader(name: str, target: str, batch: int) -> Iterable[Any]:
    """Shuffled batches of tensors, in this process."""
    if name == "litdata":
        import litdata

        return litdata.StreamingDataLoader(
            litdata.StreamingDataset(target, shuffle=True, seed=1), batch_size=batch, num_workers=0
        )
    if name == "webdataset":
        import webdataset

        shards = sorted(str(path) for path in Path(target).glob("*.tar"))
        data = (
            webdataset.WebDataset(shards, shardshuffle=len(shards), seed=1)
            .shuffle(10_000)
            .decode()
            .to_tuple("npy", "cls")
        )
        return torch.utils.data.DataLoader(data, batch_size=batch, num_workers=0)
    from streaming import StreamingDataset

    data = StreamingDataset(local=target, shuffle=True, shuffle_seed=1, batch_size=batch)
    return torch.utils.data.DataLoader(data, batch_size=batch, num_workers=0)


def read(name: str, target: str, batch: int) -> None:
    batches = loader(name, target, batch)
    rates = []
    for _ in range(3):
        began, count = time.perf_counter(), 0
        for made in batches:
            count += len(made["image"] if isinstance(made, dict) else made[0])
        rates.append(count / (time.perf_counter() - began))
    # The first epoch warms up.
    package = {"streaming": "mosaicml-streaming"}.get(name, name)
    print(json.dumps({"images_per_s": statistics.median(rates[1:]), "versions": {package: version(package)}}))


if __name__ == "__main__":
    if sys.argv[2] == "write":
        write(sys.argv[1], sys.argv[3], sys.argv[4])
    else:
        read(sys.argv[1], sys.argv[3], int(sys.argv[4]))
