"""Encoders and decoders of a VAE.

Shapes: N samples, C channels, H height, W width, D latent variables, P numbers of the likelihood per pixel.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from raygen.models.protocol import ImageDomain
from raygen.spec.families.vae import MLPVAE, ConvVAE

ACTIVATIONS: dict[str, type[nn.Module]] = {"ReLU": nn.ReLU, "Tanh": nn.Tanh, "SiLU": nn.SiLU}
GROUP = 8
"""Channels that group norm normalises together, at least."""


class MLPEncoder(nn.Module):
    """Images (N, C, H, W) to `outputs` numbers (N, outputs)."""

    def __init__(self, vae: MLPVAE, domain: ImageDomain, outputs: int) -> None:
        super().__init__()
        pixels = domain.channels * domain.height * domain.width
        self.layers = _mlp(vae, [pixels, *(vae.hidden_sizes), outputs])

    def forward(self, images: Tensor) -> Tensor:
        """Encodes."""
        encoded: Tensor = self.layers(images.flatten(1))
        return encoded


class MLPDecoder(nn.Module):
    """Latent variables (N, D) to the likelihood's numbers (N, P x C, H, W)."""

    def __init__(self, vae: MLPVAE, domain: ImageDomain, parameters: int) -> None:
        super().__init__()
        self.shape = (parameters * domain.channels, domain.height, domain.width)
        outputs = self.shape[0] * self.shape[1] * self.shape[2]
        self.layers = _mlp(vae, [vae.latent_size, *reversed(vae.hidden_sizes), outputs])

    def forward(self, latents: Tensor) -> Tensor:
        """Decodes."""
        decoded: Tensor = self.layers(latents)
        return decoded.reshape(len(decoded), *self.shape)


def _mlp(vae: MLPVAE, sizes: list[int]) -> nn.Sequential:
    activation = ACTIVATIONS[vae.activation]
    layers: list[nn.Module] = []
    for number, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        layers += [*([activation()] if number else []), nn.Linear(inputs, outputs)]
    return nn.Sequential(*layers)


class ResidualBlock(nn.Module):
    """x + f(x), with f two times group norm, SiLU and a 3x3 convolution (He et al. 2016, pre-activation).

    The last convolution begins at zero, so that every block begins as the identity.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            group_norm(channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            group_norm(channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        last = self.layers[-1]
        for parameter in last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to the same shape."""
        added: Tensor = self.layers(x)
        return x + added


def group_norm(channels: int) -> nn.GroupNorm:
    """Group norm (Wu & He 2018) with groups of at least `GROUP` channels that divide them all."""
    groups = max(channels // GROUP, 1)
    while channels % groups:
        groups -= 1
    return nn.GroupNorm(groups, channels)


class ConvEncoder(nn.Module):
    """Images (N, C, H, W) to a map of features (N, channels[-1], h, w), h and w halved at each resolution."""

    def __init__(self, vae: ConvVAE, domain: ImageDomain) -> None:
        super().__init__()
        widths = vae.channels
        layers: list[nn.Module] = [nn.Conv2d(domain.channels, widths[0], 3, padding=1)]
        for number, width in enumerate(widths):
            if number:
                layers.append(nn.Conv2d(widths[number - 1], width, 3, stride=2, padding=1))
            layers += [ResidualBlock(width) for _ in range(vae.blocks)]
        self.layers = nn.Sequential(*layers, group_norm(widths[-1]), nn.SiLU())

    def forward(self, images: Tensor) -> Tensor:
        """Encodes."""
        encoded: Tensor = self.layers(images)
        return encoded


class ConvDecoder(nn.Module):
    """A map of features (N, channels[-1], h, w) to the likelihood's numbers (N, P x C, H, W)."""

    def __init__(self, vae: ConvVAE, domain: ImageDomain, parameters: int) -> None:
        super().__init__()
        widths = vae.channels
        self.sizes = resolutions(domain, len(widths))
        self.stages = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(width) for _ in range(vae.blocks))) for width in widths
        )
        self.narrow = nn.ModuleList(
            nn.Conv2d(widths[number + 1], widths[number], 3, padding=1) for number in range(len(widths) - 1)
        )
        self.out = nn.Sequential(
            group_norm(widths[0]),
            nn.SiLU(),
            nn.Conv2d(widths[0], parameters * domain.channels, 3, padding=1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Decodes."""
        for number in reversed(range(len(self.stages))):
            features = self.stages[number](features)
            if number:
                features = F.interpolate(features, size=self.sizes[number - 1], mode="nearest")
                features = self.narrow[number - 1](features)
        decoded: Tensor = self.out(features)
        return decoded


def resolutions(domain: ImageDomain, count: int) -> list[tuple[int, int]]:
    """Height and width at each resolution, as stride 2 with padding gives them: rounded up."""
    sizes = [(domain.height, domain.width)]
    for _ in range(count - 1):
        height, width = sizes[-1]
        sizes.append((-(-height // 2), -(-width // 2)))
    return sizes


class FlatEncoder(nn.Module):
    """A convolutional encoder with `outputs` numbers (N, outputs) for Gaussian latent variables."""

    def __init__(self, vae: ConvVAE, domain: ImageDomain, outputs: int) -> None:
        super().__init__()
        self.features = ConvEncoder(vae, domain)
        height, width = resolutions(domain, len(vae.channels))[-1]
        self.head = nn.Linear(vae.channels[-1] * height * width, outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Encodes."""
        encoded: Tensor = self.head(self.features(images).flatten(1))
        return encoded


class FlatDecoder(nn.Module):
    """A convolutional decoder of Gaussian latent variables (N, D)."""

    def __init__(self, vae: ConvVAE, domain: ImageDomain, parameters: int) -> None:
        super().__init__()
        widths = vae.channels
        self.shape = (widths[-1], *resolutions(domain, len(widths))[-1])
        self.stem = nn.Linear(vae.latent_size, self.shape[0] * self.shape[1] * self.shape[2])
        self.features = ConvDecoder(vae, domain, parameters)

    def forward(self, latents: Tensor) -> Tensor:
        """Decodes."""
        decoded: Tensor = self.features(self.stem(latents).reshape(len(latents), *self.shape))
        return decoded


class MapEncoder(nn.Module):
    """A convolutional encoder with a code at each place: (N, C, H, W) to (N, D, h, w)."""

    def __init__(self, vae: ConvVAE, domain: ImageDomain) -> None:
        super().__init__()
        self.features = ConvEncoder(vae, domain)
        self.head = nn.Conv2d(vae.channels[-1], vae.latent_size, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Encodes."""
        encoded: Tensor = self.head(self.features(images))
        return encoded


class MapDecoder(nn.Module):
    """A convolutional decoder of codes at places (N, D, h, w)."""

    def __init__(self, vae: ConvVAE, domain: ImageDomain, parameters: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(vae.latent_size, vae.channels[-1], 3, padding=1)
        self.features = ConvDecoder(vae, domain, parameters)

    def forward(self, codes: Tensor) -> Tensor:
        """Decodes."""
        decoded: Tensor = self.features(self.stem(codes))
        return decoded


class Autoencoder(nn.Module):
    """Encoder, decoder and what the likelihood learns besides.

    Attributes:
        log_sigma: Logarithm of a Gaussian likelihood's deviation, one number; None with another likelihood.
    """

    log_sigma: nn.Parameter | None

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, codebook: nn.Module | None, *, has_deviation: bool
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.codebook = codebook
        self.log_sigma = nn.Parameter(torch.zeros(())) if has_deviation else None
