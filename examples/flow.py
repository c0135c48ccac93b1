"""A normalising flow in one file: a model family of your own to copy.

RealNVP (Dinh et al. 2017): affine coupling layers turn an image into independent normal variables and back, so
the exact likelihood can be trained. `raygen.models.protocol.Family` says what each method is for.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from raygen.models.pictures import grid
from raygen.models.protocol import Sample

LEVELS = 256


class Coupling(nn.Module):
    """Keeps half of the variables and scales and shifts the other half by what the first says (eq. 7 and 8)."""

    def __init__(self, size, width, flip):
        super().__init__()
        mask = torch.arange(size) % 2 == (1 if flip else 0)
        self.register_buffer("mask", mask.float())
        self.net = nn.Sequential(
            nn.Linear(size, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2 * size)
        )
        nn.init.zeros_(self.net[-1].weight)  # begins as the identity
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, x):
        """X to z, and the logarithm of the volume's change, (samples,)."""
        scale, shift = self._factors(x)
        return x * torch.exp(scale) + shift, scale.sum(dim=1)

    def inverse(self, z):
        """Z to x."""
        scale, shift = self._factors(z)
        return (z - shift) * torch.exp(-scale)

    def _factors(self, x):
        scale, shift = self.net(x * self.mask).chunk(2, dim=1)
        return torch.tanh(scale) * (1 - self.mask), shift * (1 - self.mask)


class FlowNetwork(nn.Module):
    def __init__(self, size, width, layers):
        super().__init__()
        self.layers = nn.ModuleList(Coupling(size, width, flip=n % 2 == 1) for n in range(layers))

    def forward(self, x):
        volume = x.new_zeros(len(x))
        for layer in self.layers:
            x, change = layer(x)
            volume = volume + change
        return x, volume

    def inverse(self, z):
        for layer in reversed(self.layers):
            z = layer.inverse(z)
        return z


class Flow:
    """The family: what raygen asks for."""

    def __init__(self, job, domain, device):
        numbers = job.spec.model.custom.parameters
        self.shape = (domain.channels, domain.height, domain.width)
        self.size = math.prod(self.shape)
        self.model = FlowNetwork(self.size, int(numbers["width"]), int(numbers["layers"])).to(device)
        self.networks = {"model": self.model}
        self.device = device

    def loss(self, batch, draws):
        """Negative log-likelihood of each image, in nats, with noise that fills the gaps between the levels."""
        noise = draws.uniform("dequantise", *self.shape)
        levels = ((batch["images"].float() + noise) / LEVELS).flatten(1)
        squeezed = 0.05 + 0.9 * levels
        x = torch.logit(squeezed)
        z, volume = self.model(x)
        volume = (
            volume - (squeezed.log() + (1 - squeezed).log()).sum(dim=1) + self.size * math.log(0.9 / LEVELS)
        )
        normal = -0.5 * (z.square() + math.log(2 * math.pi)).sum(dim=1)
        return -(normal + volume)

    def step(self, micro_batches, updates, workers):
        losses = []
        for micro in micro_batches:
            loss = self.loss(micro.batch, micro.draws).mean() * micro.share
            updates["model"].backward(loss)
            losses.append(loss.detach())
        (loss,) = workers.sum(torch.stack(losses).sum())
        bits = loss / self.size / math.log(2)
        return {"loss": loss, "bits_per_dim": bits, "gradient_norm": updates["model"].step()}

    def evaluate(self, batch, draws):
        losses = self.loss(batch, draws)
        count = torch.tensor(float(len(losses)))
        return {"loss": losses.sum(), "count": count, "dimensions": count * self.size}

    def sample(self, request):
        generator = torch.Generator().manual_seed(request.seed)
        z = torch.randn(request.count, self.size, generator=generator).to(self.device)
        with torch.inference_mode():
            levels = (torch.sigmoid(self.model.inverse(0.7 * z)) - 0.05) / 0.9
        images = (levels.clamp(0, 1) * (LEVELS - 1)).round().to(torch.uint8).reshape(-1, *self.shape)
        return [Sample(prompt="samples", png=grid(images))]
