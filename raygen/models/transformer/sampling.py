"""Next tokens from logits, and texts from a decoder with a key-value cache.

Sources: Fan et al. 2018 (top-k); Holtzman et al. 2020 (top-p); Nguyen et al. 2024 (min-p); Keskar et al.
2019, section 4.1 (repetition penalty).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from raygen.models.protocol import SampleRequest
from raygen.models.transformer.network import Cache, Decoder


def filter_logits(logits_BV: Tensor, request: SampleRequest) -> Tensor:
    """Divides by the temperature, then takes away what top-k, top-p and min-p exclude (set to -inf).

    At least the most likely token stays. Temperature 0 leaves nothing else.
    """
    if request.temperature == 0:
        best = logits_BV.argmax(dim=-1, keepdim=True)
        return torch.full_like(logits_BV, -torch.inf).scatter(-1, best, 0.0)
    # From 0 downwards, so that no temperature, however low, makes the largest infinite.
    tiny = torch.finfo(logits_BV.dtype).tiny
    logits_BV = (logits_BV - logits_BV.amax(dim=-1, keepdim=True)) / max(request.temperature, tiny)
    if request.top_k is not None and request.top_k < logits_BV.shape[-1]:
        threshold = logits_BV.topk(request.top_k, dim=-1).values[:, -1:]
        logits_BV = logits_BV.masked_fill(logits_BV < threshold, -torch.inf)
    if request.top_p is not None:
        sorted_BV, order_BV = logits_BV.sort(dim=-1, descending=True, stable=True)
        probabilities = sorted_BV.softmax(dim=-1)
        # A token goes when those before it already have the probability asked for; the first one never does.
        surplus = probabilities.cumsum(dim=-1) - probabilities >= request.top_p
        surplus[:, 0] = False
        logits_BV = logits_BV.masked_fill(surplus.gather(-1, order_BV.argsort(dim=-1)), -torch.inf)
    if request.min_p is not None:
        probabilities = logits_BV.softmax(dim=-1)
        threshold = request.min_p * probabilities.amax(dim=-1, keepdim=True)
        logits_BV = logits_BV.masked_fill(probabilities < threshold, -torch.inf)
    return logits_BV


def penalize(logits_BV: Tensor, seen_BV: Tensor, penalty: float) -> Tensor:
    """Makes tokens less likely that `seen_BV` marks as already in the text."""
    if penalty == 1:
        return logits_BV
    changed = torch.where(logits_BV > 0, logits_BV / penalty, logits_BV * penalty)
    return torch.where(seen_BV, changed, logits_BV)


@torch.inference_mode()
def generate(
    decoder: Decoder,
    prompt: Sequence[int],
    request: SampleRequest,
    rows: Sequence[int],
    end_of_text: int | None = None,
) -> Tensor:
    """Continues one prompt several times.

    Args:
        decoder: The network, in evaluation mode.
        prompt: At least one token; where it is longer than the context, its end counts.
        request: Length, filters, and seed.
        rows: Numbers of the samples; each draws from a generator keyed by the seed and its number.
        end_of_text: Token after which a sample has ended; None lets all go on to max_tokens.

    Returns:
        Tokens after the prompt, (len(rows), length of the longest). Where a row has ended, end_of_text stands in all of
        the rest. What a row has before that depends on its number, and on no other row.
    """
    device = decoder.embedding.weight.device
    context = decoder.architecture.context_length
    seeds = [(request.seed * 1_000_003 + row) % 2**63 for row in rows]
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    text = torch.tensor([list(prompt)] * len(rows), device=device)
    seen = torch.zeros(len(rows), decoder.embedding.num_embeddings, dtype=torch.bool, device=device)
    seen.scatter_(1, text, value=True)
    length = text.shape[1]
    like = decoder.embedding.weight.to(decoder.compute_type)
    cache = Cache(decoder.architecture, len(rows), min(context, length + request.max_tokens), like)
    new = text[:, -context:]
    ended = torch.zeros(len(rows), 1, dtype=torch.bool, device=device)
    for _ in range(request.max_tokens):
        if cache.length + new.shape[1] > context:
            # Positions end with the context: the newer half is read again and becomes its beginning.
            cache.length = 0
            new = text[:, -max(context // 2, 1) :]
        logits = decoder(new, cache)[:, -1].float()
        logits = filter_logits(penalize(logits, seen, request.repetition_penalty), request)
        # argmax(p / Exponential(1)) draws from p, with one generator per row.
        noise = torch.stack([torch.empty(logits.shape[1]).exponential_(generator=g) for g in generators])
        new = (logits.softmax(dim=-1) / noise.to(device)).argmax(dim=-1, keepdim=True)
        if end_of_text is not None:
            # The rows that go on are computed with the others, so that each has the same arithmetic to its end.
            new = new.masked_fill(ended, end_of_text)
            ended |= new == end_of_text
        seen.scatter_(1, new, value=True)
        text = torch.cat((text, new), dim=1)
        if bool(ended.all()):
            break
    return text[:, length:]
