"""The generative adversarial network: its networks, loss and regularisation."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from raygen.spec.families.family import Block, Family
from raygen.spec.families.metrics import OF_IMAGES
from raygen.spec.schema.base import Count, Fraction, NonNegative, Rule, Tagged, foreign_rule, given


class Augmentation(Tagged):
    """Changes to what the discriminator sees, real and generated alike, so that few images are enough."""

    type: Literal["DiffAugment", "Adaptive"]
    """DiffAugment: colour, translation and cutout, always (Zhao et al. 2020). Adaptive: flips, turns, shifts,
    scale, colour and cutout, each with a probability that follows how far the discriminator overfits (ADA,
    Karras et al. 2020)."""
    target: Fraction | None = None
    """Mean sign of the discriminator's scores of real images that the probability is steered to; for Relativistic
    and Wasserstein, whose scores have no zero, of their distance from the generated ones. Default: 0.6."""
    ramp_images: Count | None = None
    """Length of the way from probability 0 to 1 at full speed, in images. Default: 500000."""

    belongs: ClassVar[dict[str, tuple[str, ...]]] = {"target": ("Adaptive",), "ramp_images": ("Adaptive",)}


Augmentation.rules = Augmentation.foreign_rules()


class DiffAugment(Augmentation):
    """Resolved: the same changes always."""

    type: Literal["DiffAugment"]


class AdaptiveAugmentation(Augmentation):
    """Resolved: changes with a probability that is steered."""

    type: Literal["Adaptive"]
    target: Fraction = 0.6
    ramp_images: Count = 500_000


ResolvedAugmentation = DiffAugment | AdaptiveAugmentation


class GAN(Block, Tagged):
    """A generative adversarial network of square images (Goodfellow et al. 2014)."""

    network: Literal["DCGAN", "Residual"]
    """DCGAN: strided convolutions (Radford et al. 2016). Residual: residual blocks of 3x3 convolutions, as in
    SNGAN (Miyato et al. 2018); without normalisation they are close to R3GAN's (Huang et al. 2024)."""
    latent_size: Annotated[int, Field(ge=1, le=65_536)] = 128
    """Number of latent variables that an image is made from."""
    width: Annotated[int, Field(ge=1, le=4096)] = 64
    """Width at the highest resolution, in channels; each lower resolution has twice as many."""
    normalisation: Literal["Batch", "Group", "Off"] | None = None
    """Normalisation in both networks; Batch depends on how a batch is cut into micro-batches and workers.
    The discriminator has none under spectralNorm or a gradient penalty with Batch. Default: Batch for DCGAN,
    Off for Residual."""
    conditional: bool = False
    """Make images of a given class: the generator gets its embedding, the discriminator projects on it (Miyato
    & Koyama 2018). Needs data with labels."""
    loss: Literal["NonSaturating", "Hinge", "Wasserstein", "Relativistic"]
    """NonSaturating: Goodfellow et al. 2014. Hinge: Lim & Ye 2017. Wasserstein: Arjovsky et al. 2017, with
    `gradientPenalty`. Relativistic: Jolicoeur-Martineau 2019, with r1 and r2 the loss of R3GAN."""
    gradient_penalty: NonNegative | None = None
    """Weight of the penalty on gradients between real and generated images (Gulrajani et al. 2017, eq. 3).
    Default: 10."""
    r1: NonNegative = 0.0
    """Weight gamma of the penalty gamma/2 |gradient|^2 at real images (Mescheder et al. 2018, eq. 9)."""
    r2: NonNegative = 0.0
    """The same at generated images."""
    regularise_every: Annotated[int, Field(ge=1, le=1024)] = 1
    """Distance between steps with penalties, in steps; the penalties count as many times more (Karras et al.
    2020, appendix B)."""
    spectral_norm: bool = False
    """Divide each weight of the discriminator by its largest singular value (Miyato et al. 2018)."""
    discriminator_steps: Annotated[int, Field(ge=1, le=100)] = 1
    """Updates of the discriminator for each of the generator; all see the step's images, with other latents."""
    augmentation: Augmentation | None = None
    """Changes to what the discriminator sees. Default: none."""

    tag: ClassVar[str] = "network"
    rules: ClassVar[tuple[Rule, ...]] = (foreign_rule("loss", "gradient_penalty", ("Wasserstein",)),)
    family: ClassVar[Family] = Family(
        name="GAN",
        summary="Architecture and loss of a GAN",
        module="raygen.models.gan.family",
        contents=("images",),
        networks=("generator", "discriminator"),
        metrics=OF_IMAGES,
        guards=("NonFiniteLoss", "LossSpike", "ModeCollapse", "DiscriminatorOverpowering"),
        usual_guards=("NonFiniteLoss", "ModeCollapse", "DiscriminatorOverpowering"),
        # On CUDA a DCGAN's step has nearly as many kernels as before, 416 against 454, and each of its forms (real,
        # generated, frozen) has to be compiled.
        compiles=False,
    )

    @property
    def takes_classes(self) -> bool:
        """Whether it makes images of a given class."""
        return self.conditional

    @property
    def usual_guards(self) -> tuple[str, ...]:
        """All but what scores without a zero cannot say: on which side of it real and generated images lie."""
        anchored = self.loss not in ("Wasserstein", "Relativistic")
        return tuple(
            name for name in self.family.usual_guards if anchored or name != "DiscriminatorOverpowering"
        )

    def resolved(self) -> ResolvedGAN:
        """The network's usual normalisation, and the loss's usual penalty."""
        defaults: dict[str, object] = {"normalisation": "Batch" if self.network == "DCGAN" else "Off"}
        if self.loss == "Wasserstein":
            defaults["gradient_penalty"] = 10.0
        return ResolvedGAN.model_validate(defaults | given(self))

    def notices(self) -> tuple[str, ...]:
        """Of batch normalisation."""
        notice = (
            "normalisation: Batch takes its statistics from one micro-batch of one worker, so losses"
            " depend on scale.workers and training.microBatchSize; with Group or Off they do not"
        )
        return (notice,) if self.normalisation == "Batch" else ()


class ResolvedGAN(GAN):
    """A GAN with every default written out; with a gradient penalty exactly where the loss has one."""

    normalisation: Literal["Batch", "Group", "Off"]
    augmentation: Annotated[ResolvedAugmentation, Field(discriminator="type")] | None = None
