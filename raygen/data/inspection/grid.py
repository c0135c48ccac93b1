"""Pictures side by side in one."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

from raygen.data.images.decoding import decode
from raygen.data.remarks import Remarks
from raygen.errors import DataError
from raygen.spec import Images

CELL = 128
"""Height and width of a picture, in pixels."""
_GAP = 6
_CAPTION = 14
"""Height of a line of text, in pixels."""
_LETTERS = 20
_BACKGROUND, _INK, _FAULT = (255, 255, 255), (60, 60, 60), (200, 40, 40)


def grid(pictures: Sequence[tuple[bytes, str]]) -> bytes:
    """A picture of all of them as PNG, each with its caption below; those that cannot be decoded are crossed out.

    Args:
        pictures: Content of an image file, and what to write below it.
    """
    columns = max(1, math.ceil(math.sqrt(len(pictures))))
    rows = max(1, math.ceil(len(pictures) / columns))
    lines = _CAPTION if any(caption for _, caption in pictures) else 0
    width, height = CELL + _GAP, CELL + lines + _GAP
    whole = Image.new("RGB", (columns * width + _GAP, rows * height + _GAP), _BACKGROUND)
    draw = ImageDraw.Draw(whole)
    for number, (encoded, caption) in enumerate(pictures):
        left, top = _GAP + number % columns * width, _GAP + number // columns * height
        try:
            picture = decode(encoded, "", Images(), Remarks()).convert("RGB")
        except DataError:
            right, bottom = left + CELL - 1, top + CELL - 1
            draw.rectangle((left, top, right, bottom), outline=_FAULT)
            draw.line((left, top, right, bottom), fill=_FAULT)
            draw.line((left, bottom, right, top), fill=_FAULT)
        else:
            scale = CELL / max(picture.size)
            size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
            # Small pictures keep their pixels, so that one sees what a model does.
            how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
            scaled = picture.resize(size, how)
            whole.paste(scaled, (left + (CELL - size[0]) // 2, top + (CELL - size[1]) // 2))
        shown = caption if len(caption) <= _LETTERS else f"{caption[: _LETTERS - 1]}…"
        draw.text((left, top + CELL + 1), shown, fill=_INK)
    buffer = io.BytesIO()
    whole.save(buffer, format="PNG")
    return buffer.getvalue()
