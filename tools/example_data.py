"""Makes the data of examples/05 and 06 from that of the others.

    python -m tools.example_data

Speeches of the plays as JSON lines, one document each, and images with labels in tar shards, laid out as WebDataset does.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

DATA = Path(__file__).resolve().parents[1] / "examples" / "data"
PER_SHARD, SHARDS = 1000, 2


def speeches() -> bytes:
    """JSON lines, compressed."""
    text = (DATA / "tinyshakespeare.txt").read_text(encoding="utf-8")
    lines = []
    for number, speech in enumerate(text.strip().split("\n\n")):
        speaker, _, words = speech.partition(":\n")
        lines.append(
            json.dumps(
                {"number": number, "speaker": speaker, "text": f"{speech}\n", "words": len(words.split())}
            )
        )
    return gzip.compress("".join(line + "\n" for line in lines).encode(), mtime=0)


def shards() -> Iterator[tuple[str, bytes]]:
    """Names and contents of tar shards: of each image a .png and a .cls with its class."""
    table = pq.read_table(DATA / "mnist" / "train.parquet").slice(0, PER_SHARD * SHARDS).to_pylist()
    for shard in range(SHARDS):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for number in range(shard * PER_SHARD, (shard + 1) * PER_SHARD):
                row = table[number]
                image = row["image"]
                content = image["bytes"] if isinstance(image, dict) else image
                for end, value in (("png", content), ("cls", str(row["label"]).encode())):
                    member = tarfile.TarInfo(f"{number:06d}.{end}")
                    member.size = len(value)
                    tar.addfile(member, io.BytesIO(value))
        yield f"digits-{shard:03d}.tar.gz", gzip.compress(packed.getvalue(), mtime=0)


def main() -> None:
    """Writes both."""
    (DATA / "speeches.jsonl.gz").write_bytes(speeches())
    folder = DATA / "digits"
    folder.mkdir(exist_ok=True)
    for name, content in shards():
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
