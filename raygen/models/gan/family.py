"""The GAN's way of training: the discriminator's updates, then the generator's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from raygen.errors import DataError, ExportError
from raygen.models.draws import Draws
from raygen.models.gan.augmentation import adaptive_augment, diff_augment
from raygen.models.gan.losses import LOSSES, between, squared_gradients
from raygen.models.gan.network import Discriminator, Generator, initialise_dcgan
from raygen.models.pictures import grid, to_bytes
from raygen.models.protocol import (
    COMPUTE_TYPES,
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
)
from raygen.spec import ResolvedJob
from raygen.spec.contents import images_of
from raygen.spec.families.gan import ResolvedGAN

ADJUST_EVERY = 4
"""Steps between changes of the probability of augmentation (Karras et al. 2020, section 3.1)."""
POOLED = 8
"""Height and width to which images are averaged before their diversity is measured, in pixels."""
INTERPOLATION_STEPS = 8


N = TypeVar("N", bound=nn.Module)


class GANFamily:
    """Two networks, `generator` and `discriminator`.

    Attributes:
        networks: Both.
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        gan: ResolvedGAN,
        domain: ImageDomain,
        job: ResolvedJob,
    ) -> None:
        self.networks: Mapping[str, nn.Module] = {"generator": generator, "discriminator": discriminator}
        self.generator = generator
        self.discriminator = discriminator
        self.gan = gan
        self.domain = domain
        self.loss = LOSSES[gan.loss]
        self._batch = job.spec.training.global_batch_size
        self._compute_type = COMPUTE_TYPES[job.spec.training.precision]
        self._generate_images: Callable[..., Tensor] = generator
        self._score_images: Callable[..., Tensor] = discriminator

    def compile(self, options: Mapping[str, Any]) -> None:
        """Compiles both networks, but for the discriminator's passes under a penalty: a compiled gradient has none of
        its own.
        """
        self._generate_images = torch.compile(self.generator, **options)
        self._score_images = torch.compile(self.discriminator, **options)

    def change(self, job: ResolvedJob) -> None:
        """Takes over the weights of penalties, and the target of adaptive augmentation."""
        gan = job.spec.model.block
        if not isinstance(gan, ResolvedGAN):
            raise TypeError("the job's model is not a resolved GAN")
        self.gan = gan

    def step(
        self, micro_batches: Sequence[MicroBatch], updates: Mapping[str, Update], workers: Workers
    ) -> dict[str, Tensor]:
        """`discriminatorSteps` updates of the discriminator, then one of the generator, on the same latents as
        the last of them.

        Returns:
            `loss` (the generator's), `discriminator_loss` (without penalties) and `penalty` where there is one;
            `discriminator_accuracy`, the share of scores with the right sign (relativistic and Wasserstein: of pairs in
            the right order); `real_score`, `fake_score`;
            `diversity`, the variance over the generated batch as a share of the real one's;
            `augmentation_p` under adaptive augmentation; and both norms of gradients.
        """
        step = micro_batches[0].step
        real = [micro.batch["images"].float().div_(127.5).sub_(1) for micro in micro_batches]
        scalars: dict[str, Tensor] = {}
        fakes: list[Tensor] = []
        for turn in range(self.gan.discriminator_steps):
            iterate_spectral_norms(self.discriminator)
            last = turn == self.gan.discriminator_steps - 1
            rows, fakes = [], []
            for micro, images in zip(micro_batches, real, strict=True):
                # The last turn's graph serves the generator's update too, unless there are several to keep.
                with torch.set_grad_enabled(last and len(micro_batches) == 1):
                    fake = self._generate(micro, f"latent {turn}")
                fakes.append(fake)
                ends = micro is micro_batches[-1]
                rows.append(self._discriminate(micro, images, fake.detach(), updates, turn, step, ends=ends))
            scalars = self._discriminator_scalars(rows, workers)
            scalars["discriminator_gradient_norm"] = updates["discriminator"].step()
        losses = []
        with frozen(self.discriminator):
            for micro, images, fake in zip(micro_batches, real, fakes, strict=True):
                made = fake if fake.requires_grad else self._generate(micro, f"latent {turn}")
                loss = self._generator_loss(micro, images, made)
                updates["generator"].backward(loss * micro.share, last=micro is micro_batches[-1])
                losses.append(loss.detach() * micro.share)
        diversity = self._diversity(real, fakes, workers)
        (loss,) = workers.sum(torch.stack(losses).sum())
        self._adapt(scalars.pop("real_sign"), step)
        if self._adaptive:
            scalars["augmentation_p"] = self.discriminator.augmentation_p.clone()
        return {"loss": loss, "diversity": diversity, "gradient_norm": updates["generator"].step()} | scalars

    def evaluate(self, batch: Batch, draws: Draws, weights: Tensor | None = None) -> dict[str, Tensor]:  # noqa: ARG002
        """Nothing: no metric of the validation split is defined for a GAN."""
        return {}

    def generate(self, request: SampleRequest, samples: range) -> Batch:
        """Images, and where the generator is told the class, the classes, which take turns."""
        device = next(self.generator.parameters()).device
        labels = self._classes_of(request)
        if labels is not None:
            labels = labels[torch.arange(samples.start, samples.stop, device=device) % len(labels)]
        latents = self._latents(Draws((request.seed,), samples, device), "samples")
        with evaluating(self.generator):
            images = to_bytes(self.generator(latents, labels))
        return {"images": images} if labels is None else {"images": images, "labels": labels}

    def sample(self, request: SampleRequest) -> list[Sample]:
        """A grid of images, a class per column where there are classes, and one of interpolations."""
        made = self.generate(request, range(request.count))
        labels, classes = made.get("labels"), self._classes_of(request)
        rows = max(min(request.count // 4, 8), 1)
        draws = Draws((request.seed,), range(2 * rows), made["images"].device)
        ends = self._latents(draws, "ends")
        path = torch.cat([_between(ends[2 * n], ends[2 * n + 1], INTERPOLATION_STEPS) for n in range(rows)])
        kept = labels[:rows].repeat_interleave(INTERPOLATION_STEPS) if labels is not None else None
        with evaluating(self.generator):
            moving = to_bytes(self.generator(path, kept))
        columns = len(classes) if classes is not None and 1 < len(classes) <= 20 else None
        return [
            Sample(prompt="samples", png=grid(made["images"], columns)),
            Sample(prompt="interpolations", png=grid(moving, INTERPOLATION_STEPS)),
        ]

    def parameter_groups(self, network: str) -> ParameterGroups:
        """Matrices (convolutions too), embeddings, and biases and norms."""
        return sort_parameters(self.networks[network])

    def huggingface(self) -> HuggingFaceModel:
        """Refuses.

        Raises:
            ExportError: Hugging Face's libraries have no such architecture.
        """
        raise ExportError(
            "Hugging Face has no architecture that computes the same as this GAN",
            where="spec.model.gan",
            remedy="Use `raygen sample`, or load the checkpoint's safetensors file.",
        )

    @property
    def _adaptive(self) -> bool:
        return self.gan.augmentation is not None and self.gan.augmentation.type == "Adaptive"

    def _classes_of(self, request: SampleRequest) -> Tensor | None:
        """The classes that samples take in turn; None for a generator that is told none."""
        if not self.gan.conditional:
            return None
        wanted = request.labels or tuple(range(len(self.domain.classes)))
        return torch.tensor(wanted, device=next(self.generator.parameters()).device)

    def _latents(self, draws: Draws, name: str) -> Tensor:
        return draws.normal(name, self.gan.latent_size)

    def _labels(self, micro: MicroBatch) -> Tensor | None:
        return micro.batch["labels"] if self.gan.conditional else None

    def _generate(self, micro: MicroBatch, name: str) -> Tensor:
        with self._arithmetic(micro.draws.device):
            return self._generate_images(self._latents(micro.draws, name), self._labels(micro))

    def _arithmetic(self, device: torch.device) -> torch.autocast:
        return torch.autocast(device.type, self._compute_type, enabled=self._compute_type != torch.float32)

    def _augment(self, images: Tensor, draws: Draws, name: str) -> Tensor:
        if self.gan.augmentation is None:
            return images
        if self._adaptive:
            return adaptive_augment(images, draws, name, self.discriminator.augmentation_p)
        return diff_augment(images, draws, name)

    def _scores(self, images: Tensor, micro: MicroBatch, *, penalised: bool = False) -> Tensor:
        score = self.discriminator if penalised else self._score_images
        with self._arithmetic(micro.draws.device):
            scores: Tensor = score(images, self._labels(micro))
        return scores

    def _discriminate(
        self,
        micro: MicroBatch,
        real: Tensor,
        fake: Tensor,
        updates: Mapping[str, Update],
        turn: int,
        step: int,
        *,
        ends: bool,
    ) -> Tensor:
        """Adds the discriminator's gradients; gives loss, penalty, accuracy, both scores and the sign of the real
        ones, each times the micro-batch's share.
        """
        gan = self.gan
        penalised = step % gan.regularise_every == 0
        real = self._augment(real, micro.draws, f"real {turn}")
        fake = self._augment(fake, micro.draws, f"fake {turn}")
        if penalised and gan.r1:
            real = real.detach().requires_grad_()
        if penalised and gan.r2:
            fake = fake.detach().requires_grad_()
        with self._arithmetic(micro.draws.device):
            # Together, so that each weight is cast once for both.
            real_scores = self._scores(real, micro, penalised=real.requires_grad)
            fake_scores = self._scores(fake, micro, penalised=fake.requires_grad)
        loss = micro.mean(self.loss.discriminator(real_scores, fake_scores))
        penalty = loss.new_zeros(())
        if penalised and gan.r1:
            penalty = penalty + gan.r1 / 2 * micro.mean(squared_gradients(real_scores, real))
        if penalised and gan.r2:
            penalty = penalty + gan.r2 / 2 * micro.mean(squared_gradients(fake_scores, fake))
        if penalised and gan.gradient_penalty is not None:
            mixed = between(real, fake, micro.draws.uniform(f"between {turn}")).detach().requires_grad_()
            norms = squared_gradients(self._scores(mixed, micro, penalised=True), mixed).add(1e-12).sqrt()
            penalty = penalty + gan.gradient_penalty * micro.mean((norms - 1).square())
        updates["discriminator"].backward((loss + gan.regularise_every * penalty) * micro.share, last=ends)
        # Where scores have no zero of their own, each is measured from its partner.
        real_margin = real_scores if self.loss.anchored else real_scores - fake_scores
        fake_margin = fake_scores if self.loss.anchored else fake_scores - real_scores
        right = (real_margin > 0).float().mean() + (fake_margin < 0).float().mean()
        row = [loss, penalty, right / 2, real_scores.mean(), fake_scores.mean(), real_margin.sign().mean()]
        return torch.stack(row).detach() * micro.share

    def _discriminator_scalars(self, rows: list[Tensor], workers: Workers) -> dict[str, Tensor]:
        (total,) = workers.sum(torch.stack(rows).sum(dim=0))
        names = (
            "discriminator_loss",
            "penalty",
            "discriminator_accuracy",
            "real_score",
            "fake_score",
            "real_sign",
        )
        scalars = dict(zip(names, total.unbind(), strict=True))
        if not (self.gan.r1 or self.gan.r2 or self.gan.gradient_penalty is not None):
            del scalars["penalty"]
        return scalars

    def _generator_loss(self, micro: MicroBatch, real: Tensor, fake: Tensor) -> Tensor:
        fake_scores = self._scores(self._augment(fake, micro.draws, "generator"), micro)
        real_scores = fake_scores.detach()
        if self.loss.needs_real:
            with torch.no_grad():
                real_scores = self._scores(self._augment(real, micro.draws, "generator real"), micro)
        return micro.mean(self.loss.generator(real_scores, fake_scores))

    @torch.no_grad()
    def _diversity(self, real: Sequence[Tensor], fakes: Sequence[Tensor], workers: Workers) -> Tensor:
        """Variance of generated images over the step, averaged over coarse pixels, as a share of the real ones'."""
        sums = []
        for images in (torch.cat(list(real)), torch.cat(list(fakes))):
            coarse = F.adaptive_avg_pool2d(images.detach(), POOLED) / self._batch
            sums += [coarse.sum(dim=0), coarse.square().sum(dim=0) * self._batch]
        mean, square, fake_mean, fake_square = workers.sum(*sums)
        return (fake_square - fake_mean.square()).mean() / (square - mean.square()).mean().clamp(min=1e-8)

    @torch.no_grad()
    def _adapt(self, sign: Tensor, step: int) -> None:
        """Moves the probability towards the target by a fixed amount (Karras et al. 2020, section 3.1)."""
        settings = self.gan.augmentation
        if settings is None or settings.type != "Adaptive" or step % ADJUST_EVERY:
            return
        amount = self._batch * ADJUST_EVERY / settings.ramp_images
        p = self.discriminator.augmentation_p
        p.add_((sign - settings.target).sign() * amount).clamp_(0, 1)


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Inside, the network's parameters take no gradients, which saves computing them."""
    parameters = list(network.parameters())
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def iterate_spectral_norms(network: nn.Module) -> None:
    """One power iteration for each normalised weight (Miyato et al. 2018, algorithm 1); passes forward then leave
    the vectors as they are, so that an update is the same however many passes and workers it is spread over.
    """
    for module in network.modules():
        if isinstance(module, parametrize.ParametrizationList):
            module.train()
            module()
            module.eval()


def _between(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Points between two latents, scaled to keep the variance of a normal draw, (steps, D)."""
    shares = torch.linspace(0, 1, steps, device=start.device)[:, None]
    return ((1 - shares) * start + shares * end) / ((1 - shares).square() + shares.square()).sqrt()


def build(job: ResolvedJob, domain: Domain, device: torch.device) -> GANFamily:
    """Makes both networks with weights drawn from the job's seed.

    Raises:
        InputError: the images have a size that the networks cannot make.
        DataError: classes are asked for, and the data has none.
    """
    gan, images = job.spec.model.block, images_of(domain)
    if not isinstance(gan, ResolvedGAN):
        raise TypeError("the job's model is not a resolved GAN")
    if gan.conditional and not images.classes:
        raise DataError(
            "the model is conditional, and the images have no labels",
            where="spec.model.gan.conditional",
            remedy="Give data with labels, or remove conditional.",
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(job.spec.training.seed)
        generator, discriminator = Generator(gan, images), Discriminator(gan, images)
        if gan.network == "DCGAN" and not gan.spectral_norm:
            source = torch.Generator().manual_seed(job.spec.training.seed)
            initialise_dcgan(generator, source)
            initialise_dcgan(discriminator, source)
    return GANFamily(_placed(generator, device), _placed(discriminator, device), gan, images, job)


def _placed(network: N, device: torch.device) -> N:
    placed: N = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed
