from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from raygen.data.images.decoding import BACKGROUND, decode
from raygen.data.images.files import read_images
from raygen.data.images.formats import is_image
from raygen.data.remarks import Remarks
from raygen.errors import DataError
from raygen.spec import Images, Source
from tests.budget import examples


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def read(content: bytes, mode: str | None = None) -> tuple[np.ndarray[Any, Any], list[str]]:
    """Pixels, and what was converted."""
    remarks = Remarks()
    image = decode(content, "x", Images.model_validate({"mode": mode} if mode else {}), remarks)
    return np.asarray(image), [remark.reason for remark in remarks.all()]


def png(bits: int, colour: int, rows: Sequence[bytes], *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of one pixel's width, as Pillow writes none: 16 bits a channel, with any chunks."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = struct.pack(">IIBBBBB", 1, len(rows), bits, colour, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [(b"IHDR", head), *chunks, (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, content) for kind, content in parts)


def test_the_second_picture_of_a_camera_is_not_an_animation() -> None:
    first, preview = Image.new("RGB", (32, 32), (200, 99, 9)), Image.new("RGB", (16, 16))
    pixels, remarks = read(encoded(first, "MPO", save_all=True, append_images=[preview]))

    assert (pixels.shape, remarks) == ((32, 32, 3), [])
    assert np.abs(pixels[0, 0].astype(int) - (200, 99, 9)).max() < 5


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_animations_and_pages_the_first_is_used_and_remarked_on(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), (colour, 0, 0)) for colour in (255, 0)]
    options = {"lossless": True} if kind == "WEBP" else {}
    pixels, remarks = read(encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options))

    assert pixels[0, 0].tolist() == [255, 0, 0]
    assert remarks == ["only the first of its frames or pages is used"]


@pytest.mark.parametrize("kind", ["BMP", "DIB"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_bitmap_is_read_with_and_without_the_header_of_its_file(kind: str, mode: str) -> None:
    picture = Image.linear_gradient("L").resize((9, 9)).convert(mode)
    pixels, remarks = read(encoded(picture, kind), mode="RGB")
    assert (pixels.tolist(), remarks) == (np.asarray(picture.convert("RGB")).tolist(), [])


def test_a_gif_of_one_frame_needs_no_remark() -> None:
    pixels, remarks = read(encoded(Image.new("RGB", (8, 8), (0, 0, 255)), "GIF"))

    assert (pixels[0, 0].tolist(), remarks) == ([0, 0, 255], [])


@pytest.mark.parametrize("mode", [None, "RGB"])
@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_colours_of_printers_become_rgb(kind: str, mode: str | None) -> None:
    pixels, remarks = read(encoded(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), kind), mode)

    assert (pixels.shape, remarks) == ((8, 8, 3), [])
    assert np.abs(pixels[0, 0].astype(int) - (0, 255, 255)).max() < 5


HIDDEN_COLOURS = [(255, 0, 0), (0, 0, 0), (1, 200, 3)]


def transparent(mode: str, colour: tuple[int, int, int], alpha: int) -> bytes:
    """One image with this colour under this alpha, in one of PNG's ways to have transparency."""
    if mode == "P":
        image = Image.new("P", (8, 8), 0)
        image.putpalette([*colour, 9, 9, 9])
        return encoded(image, transparency=bytes([alpha, 255]))
    if mode in ("RGB", "L"):  # one colour stands for transparent
        key = colour if mode == "RGB" else colour[1]
        return encoded(Image.new(mode, (8, 8), key), transparency=key)
    if mode == "LA":
        return encoded(Image.new("LA", (8, 8), (colour[1], alpha)))
    return encoded(Image.new("RGBA", (8, 8), (*colour, alpha)))


@pytest.mark.parametrize("wanted", [None, "RGB", "Grey"])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "L"])
def test_colours_under_alpha_0_are_not_seen(mode: str, wanted: str | None) -> None:
    for colour in HIDDEN_COLOURS:
        pixels, remarks = read(transparent(mode, colour, 0), wanted)

        assert (pixels == BACKGROUND).all()
        assert remarks == ["what is transparent became white"]
    assert pixels.ndim == (2 if wanted == "Grey" or (wanted is None and mode in ("LA", "L")) else 3)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@examples(50)
@given(colour=st.tuples(*[st.integers(0, 255)] * 3), alpha=st.integers(0, 255))
def test_what_is_half_transparent_is_mixed_with_the_background(
    mode: str, colour: tuple[int, int, int], alpha: int
) -> None:
    pixels, remarks = read(transparent(mode, colour, alpha), "RGB")

    seen = np.array([colour[1]] * 3 if mode == "LA" else colour)
    mixed = (seen * alpha + BACKGROUND * (255 - alpha)) / 255
    assert np.abs(pixels[0, 0] - mixed).max() <= 1
    assert bool(remarks) == (alpha < 255)
    if alpha == 255:
        assert (pixels[0, 0] == seen).all()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (png(16, 0, [b"\x12\xff", b"\xff\x00"]), [0x12, 0xFF]),
        (png(16, 2, [b"\x01\xff\x02\xff\x03\xff"]), [[1, 2, 3]]),
        (png(16, 4, [b"\x80\0\xff\xff", b"\x80\0\0\0"]), [0x80, BACKGROUND]),
        (png(16, 6, [b"\x01\0\x02\0\x03\0\xff\xff", b"\x01\0\x02\0\x03\0\0\0"]), [[1, 2, 3], [255] * 3]),
        (png(16, 0, [b"\x12\xff", b"\x12\xfe"], (b"tRNS", b"\x12\xfe")), [0x12, BACKGROUND]),
    ],
    ids=["grey", "colours", "grey with alpha", "colours with alpha", "grey with a transparent value"],
)
def test_of_16_bits_the_upper_8_are_used(content: bytes, expected: Any) -> None:
    pixels, remarks = read(content)

    assert pixels[:, 0].tolist() == expected
    assert remarks[0] == "of 16 bits a channel the upper 8 are used"


def test_tiff_of_16_bits_is_read() -> None:
    values = np.array([[0, 0x1234], [0xFFFF, 0x80]], dtype=np.uint16)
    pixels, remarks = read(encoded(Image.fromarray(values), "TIFF"))

    assert pixels.tolist() == [[0, 0x12], [0xFF, 0]]
    assert remarks == ["of 16 bits a channel the upper 8 are used"]


@pytest.mark.parametrize("mode", ["I", "F"])
def test_values_that_are_no_colours_are_refused(mode: str) -> None:
    with pytest.raises(DataError, match=f"mode {mode}\\)") as caught:
        read(encoded(Image.new(mode, (4, 4)), "TIFF"))
    assert caught.value.remedy


ORIENTATION = 0x0112


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_turned_upright(orientation: int) -> None:
    from PIL import ImageOps

    noise = np.random.default_rng(0).integers(0, 255, (8, 16, 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    content = encoded(Image.fromarray(noise), "JPEG", exif=exif)

    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))

    assert np.array_equal(read(content)[0], np.asarray(upright))


def test_exif_that_cannot_be_read_turns_nothing() -> None:
    content = encoded(Image.new("L", (4, 6)), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")

    assert read(content)[0].shape == (6, 4)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
def test_images_are_known_by_their_content(kind: str) -> None:
    assert is_image(encoded(Image.new("RGB", (4, 4)), kind))


def test_big_tiff_is_known_by_its_content_in_both_byte_orders() -> None:
    little = encoded(Image.new("L", (4, 4), 9), "TIFF", big_tiff=True)
    assert little.startswith(b"II+\0")
    assert is_image(little)
    assert (read(little)[0] == 9).all()

    big = encoded(Image.new("I;16B", (4, 4)), "TIFF", big_tiff=True)
    assert big.startswith(b"MM\0+")
    assert is_image(big)
    with pytest.raises(DataError, match="is a BigTIFF whose numbers begin with the highest byte"):
        read(big)


@pytest.mark.parametrize("head", [b"", b"BM", b"BMW is a car, and this a text", b"RIFF....WAVE", b"caption"])
def test_other_files_are_not_images(head: bytes) -> None:
    assert not is_image(head)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "MPO", "WEBP", "BMP", "DIB", "GIF", "TIFF"])
@examples(40)
@given(data=st.data())
def test_damaged_images_are_read_or_refused(kind: str, data: st.DataObject) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    options = {"exif": exif} if kind in ("JPEG", "MPO", "TIFF") else {}
    content = bytearray(encoded(Image.linear_gradient("L").resize((9, 9)).convert("RGB"), kind, **options))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with suppress(DataError):
        assert read(bytes(content), "RGB")[0].dtype == np.uint8


ENDINGS = (
    "a.jpeg",
    "b.jpe",
    "c.jfif",
    "d.JPG",
    "e.Png",
    "f.webp",
    "g.bmp",
    "h.gif",
    "i.tif",
    "j.TIFF",
    "no-ending",
    "k.jpg_large",
    "l.dib",
)


def test_ordinary_photographs_are_read_whatever_their_names(tmp_path: Path) -> None:
    kinds = {"png": "PNG", "webp": "WEBP", "bmp": "BMP", "dib": "DIB", "gif": "GIF"}
    kinds |= {"tif": "TIFF", "tiff": "TIFF"}
    for name in ENDINGS:
        kind = kinds.get(name.rpartition(".")[2].lower(), "JPEG")
        (tmp_path / name).write_bytes(encoded(Image.new("RGB", (4, 4)), kind))
    for name in ("notes.txt", "film.mp4"):
        (tmp_path / name).write_bytes(b"no image")
    for name in ("IMG_1.HEIC", "raw.dng"):
        (tmp_path / name).write_bytes(b"II*\0")
    remarks = Remarks()

    seen = read_images([Source(uri=".", format="ImageFolder")], tmp_path, Images(mode="RGB"), remarks)

    assert len(seen.pixels) == len(ENDINGS)
    assert {(r.count, *r.examples) for r in remarks.all()} == {
        (2, f"{tmp_path}/film.mp4", f"{tmp_path}/notes.txt"),
        (2, f"{tmp_path}/IMG_1.HEIC", f"{tmp_path}/raw.dng"),
    }


def test_a_folder_of_other_images_says_so(tmp_path: Path) -> None:
    (tmp_path / "IMG_1.HEIC").write_bytes(b"x")
    with pytest.raises(DataError, match=r"no images; 1 file skipped: its format is not read.*IMG_1\.HEIC"):
        read_images([Source(uri=".", format="ImageFolder")], tmp_path, None)
