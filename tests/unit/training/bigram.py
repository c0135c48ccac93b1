"""A model family in one file, as a contributor would add one: a table of next-character logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from raygen.errors import ExportError
from raygen.models.draws import Draws
from raygen.models.protocol import (
    Batch,
    HuggingFaceModel,
    MicroBatch,
    ParameterGroups,
    Sample,
    SampleRequest,
    Update,
    Vocabulary,
    Workers,
    sort_parameters,
)
from raygen.spec import TrainingJob


class Bigram:
    def __init__(self, size: int) -> None:
        self.networks: Mapping[str, nn.Module] = {"table": nn.Embedding(size, size)}
        nn.init.zeros_(self.networks["table"].weight)

    def step(
        self, micro_batches: Sequence[MicroBatch], updates: Mapping[str, Update], workers: Workers
    ) -> dict[str, Tensor]:
        losses = []
        for micro in micro_batches:
            loss = self._loss(micro.batch) * micro.share
            updates["table"].backward(loss)
            losses.append(loss.detach())
        (loss,) = workers.sum(torch.stack(losses).sum())
        return {"loss": loss, "gradient_norm": updates["table"].step()}

    def evaluate(self, batch: Batch, draws: Draws, weights: Tensor | None = None) -> dict[str, Tensor]:
        tokens = (batch["targets"] >= 0).sum()
        return {"loss": self._loss(batch) * tokens, "count": tokens, "bytes": batch["bytes"].sum()}

    def generate(self, request: SampleRequest, samples: range) -> Batch:
        return {}

    def sample(self, request: SampleRequest) -> list[Sample]:
        return []

    def parameter_groups(self, network: str) -> ParameterGroups:
        return sort_parameters(self.networks[network])

    def huggingface(self) -> HuggingFaceModel:
        raise ExportError("a bigram table has no counterpart")

    def _loss(self, batch: Batch) -> Tensor:
        logits = self.networks["table"](batch["inputs"])
        return F.cross_entropy(logits.flatten(0, 1), batch["targets"].flatten(), ignore_index=-1)


def build(job: TrainingJob, domain: Vocabulary, device: torch.device) -> Bigram:
    return Bigram(domain.size)
