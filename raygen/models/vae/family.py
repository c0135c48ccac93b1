"""The VAE's way of training: a bound of the log-likelihood."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from raygen.errors import ExportError
from raygen.models.draws import Draws
from raygen.models.protocol import (
    COMPUTE_TYPES,
    SHOWN,
    Batch,
    Domain,
    HuggingFaceModel,
    ImageDomain,
    MicroBatch,
    ParameterGroups,
    Sample,
    SampleRequest,
    Update,
    Workers,
    evaluating,
    sort_parameters,
    weighted_sum,
)
from raygen.models.vae.bound import Posterior, free_bits, importance_bound, log_weights, posterior_of
from raygen.models.vae.codebook import Codebook, Usage
from raygen.models.vae.likelihood import Bernoulli, Likelihood, make_likelihood
from raygen.models.vae.network import (
    Autoencoder,
    FlatDecoder,
    FlatEncoder,
    MapDecoder,
    MapEncoder,
    MLPDecoder,
    MLPEncoder,
)
from raygen.models.vae.pictures import make_pictures
from raygen.spec import ResolvedJob
from raygen.spec.contents import images_of
from raygen.spec.families.vae import ResolvedVAE
from raygen.spec.job.evaluation import ACTIVE_VARIANCE, NegativeLogLikelihood

Map = Callable[[Tensor], Tensor]
"""A network, as it is or compiled."""
IMPORTANCE_BYTES = 1 << 26
"""Memory for one layer of the decoder's outputs while many draws per image are measured."""


class VAEFamily:
    """One network, `model`, with an encoder and a decoder.

    Attributes:
        networks: `model`.
        shown: The first validation images, uint8, which pictures of reconstructions start from; None before the
            first evaluation.
    """

    def __init__(
        self, network: Autoencoder, vae: ResolvedVAE, likelihood: Likelihood, job: ResolvedJob
    ) -> None:
        self.networks: Mapping[str, nn.Module] = {"model": network}
        self.network = network
        self.vae = vae
        self.likelihood = likelihood
        self.shown: Tensor | None = None
        self._metrics = [m for m in job.spec.evaluation.metrics if m.type == "NegativeLogLikelihood"]
        self._batch = job.spec.training.global_batch_size
        self._compute_type = COMPUTE_TYPES[job.spec.training.precision]
        self._encode: Map = network.encoder
        self._decode: Map = network.decoder

    def compile(self, options: Mapping[str, Any]) -> None:
        """Compiles encoder and decoder."""
        self._encode = torch.compile(self.network.encoder, **options)
        self._decode = torch.compile(self.network.decoder, **options)

    def change(self, job: ResolvedJob) -> None:
        """Takes over the weights of the loss's parts."""
        vae = job.spec.model.block
        if not isinstance(vae, ResolvedVAE):
            raise TypeError("the job's model is not a resolved VAE")
        self.vae = vae
        if self.network.codebook is not None and vae.codebook is not None:
            cast("Codebook", self.network.codebook).settings = vae.codebook

    def step(
        self, micro_batches: Sequence[MicroBatch], updates: Mapping[str, Update], workers: Workers
    ) -> dict[str, Tensor]:
        """One update of `model` on the bound, averaged over all samples.

        Returns:
            `loss` (the negative bound as it is trained) and its parts `reconstruction` and `kl`, in nats per
            image; `active_units`; with a codebook `commitment` and `perplexity` instead of the last two.
        """
        update = updates["model"]
        with torch.autocast(
            micro_batches[0].draws.device.type,
            self._compute_type,
            enabled=self._compute_type != torch.float32,
        ):
            if self.network.codebook is not None:
                return self._discrete_step(self.network.codebook, micro_batches, update, workers)
            return self._gaussian_step(micro_batches, update, workers)

    def _gaussian_step(
        self, micro_batches: Sequence[MicroBatch], update: Update, workers: Workers
    ) -> dict[str, Tensor]:
        targets = [self._target(micro.batch, micro.draws) for micro in micro_batches]
        floor = self._mean_kl(micro_batches, targets, workers) if self.vae.free_bits else None
        weight = self._kl_weight(micro_batches[0].step)
        rows, means = [], []
        for micro, target in zip(micro_batches, targets, strict=True):
            posterior = posterior_of(self._encode(target))
            if self.vae.importance_samples > 1:
                bound = self._importance(
                    target, posterior, micro.draws, self.vae.importance_samples, 0, self._decode
                )
                loss = -micro.mean(importance_bound(bound))
                rows.append(torch.stack([loss, *(loss.new_zeros(()),) * 2]).detach() * micro.share)
            else:
                latents = posterior.draw(micro.draws.normal("latent", self.vae.latent_size))
                fit = micro.mean(self._log_prob(latents, target, self._decode))
                each = posterior.kl()
                kl = micro.mean(each.sum(dim=1))
                paid = kl if floor is None else micro.mean(free_bits(each, floor, self.vae.free_bits))
                loss = weight * paid - fit
                rows.append(torch.stack([loss, -fit, kl]).detach() * micro.share)
            update.backward(loss * micro.share, last=micro is micro_batches[-1])
            mean = posterior.mean.detach()
            means.append(torch.stack([mean.sum(dim=0), mean.square().sum(dim=0)]) / self._batch)
        parts, moments = workers.sum(torch.stack(rows).sum(dim=0), torch.stack(means).sum(dim=0))
        scalars = {"loss": parts[0]}
        if self.vae.importance_samples == 1:
            scalars |= {"reconstruction": parts[1], "kl": parts[2]}
        active = (moments[1] - moments[0].square() > ACTIVE_VARIANCE).sum()
        return scalars | {"active_units": active, "gradient_norm": update.step()}

    def _discrete_step(
        self, codebook: nn.Module, micro_batches: Sequence[MicroBatch], update: Update, workers: Workers
    ) -> dict[str, Tensor]:
        book = cast("Codebook", codebook)
        rows: list[Tensor] = []
        usages: list[Usage] = []
        for micro in micro_batches:
            target = self._target(micro.batch, micro.draws)
            encoded = self._encode(target)
            codes, distances, chosen = book(encoded)
            commitment = micro.mean(distances)
            fit = micro.mean(self._log_prob(codes, target, self._decode))
            loss = book.settings.commitment * commitment - fit
            update.backward(loss * micro.share, last=micro is micro_batches[-1])
            usages.append(book.usage(encoded, chosen, micro.draws, self._batch))
            rows.append(torch.stack([loss, -fit, commitment]).detach() * micro.share)
        (parts,) = workers.sum(torch.stack(rows).sum(dim=0))
        perplexity = book.update(usages, workers)
        return {
            "loss": parts[0],
            "reconstruction": parts[1],
            "commitment": parts[2],
            "perplexity": perplexity,
            "gradient_norm": update.step(),
        }

    def _show(self, images: Tensor, start: int) -> None:
        """Keeps the split's first images, which may come in several batches."""
        if start < SHOWN:
            held = [] if self.shown is None or start == 0 else [self.shown]
            self.shown = torch.cat([*held, images[: SHOWN - start]])

    def evaluate(self, batch: Batch, draws: Draws, weights: Tensor | None = None) -> dict[str, Tensor]:
        """Sums of `loss` (negative ELBO with analytic KL, in nats; with a codebook the reconstruction alone),
        `count` (of images), `dimensions`, `means` and `mean_squares` of the posterior means (D,), and for each
        NegativeLogLikelihood `<name>/sum`, `<name>/squares`, `<name>/count` and `<name>/square_weights`.
        """
        self._show(batch["images"], draws.samples.start)
        target = self._target(batch, draws)
        count = torch.tensor(float(len(target))) if weights is None else weights.sum()
        sums = {"count": count, "dimensions": count * target[0].numel()}
        encoded = self.network.encoder(target)
        if self.network.codebook is not None:
            codes, _, _ = self.network.codebook(encoded)
            fit = self._log_prob(codes, target, self.network.decoder)
            return sums | {"loss": -weighted_sum(fit, weights)}
        posterior = posterior_of(encoded)
        latents = posterior.draw(draws.normal("latent", self.vae.latent_size))
        elbo = self._log_prob(latents, target, self.network.decoder) - posterior.kl().sum(dim=1)
        sums |= {
            "loss": -weighted_sum(elbo, weights),
            "means": weighted_sum(posterior.mean, weights),
            "mean_squares": weighted_sum(posterior.mean.square(), weights),
        }
        for metric in self._metrics:
            sums |= self._likelihood_sums(metric, target, posterior, draws, weights)
        return sums

    def generate(self, request: SampleRequest, samples: range) -> Batch:
        """Images drawn from the prior; nothing with a codebook, which has none."""
        if self.network.codebook is not None:
            return {}
        draws = Draws((request.seed,), samples, next(self.network.parameters()).device)
        with evaluating(self.network):
            return {"images": self.decode(draws.normal("prior", self.vae.latent_size))}

    def sample(self, request: SampleRequest) -> list[Sample]:
        """Grids of images: drawn from the prior, interpolated between draws, and, once a validation split was
        seen, reconstructed. With a codebook there is no prior to draw from, so only reconstructions are shown.
        """
        with evaluating(self.network):
            return make_pictures(self, request)

    def parameter_groups(self, network: str) -> ParameterGroups:
        """Matrices (convolutions too), and biases, norms and log_sigma."""
        return sort_parameters(self.networks[network])

    def huggingface(self) -> HuggingFaceModel:
        """Refuses.

        Raises:
            ExportError: Hugging Face's libraries have no such architecture.
        """
        raise ExportError(
            "Hugging Face has no architecture that computes the same as this VAE",
            where="spec.model.vae",
            remedy="Use `raygen sample`, or load the checkpoint's safetensors file.",
        )

    def decode(self, latents: Tensor) -> Tensor:
        """Expected images of latent variables (N, D), uint8 (N, C, H, W)."""
        return _to_bytes(self.likelihood.mean(self.network.decoder(latents)))

    def reconstruct(self, images: Tensor) -> Tensor:
        """Images through encoder and decoder, without noise, uint8 (N, C, H, W)."""
        target = self.likelihood.target(images, None)
        encoded = self.network.encoder(target)
        if self.network.codebook is not None:
            return self.decode(self.network.codebook(encoded)[0])
        return self.decode(posterior_of(encoded).mean)

    def _target(self, batch: Batch, draws: Draws) -> Tensor:
        images = batch["images"]
        drawn = isinstance(self.likelihood, Bernoulli) and self.likelihood.draws
        return self.likelihood.target(images, draws.uniform("binarise", *images.shape[1:]) if drawn else None)

    def _log_prob(self, latents: Tensor, target: Tensor, decode: Map) -> Tensor:
        return self.likelihood.log_prob(decode(latents), target, self.network.log_sigma)

    def _kl_weight(self, step: int) -> float:
        warmup = self.vae.kl_warmup_steps
        return self.vae.beta * (min(step / warmup, 1.0) if warmup else 1.0)

    @torch.no_grad()
    def _mean_kl(
        self, micro_batches: Sequence[MicroBatch], targets: Sequence[Tensor], workers: Workers
    ) -> Tensor:
        """Divergence of each variable, averaged over all samples of the step, (D,)."""
        parts = [
            micro.mean(posterior_of(self._encode(target)).kl()) * micro.share
            for micro, target in zip(micro_batches, targets, strict=True)
        ]
        (mean,) = workers.sum(torch.stack(parts).sum(dim=0))
        return mean

    def _importance(
        self, target: Tensor, posterior: Posterior, draws: Draws, count: int, first: int, decode: Map
    ) -> Tensor:
        """Logarithms of the importance weights of `count` draws for each image, (N, count)."""
        noise = draws.normal(f"importance {first}", count, self.vae.latent_size)
        latents = posterior.draw(noise)
        repeated = target.repeat_interleave(count, dim=0)
        fit = self._log_prob(latents.flatten(0, 1), repeated, decode).reshape(-1, count)
        return log_weights(fit, noise, latents, posterior)

    def _likelihood_sums(
        self,
        metric: NegativeLogLikelihood,
        target: Tensor,
        posterior: Posterior,
        draws: Draws,
        weights: Tensor | None,
    ) -> dict[str, Tensor]:
        """Importance-sampled log-likelihoods of the images that the metric asks for; a few draws at a time."""
        wanted = min(max((metric.images or draws.samples.stop) - draws.samples.start, 0), len(target))
        name, total = metric.name, metric.importance_samples
        nothing = target.new_zeros(())
        if not wanted:
            return {f"{name}/{part}": nothing for part in ("sum", "squares", "count", "square_weights")}
        some = Posterior(posterior.mean[:wanted], posterior.log_variance[:wanted])
        chosen = Draws(draws.key, draws.samples[:wanted], draws.device)
        chunk = max(IMPORTANCE_BYTES // (4 * target[0].numel() * wanted), 1)
        bound = target.new_full((wanted,), -math.inf)
        for first in range(0, total, chunk):
            count = min(chunk, total - first)
            ratios = self._importance(target[:wanted], some, chosen, count, first, self.network.decoder)
            bound = torch.logaddexp(bound, ratios.logsumexp(dim=1))
        losses = math.log(total) - bound.double()
        own = None if weights is None else weights[:wanted]
        return {
            f"{name}/sum": weighted_sum(losses, own),
            f"{name}/squares": weighted_sum(losses.square(), own),
            f"{name}/count": nothing + (wanted if own is None else own.sum()),
            f"{name}/square_weights": nothing + (wanted if own is None else own.square().sum()),
        }


def _to_bytes(levels: Tensor) -> Tensor:
    return levels.mul(255).round().clamp(0, 255).to(torch.uint8)


def build(job: ResolvedJob, domain: Domain, device: torch.device) -> VAEFamily:
    """Makes an autoencoder with weights drawn from the job's seed, as PyTorch's layers draw theirs."""
    vae, images = job.spec.model.block, images_of(domain)
    if not isinstance(vae, ResolvedVAE):
        raise TypeError("the job's model is not a resolved VAE")
    likelihood = make_likelihood(vae.likelihood, vae.binarisation)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(job.spec.training.seed)
        network = _network(vae, images, likelihood)
    return VAEFamily(network.to(device), vae, likelihood, job)


def _network(vae: ResolvedVAE, images: ImageDomain, likelihood: Likelihood) -> Autoencoder:
    encoder: nn.Module
    decoder: nn.Module
    book = None
    outputs = 2 * vae.latent_size
    if vae.network == "MLP":
        encoder, decoder = MLPEncoder(vae, images, outputs), MLPDecoder(vae, images, likelihood.parameters)
    elif vae.codebook is None:
        encoder, decoder = FlatEncoder(vae, images, outputs), FlatDecoder(vae, images, likelihood.parameters)
    else:
        book = Codebook(vae.codebook, vae.latent_size)
        encoder, decoder = MapEncoder(vae, images), MapDecoder(vae, images, likelihood.parameters)
    return Autoencoder(encoder, decoder, book, has_deviation=likelihood.has_deviation)
