"""Random changes to the samples of the training split, other ones each time that a sample is seen."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from pydantic.alias_generators import to_camel

from raygen.spec.schema.base import Fraction, Probability, Rule, Share, Spec, Tagged

Area = Annotated[float, Field(gt=0, le=1)]
AspectRatio = Annotated[float, Field(ge=0.01, le=100)]
Degrees = Annotated[float, Field(ge=0, le=180)]
Shear = Annotated[float, Field(ge=0, lt=90)]
Factor = Annotated[float, Field(ge=0.01, le=100)]
Strength = Annotated[float, Field(ge=0, le=10)]
Sigma = Annotated[float, Field(ge=0.01, le=32)]
Border = Literal["Black", "Edge", "Reflect"]


def _ordered(name: str) -> Rule:
    """Of the two ends of a range the first is not above the second."""
    return Rule(
        fields=(name,),
        at=name,
        holds=lambda self: getattr(self, name) is None or getattr(self, name)[0] <= getattr(self, name)[1],
        rule="must have the smaller number first",
        remedy="Give the smallest and the largest, in this order.",
        cel=f"!has(self.{name}) || self.{name}.size() != 2 || self.{name}[0] <= self.{name}[1]",
    )


class Crop(Tagged):
    """A part of the image at a random place, as large as the image was."""

    type: Literal["Resized", "Padded"]
    """Resized: a part of random area and shape, scaled up to the whole (torchvision's RandomResizedCrop). Padded: the
    image with a border around it, cut to its size (RandomCrop with padding)."""
    scale: tuple[Area, Area] | None = None
    """Smallest and largest area of the part, as shares of the image's. Default: [0.08, 1]."""
    ratio: tuple[AspectRatio, AspectRatio] | None = None
    """Smallest and largest width of the part over its height. Default: [0.75, 1.3333333333333333]."""
    padding: Annotated[int, Field(ge=1, le=512)] | None = None
    """Width of the border on each side, in pixels; Reflect needs images that are larger. Default: 4."""
    border: Border | None = None
    """What the border shows. Black: zeros. Edge: the outermost pixels. Reflect: the image mirrored, without repeating
    these. Default: Black."""

    belongs: ClassVar[dict[str, tuple[str, ...]]] = {
        "scale": ("Resized",),
        "ratio": ("Resized",),
        "padding": ("Padded",),
        "border": ("Padded",),
    }


Crop.rules = (*Crop.foreign_rules(), _ordered("scale"), _ordered("ratio"))


class ResizedCrop(Crop):
    """Resolved: a part of random area and shape."""

    type: Literal["Resized"]
    scale: tuple[Area, Area] = (0.08, 1.0)
    ratio: tuple[AspectRatio, AspectRatio] = (3 / 4, 4 / 3)


class PaddedCrop(Crop):
    """Resolved: a part of the image with a border around it."""

    type: Literal["Padded"]
    padding: Annotated[int, Field(ge=1, le=512)] = 4
    border: Border = "Black"


class Flip(Spec):
    """Mirror images (torchvision's RandomHorizontalFlip and RandomVerticalFlip)."""

    horizontal: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Probability that left and right are exchanged; what `images` has under horizontalFlip is the same with 0.5."""
    vertical: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Probability that top and bottom are exchanged."""


class Rotate(Spec):
    """Turn images around their centre, with bilinear interpolation (torchvision's RandomRotation)."""

    degrees: Degrees
    """Largest angle either way, in degrees."""
    border: Border = "Black"
    """What comes in from outside, as for `crop`."""
    probability: Share = 1.0
    """Probability that an image is turned."""


class Affine(Spec):
    """Turn, move, scale and shear images at once, with bilinear interpolation (torchvision's RandomAffine)."""

    degrees: Degrees = 0.0
    """Largest angle either way, in degrees."""
    translate: tuple[Probability, Probability] = (0.0, 0.0)
    """Largest way across and down, as shares of width and height; rounded to whole pixels."""
    scale: tuple[Factor, Factor] = (1.0, 1.0)
    """Smallest and largest factor of the size."""
    shear: tuple[Shear, Shear] = (0.0, 0.0)
    """Largest angle either way by which columns and rows are slanted, in degrees."""
    border: Border = "Black"
    """What comes in from outside, as for `crop`."""
    probability: Share = 1.0
    """Probability that an image is changed."""

    rules: ClassVar[tuple[Rule, ...]] = (_ordered("scale"),)


class ColourJitter(Spec):
    """Change colours (torchvision's ColorJitter), by factors from 1 - strength (0 at least) to 1 + strength, in an order
    that is drawn for each step.
    """

    brightness: Strength = 0.0
    """Strength of the factor of all values."""
    contrast: Strength = 0.0
    """Strength of the factor of their distance from the image's mean grey."""
    saturation: Strength = 0.0
    """Strength of the factor of their distance from the pixel's own grey; grey images have no colours to change."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Largest way around the colour wheel either way, as a share of its whole."""
    probability: Share = 1.0
    """Probability that an image is changed."""


class Blur(Spec):
    """Blur images by a Gaussian kernel (torchvision's GaussianBlur), which ends at three of the largest sigma."""

    sigma: tuple[Sigma, Sigma] = (0.1, 2.0)
    """Smallest and largest standard deviation of the kernel, in pixels."""
    probability: Share = 0.5
    """Probability that an image is blurred."""

    rules: ClassVar[tuple[Rule, ...]] = (_ordered("sigma"),)


class Noise(Spec):
    """Add Gaussian noise to each value (torchvision's GaussianNoise)."""

    sigma: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Standard deviation, as a share of the way from black to white."""
    probability: Share = 1.0
    """Probability that an image gets noise."""


class Erasing(Spec):
    """Cover a rectangle of the image (torchvision's RandomErasing; Zhong et al. 2020)."""

    scale: tuple[Area, Area] = (0.02, 0.33)
    """Smallest and largest area of the rectangle, as shares of the image's."""
    ratio: tuple[AspectRatio, AspectRatio] = (0.3, 3.3)
    """Smallest and largest height of the rectangle over its width."""
    level: Annotated[int, Field(ge=0, le=255)] = 0
    """What all of its values become: 0 is black, 255 is white."""
    probability: Share = 0.5
    """Probability that an image gets such a rectangle."""

    rules: ClassVar[tuple[Rule, ...]] = (_ordered("scale"), _ordered("ratio"))


class Mixing(Spec):
    """Mix each image with the one that its lane has in the next step, by a share of it that is drawn from Beta(alpha, alpha).

    A model that is told classes gets both, with the first one's share.
    """

    type: Literal["MixUp", "CutMix"]
    """MixUp: the weighted mean of both (Zhang et al. 2018). CutMix: a rectangle of the second in the first (Yun et al.
    2019)."""
    alpha: Annotated[float, Field(ge=0.01, le=100)] = 1.0
    """Parameter of the Beta distribution: 1 draws all shares alike, less rather those near 0 and 1."""
    probability: Share = 1.0
    """Probability that an image is mixed."""


class TokenDropout(Spec):
    """Replace single tokens of the input, so that a model cannot rely on each (Bowman et al. 2016; Xie et al. 2017).

    What is to be predicted stays. A token is replaced by one that is drawn from those before it in its window, so that
    tokens keep about their frequencies and nothing of what follows is told; ends of texts stay.
    """

    share: Fraction = 0.1
    """Share of the tokens that are replaced."""


class SpanMasking(Spec):
    """Replace runs of tokens of the input, as for `tokenDropout`: their lengths are geometric (Joshi et al. 2020)."""

    share: Fraction = 0.15
    """Share of the tokens that are replaced, on the average."""
    mean_length: Annotated[float, Field(ge=1, le=64)] = 3.0
    """Mean length of a run, in tokens; runs that overlap become one."""


class Augmentation(Spec):
    """Random changes to the samples of the training split, other ones each time that a sample is seen, made on the device.

    They are made in this order, each where it is given. They follow from seed, step and the sample's place in it, whatever
    the number of workers and micro-batches, and after any interruption. The validation split stays as it is.
    """

    crop: Crop | None = None
    """A part of the image. Default: the whole."""
    flip: Flip | None = None
    """Mirror images. Default: never."""
    rotate: Rotate | None = None
    """Turn images. Default: never."""
    affine: Affine | None = None
    """Turn, move, scale and shear images. Default: never."""
    colour_jitter: ColourJitter | None = None
    """Change colours. Default: never."""
    blur: Blur | None = None
    """Blur images. Default: never."""
    noise: Noise | None = None
    """Add noise to images. Default: none."""
    erasing: Erasing | None = None
    """Cover a part of the image. Default: none."""
    mixing: Mixing | None = None
    """Mix two images; only for models that can learn from mixtures. Default: never."""
    token_dropout: TokenDropout | None = None
    """Replace single tokens of text. Default: none."""
    span_masking: SpanMasking | None = None
    """Replace runs of tokens of text. Default: none."""


TEXT_FIELDS = ("token_dropout", "span_masking")
"""What is for text; all else is for images."""
IMAGE_FIELDS = tuple(name for name in Augmentation.model_fields if name not in TEXT_FIELDS)


class ResolvedAugmentation(Augmentation):
    """The augmentation with every default written out."""

    crop: Annotated[ResizedCrop | PaddedCrop, Field(discriminator="type")] | None = None


def augmentation_rules(first_is_text: str) -> tuple[Rule, ...]:
    """Rules of `data`: what is changed is what the sources hold, and images are mirrored in one place.

    Args:
        first_is_text: CEL that says whether the sources hold text.
    """
    return (
        _suits(TEXT_FIELDS, "text", "images", f"{first_is_text}"),
        _suits(IMAGE_FIELDS, "images", "text", f"!({first_is_text})"),
        Rule(
            fields=("images.horizontal_flip", "augmentation.flip"),
            at="augmentation.flip",
            holds=lambda self: (
                self.images is None
                or not self.images.horizontal_flip
                or self.augmentation is None
                or self.augmentation.flip is None
            ),
            rule="cannot be given with images.horizontalFlip, which mirrors images too",
            remedy="Remove images.horizontalFlip; augmentation.flip with horizontal: 0.5 does the same.",
            cel=(
                "!has(self.images) || !has(self.images.horizontalFlip) || !self.images.horizontalFlip"
                " || !has(self.augmentation) || !has(self.augmentation.flip)"
            ),
        ),
    )


def _suits(names: tuple[str, ...], kind: str, other: str, is_kind: str) -> Rule:
    aliases = [to_camel(name) for name in names]
    asked = " || ".join(f"has(self.augmentation.{alias})" for alias in aliases)

    def holds(data: Any) -> bool:
        augmentation = data.augmentation
        return (
            augmentation is None
            or data.kind == kind
            or all(getattr(augmentation, name) is None for name in names)
        )

    return Rule(
        fields=("train.sources", "augmentation"),
        at="augmentation",
        holds=holds,
        rule=f"has something for {kind} ({', '.join(aliases)}), and these sources hold {other}",
        remedy="Remove what is not for these sources, or give the format of the sources.",
        cel=f"!has(self.augmentation) || ({is_kind}) || !({asked})",
    )
