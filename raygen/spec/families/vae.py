"""The variational autoencoder: its networks, likelihood and bound."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, TypeAdapter

from raygen.spec.families.family import Block, Family
from raygen.spec.families.metrics import OF_IMAGES
from raygen.spec.schema.base import Fraction, Index, NonNegative, Rule, Spec, Tagged, foreign_rule, given

Width = Annotated[int, Field(ge=1, le=65_536)]


class Codebook(Spec):
    """Discrete latent variables (VQ-VAE, van den Oord et al. 2017), one for each place of the encoder's map."""

    size: Annotated[int, Field(ge=2, le=1_048_576)] = 512
    """Number of codes."""
    decay: Fraction = 0.99
    """Weight of the old average in the moving averages that the codes are (appendix A.1)."""
    commitment: NonNegative = 0.25
    """Weight of the term that keeps the encoder near its codes (eq. 3)."""
    revive_below: NonNegative = 1.0
    """A code whose average use falls below this many places per step becomes a place of the batch. 0: never."""


class VAE(Block, Tagged):
    """A variational autoencoder of images (Kingma & Welling 2014)."""

    network: Literal["MLP", "ConvResidual"]
    """MLP: fully connected layers. ConvResidual: residual blocks of convolutions with group norm and SiLU."""
    latent_size: Annotated[int, Field(ge=1, le=65_536)]
    """Number of latent variables; with a codebook, the number of channels of a code."""
    hidden_sizes: Annotated[tuple[Width, ...], Field(min_length=1, max_length=16)] | None = None
    """Width of each hidden layer of the encoder, in units; the decoder has them in reverse. Default: [400]."""
    activation: Literal["ReLU", "Tanh", "SiLU"] | None = None
    """Non-linearity of the hidden layers. Default: ReLU."""
    channels: Annotated[tuple[Width, ...], Field(min_length=1, max_length=8)] | None = None
    """Width at each resolution, in channels; each after the first has half the height and width. Default:
    [32, 64, 128]."""
    blocks: Annotated[int, Field(ge=1, le=64)] | None = None
    """Residual blocks at each resolution. Default: 1."""
    likelihood: Literal["Bernoulli", "Gaussian", "DiscretisedLogistic"]
    """Distribution of a pixel given the latent variables. Bernoulli: for black and white, or grey levels as
    probabilities. Gaussian: with one variance that is learned (Rybkin et al. 2021). DiscretisedLogistic: over
    the 256 levels (Kingma et al. 2016), which makes bits per dimension comparable."""
    binarisation: Literal["GreyLevels", "Dynamic", "Threshold"] | None = None
    """What a Bernoulli sees. GreyLevels: the levels themselves. Dynamic: black or white drawn again at every
    step, with the level as probability (Burda et al. 2016). Threshold: white from level 128. Default:
    GreyLevels."""
    codebook: Codebook | None = None
    """Discrete latent variables instead of Gaussian ones; needs ConvResidual. Default: Gaussian ones."""
    beta: NonNegative = 1.0
    """Weight of the KL divergence (Higgins et al. 2017)."""
    free_bits: NonNegative = 0.0
    """KL divergence per latent variable that costs nothing, in nats (Kingma et al. 2016, eq. 15)."""
    kl_warmup_steps: Index = 0
    """Length of the warm-up, over which the KL divergence's weight rises linearly, in steps."""
    importance_samples: Annotated[int, Field(ge=1, le=5000)] = 1
    """Draws per image of the bound that is trained: 1 is the ELBO, more the importance-weighted bound (Burda
    et al. 2016, eq. 8)."""

    tag: ClassVar[str] = "network"
    belongs: ClassVar[dict[str, tuple[str, ...]]] = {
        "hidden_sizes": ("MLP",),
        "activation": ("MLP",),
        "channels": ("ConvResidual",),
        "blocks": ("ConvResidual",),
        "codebook": ("ConvResidual",),
    }
    family: ClassVar[Family] = Family(
        name="VAE",
        summary="Architecture and bound of a VAE",
        module="raygen.models.vae.family",
        contents=("images",),
        metrics=("ValidationLoss", "NegativeLogLikelihood", "BitsPerDim", "ActiveUnits", *OF_IMAGES),
        guards=("NonFiniteLoss", "LossSpike", "PosteriorCollapse"),
        usual_guards=("NonFiniteLoss", "LossSpike", "PosteriorCollapse"),
        loss_unit="nats",
        compiles=False,
        # Its targets are its own inputs.
        learns_mixtures=True,
        shows_validation=True,
    )

    def resolved(self) -> ResolvedVAE:
        """The network's usual shape, and grey levels for a Bernoulli."""
        defaults = {"binarisation": "GreyLevels"} if self.likelihood == "Bernoulli" else {}
        return _RESOLVED.validate_python(defaults | given(self))


class MLPVAE(VAE):
    """A VAE of fully connected layers with every default written out."""

    network: Literal["MLP"]
    hidden_sizes: Annotated[tuple[Width, ...], Field(min_length=1, max_length=16)] = (400,)
    activation: Literal["ReLU", "Tanh", "SiLU"] = "ReLU"


class ConvVAE(VAE):
    """A VAE of residual convolutions with every default written out."""

    network: Literal["ConvResidual"]
    channels: Annotated[tuple[Width, ...], Field(min_length=1, max_length=8)] = (32, 64, 128)
    blocks: Annotated[int, Field(ge=1, le=64)] = 1


ResolvedVAE = MLPVAE | ConvVAE
_RESOLVED: TypeAdapter[ResolvedVAE] = TypeAdapter(Annotated[ResolvedVAE, Field(discriminator="network")])

_PLAIN_BOUND = (
    "(!has(self.beta) || self.beta == 1.0) && (!has(self.freeBits) || self.freeBits == 0.0)"
    " && (!has(self.klWarmupSteps) || self.klWarmupSteps == 0)"
)


def _has_plain_bound(self: VAE) -> bool:
    return self.beta == 1 and self.free_bits == 0 and self.kl_warmup_steps == 0


VAE.rules = (
    *VAE.foreign_rules(),
    foreign_rule("likelihood", "binarisation", ("Bernoulli",)),
    Rule(
        fields=("importance_samples", "beta", "free_bits", "kl_warmup_steps"),
        at="importanceSamples",
        holds=lambda self: self.importance_samples == 1 or _has_plain_bound(self),
        rule="above 1 leaves no KL term that beta, freeBits or klWarmupSteps could weigh",
        remedy="Remove beta, freeBits and klWarmupSteps, or importanceSamples.",
        cel=f"!has(self.importanceSamples) || self.importanceSamples == 1 || ({_PLAIN_BOUND})",
    ),
    Rule(
        fields=("codebook", "importance_samples", "beta", "free_bits", "kl_warmup_steps"),
        at="codebook",
        holds=lambda self: self.codebook is None or (self.importance_samples == 1 and _has_plain_bound(self)),
        rule="has no KL term that beta, freeBits, klWarmupSteps or importanceSamples could change",
        remedy="Remove these, or codebook.",
        cel=(
            "!has(self.codebook) || ((!has(self.importanceSamples) || self.importanceSamples == 1)"
            f" && {_PLAIN_BOUND})"
        ),
    ),
)
