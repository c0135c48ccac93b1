from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from raygen.data.cleaning.cleaner import Cleaner, Rejected
from raygen.data.cleaning.duplicates import certificate, find_duplicates
from raygen.data.cleaning.images import ImageLikeness, opened, perceptual_hash, signature, version
from raygen.data.cleaning.signatures import Signatures
from raygen.data.records.record import Record
from raygen.spec import parse, resolve
from raygen.spec.data.cleaning import EqualPixels, ImageCleaning, Perceptual
from tests.jobs import image_job_document

NEAR = Perceptual(type="Perceptual")


def picture(seed: int, size: tuple[int, int] = (64, 48), mode: str = "RGB") -> Image.Image:
    """Soft shapes: noise of several sizes, the larger the stronger, as in photographs."""
    generator = np.random.default_rng(seed)
    layers = [
        np.asarray(
            Image.fromarray(generator.integers(0, 256, (side, side, 3)).astype(np.uint8)).resize(size), float
        )
        for side in (3, 6, 12, 24)
    ]
    mixed = np.average(layers, axis=0, weights=[8, 4, 2, 1])
    return Image.fromarray(mixed.astype(np.uint8)).convert(mode)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def cleaned(content: bytes, **fields: Any) -> str:
    """ "kept", or the filter that left it out and why."""
    spec = resolve(
        parse(image_job_document("VAE", data__cleaning={"images": fields}, preparation={"uri": "prepared"}))
    ).spec.data.cleaning
    assert spec is not None
    made = Cleaner(spec, "images")
    record = Record("a.png", "b/a.png", content)
    result = made.clean(record)
    if isinstance(result, Rejected):
        assert result.broken == (result.filter == "readable")
        assert (made.report.broken, made.report.dropped) == (int(result.broken), int(not result.broken))
        return f"{result.filter}: {result.reason}"
    assert result is record
    return "kept"


def huge(side: int) -> bytes:
    """A PNG of a few bytes whose header speaks of many pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    parts = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def animated() -> bytes:
    return encoded(picture(1), "GIF", save_all=True, append_images=[picture(2), picture(3)])


@pytest.mark.parametrize(
    ("content", "fields", "result"),
    [
        (encoded(picture(1)), {}, "kept"),
        (encoded(picture(1).convert("P")), {}, "kept"),
        (encoded(picture(1).convert("CMYK"), "JPEG"), {}, "kept"),
        (encoded(Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64) * 16)), {}, "kept"),
        (animated(), {}, "kept"),
        (b"", {}, "readable: the image is empty"),
        (b"nothing", {}, "readable: the image cannot be decoded: it is not a"),
        (encoded(picture(1))[:-300], {}, "readable: the image cannot be decoded"),
        (huge(9000), {}, "readable: the image has 9000x9000 pixels, and at most 67,108,864 are allowed"),
        (huge(40_000), {}, "readable: the image has more than 178,956,970 pixels, and at most 67,108,864 are allowed"),
        (encoded(picture(1)), {"maxPixels": 3000}, "readable: the image has 64x48 pixels, and at most 3,000 are allowed"),
        (encoded(picture(1)), {"minSide": 48}, "kept"),
        (encoded(picture(1)), {"minSide": 49}, "minSide: it has 64x48 pixels, and each side must have at least 49"),
        (encoded(picture(1)), {"maxAspectRatio": 1.34}, "kept"),
        (encoded(picture(1)), {"maxAspectRatio": 1.3}, "maxAspectRatio: it has 64x48 pixels, and the sides may differ by a factor of 1.3"),
        (encoded(picture(1)), {"colours": "RGB"}, "kept"),
        (encoded(picture(1)), {"colours": "Grey"}, "colours: it has colours"),
        (encoded(picture(1, mode="L")), {"colours": "Grey"}, "kept"),
        (encoded(picture(1, mode="L").convert("RGB")), {"colours": "Grey"}, "kept"),
        (encoded(picture(1, mode="L")), {"colours": "RGB"}, "colours: it has no colours"),
        (encoded(Image.new("RGB", (9, 9), (1, 2, 3))), {}, "uniform: all of it has one colour"),
        (encoded(Image.new("L", (9, 9), 0)), {}, "uniform: all of it has one colour"),
        (encoded(Image.new("RGBA", (9, 9), (9, 9, 9, 0))), {}, "uniform: all of it has one colour"),
        (encoded(Image.new("L", (9, 9), 0)), {"uniform": "Keep"}, "kept"),
    ],
)  # fmt: skip
def test_each_filter(content: bytes, fields: dict[str, Any], result: str) -> None:
    assert cleaned(content, **fields).startswith(result)


def test_orientation_counts_before_the_picture_is_looked_at() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = opened(encoded(picture(1), "JPEG", exif=exif), "a", ImageCleaning())
    assert turned.size == (48, 64)


def signatures(images: list[Image.Image], spec: EqualPixels | Perceptual = NEAR) -> Signatures:
    return Signatures.joined([signature(image, spec) for image in images])


def copy(image: Image.Image, size: tuple[int, int], quality: int) -> Image.Image:
    return opened(encoded(image.resize(size), "JPEG", quality=quality), "a", ImageCleaning())


def test_equal_pixels_are_equal_whatever_the_file() -> None:
    spec = EqualPixels(type="Pixels")
    files = [encoded(picture(1)), encoded(picture(1), "BMP"), encoded(picture(1), "PNG", compress_level=0)]
    images = [opened(file, "a", ImageCleaning()) for file in files]
    images += [picture(1, (48, 64)), picture(1, mode="L"), picture(2)]
    table = signatures(images, spec)
    assert table.sketches is None
    found = find_duplicates(np.arange(6), table)
    assert (found.dropped.tolist(), found.kept.tolist()) == ([1, 2], [0, 0])
    assert version(spec) == "pixels-1"


def test_copies_in_other_sizes_and_qualities_are_found_and_nothing_else() -> None:
    originals = [picture(seed) for seed in range(200)]
    copies = [copy(image, (90, 70), 60) for image in originals] + [
        copy(image, (40, 40), 90) for image in originals
    ]
    table = signatures(originals + copies)
    order = np.arange(600)
    found = find_duplicates(order, table, ImageLikeness(NEAR.distance))
    assert (found.kept == found.dropped % 200).all()
    assert len(found.dropped) >= 0.99 * 400
    validation = order < 100
    assert not certificate(order, table, validation, ImageLikeness(NEAR.distance)).holds
    kept = ~np.isin(order, find_duplicates(order, table, ImageLikeness(NEAR.distance), validation).dropped)
    after = certificate(order[kept], table.taken(kept), validation[kept], ImageLikeness(NEAR.distance))
    assert after.holds
    assert after.threshold == 1 - 6 / 64


@pytest.mark.parametrize("distance", [0, 1, 6, 10])
def test_all_pairs_within_the_distance_are_found(distance: int) -> None:
    generator = np.random.default_rng(distance)
    base = generator.integers(0, 1 << 63, 60).astype(np.uint64)
    flips = [
        np.bitwise_or.reduce(np.uint64(1) << generator.choice(64, k, replace=False).astype(np.uint64))
        for k in generator.integers(1, 16, 240)
    ]
    hashes = np.concatenate([base, base[generator.integers(0, 60, 240)] ^ np.array(flips)])
    table = Signatures(
        np.stack([np.arange(300), np.arange(300)], axis=1).astype(np.uint64),
        hashes.view(np.uint16).reshape(-1, 4),
    )
    found = find_duplicates(np.arange(300), table, ImageLikeness(distance))
    kept: list[int] = []
    for number, value in enumerate(hashes):
        if all(int(np.bitwise_count(value ^ hashes[other])) > distance for other in kept):
            kept.append(number)
    assert sorted(set(range(300)) - set(found.dropped.tolist())) == kept


def test_a_perceptual_hash_is_the_same_on_every_machine() -> None:
    assert perceptual_hash(picture(1)).hex() == "c656f6ac183c72d2"
    assert version(NEAR).startswith("dct-1 pillow-")
