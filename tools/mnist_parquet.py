"""Writes MNIST's idx files as Parquet with PNG images, in the layout of Hugging Face data sets.

    python tools/mnist_parquet.py FOLDER examples/data/mnist

FOLDER holds the four files train-images-idx3-ubyte, ... as they are published, plain or gzipped. The same
files give the same bytes.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from raygen.data.images.files import read_images
from raygen.spec import Source

SPLITS = {"train": "train", "test": "t10k"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("target", type=Path)
    args = parser.parse_args()
    args.target.mkdir(parents=True, exist_ok=True)
    for split, stem in SPLITS.items():
        source = Source(
            uri=find(args.folder, f"{stem}-images-idx3-ubyte"),
            format="Idx",
            labels=find(args.folder, f"{stem}-labels-idx1-ubyte"),
        )
        found = read_images([source], Path(), None)
        images = [{"bytes": png(image[0]), "path": None} for image in found.pixels]
        table = pa.table(
            {
                "image": pa.array(images, pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
                "label": pa.array(found.labels, pa.int8()),
            }
        )
        # Zstandard over many images is smaller than each PNG packed by itself: 11 against 19 MB.
        pq.write_table(
            table,
            args.target / f"{split}.parquet",
            compression="zstd",
            compression_level=19,
            use_dictionary=["label"],
        )


def find(folder: Path, name: str) -> str:
    """The file, plain or gzipped."""
    plain = folder / name
    return str(plain if plain.exists() else plain.with_name(name + ".gz"))


def png(pixels: object) -> bytes:
    """As PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=0)  # type: ignore[arg-type]
    return buffer.getvalue()


if __name__ == "__main__":
    main()
