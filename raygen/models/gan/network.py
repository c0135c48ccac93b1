"""Generators and discriminators.

Shapes: N images, C channels, S height and width, D latent variables. Class labels are (N,) or None.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from raygen.errors import InputError
from raygen.models.protocol import ImageDomain
from raygen.spec.families.gan import ResolvedGAN

SMALLEST, LARGEST = 16, 256
"""Sizes of images that the networks are made for, in pixels."""
SLOPE = 0.2
"""Of the leaky ReLU (Radford et al. 2016, section 3)."""


def stages(domain: ImageDomain) -> tuple[int, int]:
    """Size of the smallest map, 4 to 7, and how often it is doubled.

    Raises:
        InputError: the images are not square, or have another size than such a map doubled.
    """
    size = domain.height
    for count in range(1, 7):
        if size % 2**count == 0 and 4 <= size >> count <= 7 and domain.width == size:
            return size >> count, count
    raise InputError(
        f"a GAN cannot make images of {domain.width}x{domain.height} pixels",
        where="spec.data.images",
        remedy="Give spec.data.images.size: 28, 32, 48, 64, 96 or 128 (4, 5, 6 or 7 doubled some times).",
    )


def _norm(kind: str, channels: int) -> list[nn.Module]:
    if kind == "Batch":
        return [nn.BatchNorm2d(channels)]
    if kind == "Group":
        return [nn.GroupNorm(min(8, channels) if channels % min(8, channels) == 0 else 1, channels)]
    return []


class Generator(nn.Module):
    """Latent variables (N, D) to images (N, C, S, S) from -1 to 1."""

    def __init__(self, gan: ResolvedGAN, domain: ImageDomain) -> None:
        super().__init__()
        self.start, count = stages(domain)
        widths = [gan.width * 2**number for number in reversed(range(count))]
        classes = len(domain.classes) if gan.conditional else 0
        self.embedding = nn.Embedding(classes, gan.latent_size) if classes else None
        inputs = gan.latent_size * (2 if classes else 1)
        norm = gan.normalisation
        self.stem = nn.Linear(inputs, widths[0] * self.start**2, bias=norm == "Off" or gan.network != "DCGAN")
        self.body = (
            _dcgan_body(widths, norm, domain.channels)
            if gan.network == "DCGAN"
            else _residual_body(widths, norm, domain.channels)
        )

    def forward(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """Generates."""
        if self.embedding is not None and labels is not None:
            latents = torch.cat([latents, self.embedding(labels)], dim=1)
        mapped = self.stem(latents)
        features = mapped.reshape(len(mapped), -1, self.start, self.start)
        images: Tensor = self.body(features.contiguous(memory_format=torch.channels_last))
        return images.float().tanh()


def _dcgan_body(widths: list[int], norm: str, channels: int) -> nn.Sequential:
    layers: list[nn.Module] = [*_norm(norm, widths[0]), nn.ReLU(inplace=True)]
    for inputs, outputs in zip(widths, [*widths[1:], 0], strict=True):
        last = outputs == 0
        bias = last or norm == "Off"
        layers.append(nn.ConvTranspose2d(inputs, channels if last else outputs, 4, 2, 1, bias=bias))
        if not last:
            layers += [*_norm(norm, outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def _residual_body(widths: list[int], norm: str, channels: int) -> nn.Sequential:
    blocks: list[nn.Module] = []
    for inputs, outputs in zip(widths, [*widths[1:], widths[-1]], strict=True):
        blocks.append(ResidualBlock(inputs, outputs, norm, 2.0))
    last = nn.Conv2d(widths[-1], channels, 3, padding=1)
    return nn.Sequential(*blocks, *_norm(norm, widths[-1]), nn.LeakyReLU(SLOPE), last)


class ResidualBlock(nn.Module):
    """skip(x) + f(x), both scaled; f is two times norm, leaky ReLU and a 3x3 convolution.

    The last convolution begins at zero (Zhang et al. 2019, Fixup), which makes training stable without a norm.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        norm: str,
        scale: float,
        wrap: Callable[[nn.Module], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        keep: Callable[[nn.Module], nn.Module] = wrap or (lambda module: module)
        self.scale = scale
        self.before = nn.Sequential(*_norm(norm, inputs), nn.LeakyReLU(SLOPE))
        self.first = keep(nn.Conv2d(inputs, outputs, 3, padding=1))
        second = nn.Conv2d(outputs, outputs, 3, padding=1)
        if wrap is None:
            # Under spectral norm a zero matrix has no direction to divide by.
            nn.init.zeros_(second.weight)
        self.second = nn.Sequential(*_norm(norm, outputs), nn.LeakyReLU(SLOPE), keep(second))
        self.skip = keep(nn.Conv2d(inputs, outputs, 1, bias=False)) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, S, S) to (N, outputs, scale x S, scale x S)."""
        added = self.before(x)
        if self.scale > 1:
            added, x = (
                F.interpolate(added, scale_factor=self.scale),
                F.interpolate(x, scale_factor=self.scale),
            )
        added = self.second(self.first(added))
        if self.scale < 1:
            added, x = F.avg_pool2d(added, 2), F.avg_pool2d(x, 2)
        found: Tensor = self.skip(x) + added
        return found


class Discriminator(nn.Module):
    """Images (N, C, S, S) from -1 to 1 to scores (N,).

    With classes, a score is psi(phi(x)) + embedding(y) . phi(x), phi the features summed over space (Miyato &
    Koyama 2018, eq. 3).

    Attributes:
        augmentation_p: Probability of adaptive augmentation; a buffer, so that checkpoints hold it.
    """

    augmentation_p: Tensor

    def __init__(self, gan: ResolvedGAN, domain: ImageDomain) -> None:
        super().__init__()
        start, count = stages(domain)
        widths = [gan.width * 2**number for number in range(count)]
        wrap: Callable[[nn.Module], nn.Module] | None = spectral_norm if gan.spectral_norm else None
        keep: Callable[[nn.Module], nn.Module] = wrap or (lambda module: module)
        norm = discriminator_norm(gan)
        if gan.network == "DCGAN":
            self.body = _dcgan_features(domain.channels, widths, norm, keep)
        else:
            self.body = _residual_features(domain.channels, widths, norm, keep, wrap)
        # Summed over the places with a weight of their own each, as DCGAN's last convolution does.
        self.head = keep(nn.Conv2d(widths[-1], 1, start))
        classes = len(domain.classes) if gan.conditional else 0
        self.embedding = keep(nn.Embedding(classes, widths[-1])) if classes else None
        self.register_buffer("augmentation_p", torch.zeros(()))

    def forward(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """Scores."""
        features = self.body(images.contiguous(memory_format=torch.channels_last))
        scores: Tensor = self.head(features).flatten().float()
        if self.embedding is not None and labels is not None:
            projected = self.embedding(labels).float() * features.float().sum(dim=(2, 3))
            scores = scores + projected.sum(dim=1)
        return scores


def discriminator_norm(gan: ResolvedGAN) -> str:
    """The discriminator's normalisation; a penalty per image forbids one that mixes images."""
    kind = gan.normalisation
    penalised = gan.loss == "Wasserstein" or gan.r1 > 0 or gan.r2 > 0
    return "Off" if gan.spectral_norm or (kind == "Batch" and penalised) else kind


def _dcgan_features(
    channels: int, widths: list[int], norm: str, keep: Callable[[nn.Module], nn.Module]
) -> nn.Sequential:
    layers: list[nn.Module] = []
    for number, (inputs, outputs) in enumerate(zip([channels, *widths[:-1]], widths, strict=True)):
        own = norm if number else "Off"
        layers.append(keep(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=own == "Off")))
        layers += [*_norm(own, outputs), nn.LeakyReLU(SLOPE, inplace=True)]
    return nn.Sequential(*layers)


def _residual_features(
    channels: int,
    widths: list[int],
    norm: str,
    keep: Callable[[nn.Module], nn.Module],
    wrap: Callable[[nn.Module], nn.Module] | None,
) -> nn.Sequential:
    blocks: list[nn.Module] = [keep(nn.Conv2d(channels, widths[0], 3, padding=1))]
    for inputs, outputs in zip([widths[0], *widths[:-1]], widths, strict=True):
        blocks.append(ResidualBlock(inputs, outputs, norm, 0.5, wrap))
    return nn.Sequential(*blocks, nn.LeakyReLU(SLOPE))


def initialise_dcgan(network: nn.Module, generator: torch.Generator) -> None:
    """Weights from N(0, 0.02), norms' scales from N(1, 0.02) (Radford et al. 2016, section 4)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.02, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02, generator=generator)
