"""Which images are left out, and what duplicates of images are found by."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from raygen.data.cleaning.signatures import RECALL, Signatures, Sketches
from raygen.data.cleaning.words import Hashes
from raygen.data.images.decoding import FORMATS, PILLOW_ERRORS, decode
from raygen.data.remarks import Remarks
from raygen.errors import DataError
from raygen.spec.data.cleaning import EqualPixels, ImageCleaning, Perceptual
from raygen.spec.data.images import Images

BITS = 64
"""Of a perceptual hash."""
_SIDE = 32
"""Height and width of the small grey image that a perceptual hash is made from."""
_FREQUENCIES = 8


def opened(encoded: bytes, name: str, spec: ImageCleaning) -> Image.Image:
    """The decoded picture, in the mode L or RGB.

    Raises:
        DataError: It is empty, larger than allowed by its header, or cannot be decoded.
    """
    if not encoded:
        raise DataError("the image is empty", where=name, remedy="Replace it, or leave it out.")
    found = _too_large(encoded, spec.max_pixels)
    if found is not None:
        raise DataError(
            f"the image has {found} pixels, and at most {spec.max_pixels:,} are allowed",
            where=name,
            remedy="Scale it down, or raise data.cleaning.images.maxPixels.",
        )
    return decode(encoded, name, Images(), Remarks())


def described(image: Image.Image, encoded: bytes) -> str:
    """What people see of a picture in a report."""
    mode = "grey" if image.mode == "L" else image.mode
    return f"{image.width}x{image.height} pixels, {mode}, {len(encoded):,} bytes"


def fault(image: Image.Image, spec: ImageCleaning) -> tuple[str, str] | None:
    """The field by which a decoded picture is left out, and why; None if it is kept."""
    short, long = sorted(image.size)
    size = f"{image.width}x{image.height} pixels"
    if short < spec.min_side:
        return "minSide", f"it has {size}, and each side must have at least {spec.min_side:,}"
    if spec.max_aspect_ratio is not None and long > spec.max_aspect_ratio * short:
        return (
            "maxAspectRatio",
            f"it has {size}, and the sides may differ by a factor of {spec.max_aspect_ratio:g}",
        )
    if spec.colours == "Grey" and not _is_grey(image):
        return "colours", "it has colours"
    if spec.colours == "RGB" and image.mode != "RGB":
        return "colours", "it has no colours"
    extremes = image.getextrema()
    bands = extremes if isinstance(extremes[0], tuple) else (extremes,)
    if spec.uniform == "Drop" and all(band[0] == band[1] for band in bands):
        return "uniform", "all of it has one colour"
    return None


def signature(image: Image.Image, spec: EqualPixels | Perceptual) -> Signatures:
    """What duplicates of a decoded picture are found by: one row."""
    content = f"{image.mode} {image.width}x{image.height} ".encode() + image.tobytes()
    exact = np.frombuffer(blake2b(content, digest_size=16).digest(), np.uint64)[None]
    if spec.type == "Pixels":
        return Signatures(exact)
    return Signatures(exact, np.frombuffer(perceptual_hash(image), np.uint16)[None])


def version(spec: EqualPixels | Perceptual) -> str:
    """What signatures depend on besides pictures; those of different versions are not compared."""
    return "pixels-1" if spec.type == "Pixels" else f"dct-1 pillow-{PIL.__version__}"


def perceptual_hash(image: Image.Image) -> bytes:
    """64 bits: which of the low frequencies of the small grey image, the mean not among them, are above their median.

    Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions", section 3.2.1.
    """
    small = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    cosines = _cosines()
    frequencies = cosines @ np.asarray(small, dtype=np.float64) @ cosines.T
    # Sums of cosines are off by rounding, which must not decide about a bit.
    low = np.round(frequencies[1:, 1:], 6).ravel()
    return np.packbits(low > np.median(low)).tobytes()


@dataclass(frozen=True)
class ImageLikeness:
    """How near duplicates among images are found: all of them.

    Attributes:
        distance: Largest number of bits that differ.
    """

    distance: int
    error = 0.0
    bucket_limit: int | None = None

    @property
    def threshold(self) -> float:
        """Least share of bits that are equal."""
        return 1 - self.distance / BITS

    def keys(self, sketches: Sketches, recall: float = RECALL) -> Iterator[Hashes]:  # noqa: ARG002
        """For each of distance + 1 parts of the hash its bits: of two hashes at this distance one part at least is equal."""
        whole = np.ascontiguousarray(sketches).view(np.uint64)[:, 0]
        edges = np.linspace(0, BITS, self.distance + 2).astype(int)
        for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            yield (whole >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)

    def similarities(self, first: Sketches, second: Sketches) -> NDArray[np.float64]:
        """The share of equal bits of each pair."""
        differ = np.bitwise_count(first ^ second).sum(axis=1, dtype=np.int64)
        return np.asarray(1 - differ / BITS, dtype=np.float64)


def _too_large(encoded: bytes, limit: int) -> str | None:
    """How many pixels the header speaks of, if these are too many; None also where it cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(encoded), formats=FORMATS) as image:
                width, height = image.size
    except Image.DecompressionBombError:
        return f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,}"
    except PILLOW_ERRORS:
        return None
    return f"{width}x{height}" if width * height > limit else None


def _is_grey(image: Image.Image) -> bool:
    if image.mode == "L":
        return True
    pixels = np.asarray(image)
    return bool((pixels[..., :1] == pixels[..., 1:]).all())


@cache
def _cosines() -> NDArray[np.float64]:
    """The first rows of the discrete cosine transform (type II), that of the mean among them."""
    frequency, place = np.ogrid[: _FREQUENCIES + 1, :_SIDE]
    cosines: NDArray[np.float64] = np.cos(np.pi * frequency * (2 * place + 1) / (2 * _SIDE))
    return cosines
