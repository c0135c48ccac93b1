"""How files become images."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from raygen.spec.schema.base import Spec


class Images(Spec):
    """How files become images of one size. Left out, all images must have the same size and mode.

    Photographs are turned upright as their EXIF says. Of animations and files of several pages the first picture is
    used, and of 16 bits a channel the upper 8. What is transparent is put on white.
    """

    size: Annotated[int, Field(ge=4, le=1024)] | None = None
    """Height and width that all images get, in pixels. Default: as they are."""
    fit: Literal["Crop", "Pad"] = "Crop"
    """Crop: scale the shorter side to `size`, and cut what is over equally on both ends. Pad: scale down only
    what is larger, and put black around it equally."""
    mode: Literal["Grey", "RGB"] | None = None
    """Colours that all images get. Default: as they are, grey or RGB; other colours, such as CMYK, become RGB."""
    horizontal_flip: bool = False
    """Mirror half of the training images, other ones each epoch; what `augmentation` has under flip does it too, by other
    draws, and with a probability."""
