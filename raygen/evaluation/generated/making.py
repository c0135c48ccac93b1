"""Generates for metrics, each of several workers a part, with the same result on any number of them.

Shapes: M samples, D features, K classes, T tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from raygen.errors import ModelError
from raygen.evaluation.extractors import Embedded, Extractor
from raygen.models.protocol import Alone, Family, SampleRequest, Workers

BLOCK = 64
"""Samples that are always computed together. Arithmetic rounds by the size of a batch, so that one of the machine's choice would change the
last digits of a metric with memory or workers.
"""


@dataclass(frozen=True)
class Team:
    """All workers that evaluate together, as one of them sees them.

    Attributes:
        workers: Sums over all of them.
        device: Where they add up.
        go_on: Asked before each block; False gives up, for all workers.
        gather: What all say, given what this one does.
    """

    workers: Workers = field(default_factory=Alone)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    go_on: Callable[[], bool] = lambda: True
    gather: Callable[[Mapping[str, Any]], list[Mapping[str, Any]]] = lambda own: [own]

    def all_have(self, whole: bool) -> bool:
        """Whether each worker has done all of its part."""
        return all(one["whole"] for one in self.gather({"whole": whole}))

    def sum(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """The sums of these Float32 tensors over all workers, on the CPU."""
        return tuple(one.cpu() for one in self.workers.sum(*(tensor.to(self.device) for tensor in tensors)))


def blocks_of(count: int, workers: Workers) -> Iterator[range]:
    """This worker's samples among `count`, in blocks that are the same for any number of workers."""
    for number, start in enumerate(range(0, count, BLOCK)):
        if number % workers.count == workers.rank:
            yield range(start, min(start + BLOCK, count))


def embedded(
    images_of: Callable[[range], Tensor],
    count: int,
    extractor: Extractor,
    team: Team,
) -> Embedded | None:
    """The features of images that workers make or read together.

    Args:
        images_of: Images by their numbers, uint8 (samples, channels, height, width).
        count: M.
        extractor: What embeds them.
        team: All that do so.

    Returns:
        Of all M, on every worker; None if one gave up.
    """
    features = torch.zeros(count, extractor.dimensions)
    probabilities = torch.zeros(count, len(extractor.classes))
    whole = True
    for block in blocks_of(count, team.workers):
        whole = team.go_on()
        if not whole:
            break
        found = extractor.embed(images_of(block).cpu())
        features[block.start : block.stop] = found.features
        if found.probabilities is not None:
            probabilities[block.start : block.stop] = found.probabilities
    if not team.all_have(whole):
        return None
    # Each row is one worker's, and of all others 0, so that the sum rounds nothing.
    features, probabilities = team.sum(features, probabilities)
    return Embedded(features, probabilities if extractor.classes else None)


def generated_images(family: Family, request: SampleRequest) -> Callable[[range], Tensor]:
    """What gives a model's images by their numbers, uint8 (samples, channels, height, width).

    Raises:
        ModelError: when it is called, of a model that has nothing to generate from.
    """

    def images_of(samples: range) -> Tensor:
        made = family.generate(request, samples)
        if "images" not in made:
            raise _nothing("images")
        return made["images"]

    return images_of


def generated_texts(family: Family, request: SampleRequest, team: Team) -> list[list[int]] | None:
    """The tokens of `request.count` texts that workers generate together; None if one gave up.

    Raises:
        ModelError: the model has nothing to generate from.
    """
    # Tokens of up to 2**24 are exact in Float32, which is what workers add up; 0 stands for no token.
    tokens = torch.zeros(request.count, request.max_tokens)
    whole = True
    for block in blocks_of(request.count, team.workers):
        whole = team.go_on()
        if not whole:
            break
        made = family.generate(request, block)
        if "tokens" not in made:
            raise _nothing("texts")
        tokens[block.start : block.stop] = made["tokens"].cpu().float() + 1
    if not team.all_have(whole):
        return None
    (tokens,) = team.sum(tokens)
    return [[token - 1 for token in row if token > 0] for row in tokens.long().tolist()]


def _nothing(what: str) -> ModelError:
    return ModelError(
        f"the model has nothing to generate {what} from",
        where="spec.evaluation.metrics",
        remedy="Remove the metrics of what the model makes, or choose a model that generates.",
    )
