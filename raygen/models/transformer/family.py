"""The Transformer's way of training: next-token prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from raygen.models.draws import Draws
from raygen.models.protocol import (
    COMPUTE_TYPES,
    Batch,
    Domain,
    HuggingFaceModel,
    MicroBatch,
    ParameterGroups,
    Sample,
    SampleRequest,
    Update,
    Vocabulary,
    Workers,
    evaluating,
    sort_parameters,
    weighted_sum,
)
from raygen.models.transformer.huggingface import to_huggingface
from raygen.models.transformer.network import Decoder
from raygen.models.transformer.sampling import generate
from raygen.spec import ResolvedJob
from raygen.spec.contents import IGNORED, vocabulary_of
from raygen.spec.families.transformer import ResolvedTransformer


class TransformerFamily:
    """One network, `model`, trained to predict the next token.

    Attributes:
        networks: `model`, the decoder.
    """

    def __init__(self, decoder: Decoder, vocabulary: Vocabulary, label_smoothing: float) -> None:
        self.networks: Mapping[str, nn.Module] = {"model": decoder}
        self.decoder = decoder
        self.vocabulary = vocabulary
        self.label_smoothing = label_smoothing
        self._mean_loss: Callable[..., Tensor] = mean_loss
        self._sample_losses: Callable[..., Tensor] = sample_losses

    def change(self, job: ResolvedJob) -> None:
        """Takes over dropout and label smoothing."""
        architecture = job.spec.model.block
        if not isinstance(architecture, ResolvedTransformer):
            raise TypeError("the job's model is not a resolved Transformer")
        self.label_smoothing = job.spec.training.label_smoothing
        self.decoder.set_dropout(architecture.dropout)

    def loss(self, batch: Batch) -> Tensor:
        """Mean cross-entropy of the targets, in nats per token, computed in Float32."""
        return self._mean_loss(*self._learned(batch), self.label_smoothing, *_documents(batch))

    def weighted_loss(self, micro: MicroBatch) -> Tensor:
        """The mean of the samples' losses by their weights.

        Weights that are the numbers of a sample's targets give the mean over all targets.
        """
        if micro.weights is None:
            return self.loss(micro.batch)
        batch = micro.batch
        return micro.mean(
            self._sample_losses(*self._learned(batch), self.label_smoothing, *_documents(batch))
        )

    def _learned(self, batch: Batch) -> tuple[Decoder, Tensor, Tensor]:
        return self.decoder, self.decoder.embedding(batch["inputs"]), batch["targets"]

    def compile(self, options: Mapping[str, Any]) -> None:
        """Compiles the loss together with the decoder, which saves writing and reading the logits in Float32. The
        embedding is left out: PyTorch's own kernel adds up its gradient in a fixed order and in parallel, compiled code
        can do only one of the two.
        """
        self._mean_loss = torch.compile(mean_loss, **options)
        self._sample_losses = torch.compile(sample_losses, **options)

    def step(
        self, micro_batches: Sequence[MicroBatch], updates: Mapping[str, Update], workers: Workers
    ) -> dict[str, Tensor]:
        """One update of `model` on the mean loss over all samples."""
        update = updates["model"]
        losses = []
        for micro in micro_batches:
            loss = self.weighted_loss(micro) * micro.share
            update.backward(loss, last=micro is micro_batches[-1])
            losses.append(loss.detach())
        (loss,) = workers.sum(torch.stack(losses).sum())
        return {"loss": loss, "gradient_norm": update.step()}

    def evaluate(
        self,
        batch: Batch,
        draws: Draws,  # noqa: ARG002 (the protocol's)
        weights: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Sums of `loss` (nats, without label smoothing), `count` (of tokens) and `bytes` over the targets.

        With weights `count` is their sum; weights that are the numbers of the samples' targets change nothing.
        """
        if weights is not None:
            return self._weighted_sums(batch, weights)
        embedded_BTD = self.decoder.embedding(batch["inputs"])
        logits_BTV = self.decoder.logits(embedded_BTD, None, *_documents(batch))
        targets = batch["targets"].flatten()
        loss = F.cross_entropy(
            logits_BTV.float().flatten(0, 1), targets, ignore_index=IGNORED, reduction="sum"
        )
        return {
            "loss": loss,
            "count": (targets != IGNORED).sum(),
            "bytes": batch["bytes"].sum(),
        }

    def _weighted_sums(self, batch: Batch, weights: Tensor) -> dict[str, Tensor]:
        losses = sample_losses(*self._learned(batch), 0.0, *_documents(batch))
        learned = (batch["targets"] != IGNORED).sum(dim=1)
        # Samples without targets have no loss that could count.
        counted = weights * (learned > 0)
        per_target = counted / learned.clamp(min=1)
        return {
            "loss": weighted_sum(losses, counted),
            "count": counted.sum(),
            "bytes": weighted_sum(batch["bytes"], per_target),
        }

    def generate(self, request: SampleRequest, samples: range) -> Batch:
        """Tokens after the prompts, which take turns.

        Raises:
            DataError: a prompt has a token outside the vocabulary.
        """
        prompts = request.prompts or ("",)
        end = None if request.ignore_end_of_text else self.vocabulary.end_of_text
        device = self.decoder.embedding.weight.device
        made = torch.full((len(samples), request.max_tokens), IGNORED, device=device)
        with evaluating(self.decoder):
            for number in sorted({row % len(prompts) for row in samples[: len(prompts)]}):
                rows = [row for row in samples if row % len(prompts) == number]
                tokens = list(self.vocabulary.encode(prompts[number])) or [self.vocabulary.end_of_text or 0]
                drawn = generate(self.decoder, tokens, request, rows, end)
                if end is not None:
                    drawn = drawn.masked_fill((drawn == end).cumsum(dim=1) > 0, IGNORED)
                places = torch.tensor([row - samples.start for row in rows], device=device)
                made[places, : drawn.shape[1]] = drawn
        return {"tokens": made}

    def sample(self, request: SampleRequest) -> list[Sample]:
        """Texts, each after its prompt, up to the end that the model writes: what follows would be another text. An empty
        prompt starts from the end of a text before it, or from token 0 (the first character, usually a line break),
        which is not shown.

        Raises:
            DataError: a prompt has a token outside the vocabulary.
        """
        prompts = request.prompts or ("",)
        tokens = self.generate(request, range(request.count))["tokens"].tolist()
        return [self._sample(prompts[row % len(prompts)], drawn) for row, drawn in enumerate(tokens)]

    def _sample(self, prompt: str, tokens: list[int]) -> Sample:
        has_ended = IGNORED in tokens
        own = tokens[: tokens.index(IGNORED)] if has_ended else tokens
        finished = "EndOfText" if has_ended else "MaxTokens"
        return Sample(prompt=prompt, text=self.vocabulary.decode(own), finished=finished)

    def parameter_groups(self, network: str) -> ParameterGroups:
        """Matrices, embeddings (the output layer too), and norms."""
        return sort_parameters(self.networks[network])

    def huggingface(self) -> HuggingFaceModel:
        """As Llama or Qwen3.

        Raises:
            ExportError: the feed-forward layer has no counterpart.
        """
        return to_huggingface(self.decoder, self.vocabulary.end_of_text)


def _documents(batch: Batch) -> tuple[Tensor] | tuple[()]:
    """Numbers of the documents, where they are packed."""
    return (batch["documents"],) if "documents" in batch else ()


def mean_loss(
    decoder: Decoder,
    embedded_BTD: Tensor,
    targets_BT: Tensor,
    label_smoothing: float,
    documents_BT: Tensor | None = None,
) -> Tensor:
    """Mean cross-entropy of the targets, in nats per token, computed in Float32."""
    return F.cross_entropy(
        decoder.logits(embedded_BTD, None, documents_BT).float().flatten(0, 1),
        targets_BT.flatten(),
        ignore_index=IGNORED,
        label_smoothing=label_smoothing,
    )


def sample_losses(
    decoder: Decoder,
    embedded_BTD: Tensor,
    targets_BT: Tensor,
    label_smoothing: float,
    documents_BT: Tensor | None = None,
) -> Tensor:
    """The mean cross-entropy of each sample's targets, (B,), in nats per token; 0 for one without targets."""
    losses_BT = F.cross_entropy(
        decoder.logits(embedded_BTD, None, documents_BT).float().flatten(0, 1),
        targets_BT.flatten(),
        ignore_index=IGNORED,
        label_smoothing=label_smoothing,
        reduction="none",
    ).view_as(targets_BT)
    return losses_BT.sum(dim=1) / (targets_BT != IGNORED).sum(dim=1).clamp(min=1)


def build(job: ResolvedJob, domain: Domain, device: torch.device) -> TransformerFamily:
    """Makes a decoder with weights drawn from the job's seed."""
    architecture = job.spec.model.block
    vocabulary = vocabulary_of(domain)
    if not isinstance(architecture, ResolvedTransformer):
        raise TypeError("the job's model is not a resolved Transformer")
    decoder = Decoder(architecture, vocabulary.size, COMPUTE_TYPES[job.spec.training.precision])
    decoder.initialize(torch.Generator().manual_seed(job.spec.training.seed))
    return TransformerFamily(decoder.to(device), vocabulary, job.spec.training.label_smoothing)
