"""What samples hold: the words that data sets and models share, since neither imports the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from raygen.errors import InputError

IGNORED = -1
"""Target of a place that counts for nothing."""


@runtime_checkable
class Vocabulary(Protocol):
    """Text to tokens and back.

    A batch has `inputs` and `targets` (samples, context), int64, the targets being the inputs' next tokens or IGNORED;
    one of the validation split has `bytes` (samples,) too: the bytes of text that its targets stand for. Where
    `data.packing` is Documents it has `documents` (samples, context), int64: the number within its sample, from 0 on and
    ascending, of the document that each input is of. A prediction is to use inputs of its own document alone.

    Attributes:
        size: Number of tokens.
        end_of_text: The token between documents, where there is one.
    """

    size: int
    end_of_text: int | None

    def encode(self, text: str) -> Iterable[int]:
        """The tokens of a text."""

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of these tokens."""


@runtime_checkable
class ImageDomain(Protocol):
    """Images of one size.

    A batch has `images` (samples, channels, height, width), uint8, and where there are classes `labels`
    (samples,), int64. Where images are mixed in training (`data.augmentation.mixing`) it has with classes also `mixed_labels`
    (samples,), those of the second image of each, and `label_shares` (samples,), Float32, the first one's share.
    """

    @property
    def channels(self) -> int:
        """1 for grey, 3 for red, green and blue."""

    @property
    def height(self) -> int:
        """In pixels."""

    @property
    def width(self) -> int:
        """In pixels."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names, in the order of their labels; empty for images without labels."""


Domain = Vocabulary | ImageDomain
"""What a model must know of its data: the tokens of text, or the size and classes of images."""


def vocabulary_of(domain: Domain) -> Vocabulary:
    """The domain of text.

    Raises:
        InputError: the data is not text.
    """
    if isinstance(domain, Vocabulary):
        return domain
    raise _other_contents("text")


def images_of(domain: Domain) -> ImageDomain:
    """The domain of images.

    Raises:
        InputError: the data is not images.
    """
    if isinstance(domain, ImageDomain):
        return domain
    raise _other_contents("images")


def _other_contents(wanted: str) -> InputError:
    return InputError(
        f"the model is for {wanted}, and the data holds something else",
        where="spec.data",
        remedy="Give data that fits spec.model.type, or choose another model.",
    )
