"""Decodes one picture: the first frame, upright, in 8 bits a channel, grey or RGB, without transparency."""

from __future__ import annotations

import io
import struct
import warnings
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from raygen.data.images.formats import BIG_ENDIAN_BIG_TIFF, READABLE
from raygen.data.remarks import Remarks
from raygen.errors import DataError
from raygen.spec import Images

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "DIB", "GIF", "TIFF")
"""Pillow's names of what is read; JPEG includes MPO, the pair of pictures that some cameras write, and DIB is BMP without
the file's header."""
MAX_PIXELS = 1 << 26
"""The largest image that is decoded; a small file can hold a far larger one on purpose."""
BACKGROUND = 255
"""What shows through where an image is transparent: white, in every channel."""
PILLOW = {"Grey": "L", "RGB": "RGB"}
"""Pillow's mode of each `spec.data.images.mode`."""

_EIGHT_BITS = frozenset(
    {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"}
)
_GREY = frozenset({"1", "L", "LA", "La"})
_SIXTEEN_BITS = frozenset({"I;16", "I;16B", "I;16L", "I;16N"})
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture upright, by the orientation that EXIF gives it."""
READ_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    struct.error,
    zlib.error,
    EOFError,
    Image.DecompressionBombError,
)
"""What the standard library raises for damaged content."""
PILLOW_ERRORS = (*READ_ERRORS, ArithmeticError, AttributeError, LookupError, TypeError)
"""What Pillow does: its readers of GIF, TIFF and EXIF trust the values that they find."""


def decode(encoded: bytes, name: str, spec: Images, remarks: Remarks) -> Image.Image:
    """A picture in the mode L or RGB: the one that `spec` asks for, else grey if the file has no colours.

    Args:
        encoded: Content of a file.
        name: What to call it.
        spec: How images are read.
        remarks: Takes what had to be converted.

    Raises:
        DataError: It cannot be decoded; says why.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(encoded), formats=FORMATS) as opened:
                _check(opened, name)
                # A camera's second picture is a preview or another exposure; viewers show the first.
                if getattr(opened, "n_frames", 1) > 1 and opened.format != "MPO":
                    remarks.converted("image", "only the first of its frames or pages is used", name)
                return _flat(_eight_bits(opened, name, remarks), name, spec, remarks)
    except PILLOW_ERRORS as error:
        raise DataError(
            f"the image cannot be decoded: {_why(error, encoded)}",
            where=name,
            remedy=f"Replace it by a whole {READABLE} image, or leave it out.",
        ) from error


def _why(error: Exception, encoded: bytes) -> str:
    """Pillow's words, without the address of what it read from."""
    if isinstance(error, UnidentifiedImageError):
        # Pillow looks for BigTIFF's number 43 in the byte where the other order has it.
        if encoded.startswith(BIG_ENDIAN_BIG_TIFF):
            return "it is a BigTIFF whose numbers begin with the highest byte, which is not read"
        return f"it is not a {READABLE} file"
    return str(error) or type(error).__name__


def _check(image: Image.Image, name: str) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise DataError(
            f"the image has {image.width}x{image.height} pixels",
            where=name,
            remedy=f"Scale it down; at most {MAX_PIXELS:,} pixels are read.",
        )
    if image.mode not in _EIGHT_BITS | _SIXTEEN_BITS:
        raise DataError(
            f"the image's values are not 8 or 16 bits a channel of a colour (Pillow's mode {image.mode})",
            where=name,
            remedy="Convert it to 8 bits a channel, grey or RGB.",
        )


def _eight_bits(opened: Image.Image, name: str, remarks: Remarks) -> Image.Image:
    """The decoded picture, upright; of 16 bits a channel the upper 8."""
    # Of the file, as Pillow names it, such as RGB;16B: what is decoded has 8 bits already.
    layout = " ".join(str(tile[3]) for tile in getattr(opened, "tile", ()))
    opened.load()
    image: Image.Image = opened
    if ";16" in layout or image.mode in _SIXTEEN_BITS:
        remarks.converted("image", "of 16 bits a channel the upper 8 are used", name)
        key = image.info.pop("transparency", None)
        if image.mode in _SIXTEEN_BITS:
            image = _upper_bits(np.asarray(image), 4 if ";12" in layout else 8, key)
        elif isinstance(key, tuple):
            image.info["transparency"] = tuple(value >> 8 for value in key)
        elif "LA;16" in layout:
            # Pillow has no 16-bit grey with alpha, and gives three equal channels.
            image = image.convert("LA")
    turn = _turn(opened)
    return image if turn is None else image.transpose(turn)


def _upper_bits(values: NDArray[np.uint16], shift: int, transparent: int | None) -> Image.Image:
    grey = Image.fromarray((values >> shift).astype(np.uint8))
    if transparent is not None:
        grey.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return grey


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What turns a photograph upright. EXIF that cannot be read turns nothing, as in viewers."""
    try:
        return _UPRIGHT.get(int(image.getexif().get(_ORIENTATION, 1)))
    except PILLOW_ERRORS:
        return None


def _flat(image: Image.Image, name: str, spec: Images, remarks: Remarks) -> Image.Image:
    """Without transparency, in the mode L or RGB."""
    mode = PILLOW[spec.mode or ("Grey" if image.mode in _GREY else "RGB")]
    if image.has_transparency_data:
        layered = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        if layered.getchannel("A").getextrema() != (255, 255):
            remarks.converted("image", "what is transparent became white", name)
            background = Image.new("RGBA", image.size, (BACKGROUND, BACKGROUND, BACKGROUND, 255))
            return Image.alpha_composite(background, layered).convert(mode)
    return image.convert(mode)
