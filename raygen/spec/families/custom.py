"""A model family of the user's own."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from raygen.spec.families.family import Block, Family
from raygen.spec.families.metrics import OF_IMAGES, OF_TEXTS
from raygen.spec.schema.base import Digest, Entrypoint, Parameter, Rule, Spec, Uri, plain_uri


class Package(Spec):
    """Python code that the entrypoint is in: a wheel, a zip archive, or one .py file."""

    uri: Uri
    """Where it is, as a path or URI; a relative path starts from the folder of the job file."""
    sha256: Digest
    """SHA-256 of the file; another one is refused before anything in it runs."""

    rules: ClassVar[tuple[Rule, ...]] = (plain_uri("uri"),)


class Custom(Block):
    """A model family of your own: a class with the methods of `raygen.models.protocol.Family`."""

    entrypoint: Entrypoint
    """The class, as module:Class. The module is in `package`, or else in the folder of the job file."""
    package: Package | None = None
    """The code, pinned by its hash. Default: the folder of the job file."""
    context_length: Annotated[int, Field(ge=1, le=16_777_216)] | None = None
    """Length of a sample of text, in tokens; given exactly when the sources hold text."""
    parameters: dict[Parameter, float] = Field(default={}, max_length=64)
    """Numbers that the class is given, by name: its own hyperparameters."""

    family: ClassVar[Family] = Family(
        name="Custom",
        summary="A family of your own",
        module="raygen.models.custom",
        contents=("text", "images"),
        metrics=("ValidationLoss", "BitsPerByte", "Perplexity", "BitsPerDim", *OF_IMAGES, *OF_TEXTS),
        guards=(
            "NonFiniteLoss",
            "LossSpike",
            "TextRepetition",
            "ModeCollapse",
            "PosteriorCollapse",
            "DiscriminatorOverpowering",
        ),
        # Its batches say with what each image was mixed; what becomes of that is its own affair.
        learns_mixtures=True,
        # What a model of the user's own is made of may have no repeatable kernel.
        is_repeatable=False,
    )

    @property
    def tokens(self) -> int | None:
        """Length of a sample of text, in tokens; None for models of images."""
        return self.context_length

    @property
    def takes_classes(self) -> bool:
        """It may be."""
        return True
