"""Writes a folder of photographs and reads it from an S3 server by litData or WebDataset; run by benchmarks/picture_streams.py in an
environment of its own.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import boto3
import torch
from botocore.config import Config
from PIL import Image

SHARD_BYTES = 8_000_000


def sample(path: str) -> dict[str, Any]:
    return {"image": Image.open(path), "label": int(Path(path).parent.name)}


def write(name: str, target: str, pictures: str) -> None:
    files = sorted(str(path) for path in Path(pictures).rglob("*.jpg"))
    if name == "litdata":
        import litdata

        litdata.optimize(sample, files, target, chunk_bytes=SHARD_BYTES, num_workers=2, start_method="fork")
    else:
        import webdataset

        Path(target).mkdir(parents=True)
        with webdataset.ShardWriter(
            f"{target}/%05d.tar", maxsize=SHARD_BYTES, maxcount=100_000, verbose=0
        ) as out:
            for file in files:
                path = Path(file)
                out.write({"__key__": path.stem, "jpg": path.read_bytes(), "cls": int(path.parent.name)})


def loader(name: str, place: str, batch: int, workers: int) -> Iterable[Any]:
    """Shuffled batches of tensors."""
    if name == "litdata":
        import litdata
        from litdata.streaming import downloader

        # It passes no way to allow plain HTTP on to the client that reads ahead.
        downloader._OBSTORE_CLIENT_OPTIONS["allow_http"] = True
        data = litdata.StreamingDataset(
            f"s3://{place}",
            cache_dir=os.environ["PEERS_CACHE_DIR"],
            shuffle=True,
            seed=1,
            storage_options={"endpoint_url": os.environ["AWS_ENDPOINT_URL"]},
        )
        return litdata.StreamingDataLoader(data, batch_size=batch, num_workers=workers)
    import webdataset

    client = boto3.client("s3", config=Config(signature_version="s3v4"))
    bucket, _, prefix = place.partition("/")
    listed = client.list_objects_v2(Bucket=bucket, Prefix=prefix + "/")["Contents"]
    urls = [
        client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": one["Key"]})
        for one in listed
    ]
    shards = [f"pipe:curl -s '{url}'" for url in urls]
    data = (
        webdataset.WebDataset(shards, shardshuffle=len(shards), seed=1, nodesplitter=webdataset.split_by_node)
        .shuffle(10_000)
        .decode("torchrgb8")
        .to_tuple("jpg", "cls")
    )
    return torch.utils.data.DataLoader(data, batch_size=batch, num_workers=workers)


def read(name: str, place: str, batch: int, workers: int) -> None:
    """One epoch, from the first request on; imports are no part of it."""
    __import__(name)
    began, images = time.perf_counter(), 0
    for made in loader(name, place, batch, workers):
        images += len(made["image"] if isinstance(made, dict) else made[0])
    seconds = time.perf_counter() - began
    print(json.dumps({"images": images, "seconds": seconds, "versions": {name: version(name)}}))


if __name__ == "__main__":
    if sys.argv[2] == "write":
        write(sys.argv[1], sys.argv[3], sys.argv[4])
    else:
        read(sys.argv[1], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
