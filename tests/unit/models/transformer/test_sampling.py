from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from raygen.models.protocol import SampleRequest
from raygen.models.transformer.network import Decoder
from raygen.models.transformer.sampling import filter_logits, generate, penalize
from raygen.spec.families.transformer import ResolvedTransformer as Architecture
from tests.budget import examples
from tests.unit.models.transformer.models import (
    VOCABULARY,
    architecture,
    architectures,
    decoder_of,
    tokens_of,
)

# Steps of 1/8 are exact in floating point, and apart enough that no rounding decides what stays.
rows = st.lists(st.integers(-80, 80).map(lambda n: n / 8), min_size=1, max_size=12, unique=True)
shares = st.floats(0.001, 1.0)


def reference_filter(logits: list[float], request: SampleRequest) -> list[float]:
    """Probabilities after the filters, by the words of their sources, in plain Python."""

    def normal(weights: list[float]) -> list[float]:
        return [weight / sum(weights) for weight in weights]

    best = max(logits)
    if request.temperature == 0:
        return [float(place == logits.index(best)) for place in range(len(logits))]
    p = normal([math.exp((x - best) / request.temperature) for x in logits])
    if request.top_k is not None:
        least = sorted(p, reverse=True)[: request.top_k][-1]
        p = normal([q if q >= least else 0.0 for q in p])
    if request.top_p is not None:
        kept, total = set(), 0.0
        for place in sorted(range(len(p)), key=lambda i: -p[i]):
            kept.add(place)
            total += p[place]
            if total >= request.top_p:
                break
        p = normal([q if place in kept else 0.0 for place, q in enumerate(p)])
    if request.min_p is not None:
        p = normal([q if q >= request.min_p * max(p) else 0.0 for q in p])
    return p


def probabilities(logits: list[float], **options: float | None) -> list[float]:
    request = SampleRequest(**{"temperature": 1.0} | options)  # type: ignore[arg-type]
    filtered: Tensor = filter_logits(torch.tensor([logits], dtype=torch.float64), request)
    return [float(p) for p in filtered.softmax(dim=-1)[0]]


@examples(400)
@given(
    logits=rows,
    temperature=st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0]),
    top_k=st.none() | st.integers(1, 15),
    top_p=st.none() | shares,
    min_p=st.none() | shares,
)
def test_filters_agree_with_the_plain_reference(
    logits: list[float], temperature: float, top_k: int | None, top_p: float | None, min_p: float | None
) -> None:
    options = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p}

    expected = reference_filter(logits, SampleRequest(**options))  # type: ignore[arg-type]

    assert probabilities(logits, **options) == pytest.approx(expected, abs=1e-9)


@examples(100)
@given(rows_=st.lists(st.lists(st.integers(-9, 9), min_size=5, max_size=5), min_size=1, max_size=4))
def test_rows_do_not_see_each_other(rows_: list[list[int]]) -> None:
    request = SampleRequest(temperature=0.7, top_k=3, top_p=0.8, min_p=0.1)
    logits = torch.tensor(rows_, dtype=torch.float64)

    together = filter_logits(logits, request)

    assert torch.equal(together, torch.cat([filter_logits(row[None], request) for row in logits]))


@examples(100)
@given(logits=rows, temperature=st.sampled_from([1e-50, 1e-45, 1e-30, 1e-3]))
def test_a_temperature_near_zero_takes_the_most_likely(logits: list[float], temperature: float) -> None:
    request = SampleRequest(temperature=temperature)

    drawn = filter_logits(torch.tensor([logits]), request).softmax(dim=-1)

    assert drawn.argmax() == logits.index(max(logits))
    assert float(drawn.max()) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"top_k": 1},
        {"top_p": 1e-6},
        {"top_p": 0.0},
        {"min_p": 1.0},
        {"top_k": 1, "top_p": 1e-6, "min_p": 1.0},
        {"temperature": 0},
    ],
)
def test_the_most_likely_token_always_stays(options: dict[str, float]) -> None:
    assert probabilities([1.0, 3.0, 2.0], **options) == [0, 1, 0]


def test_filters_that_exclude_nothing_change_nothing() -> None:
    plain = probabilities([1.0, 3.0, 2.0])

    assert probabilities([1.0, 3.0, 2.0], top_k=3, top_p=1.0, min_p=1e-6) == plain
    assert probabilities([1.0, 3.0, 2.0], top_k=99) == plain


@examples(100)
@given(logits=rows, penalty=st.floats(1.0, 5.0), data=st.data())
def test_a_penalty_makes_what_was_seen_less_likely(
    logits: list[float], penalty: float, data: st.DataObject
) -> None:
    seen = data.draw(st.lists(st.booleans(), min_size=len(logits), max_size=len(logits)))

    changed = penalize(torch.tensor([logits], dtype=torch.float64), torch.tensor([seen]), penalty)[0].tolist()

    expected = [
        (x / penalty if x > 0 else x * penalty) if was_seen else x
        for x, was_seen in zip(logits, seen, strict=True)
    ]
    assert changed == pytest.approx(expected)
    assert all(after <= before for before, after in zip(logits, changed, strict=True))


def without_cache(decoder: Decoder, prompt: list[int], request: SampleRequest) -> list[int]:
    """The most likely continuation, every token from a full forward pass over what the cache would hold."""
    context = decoder.architecture.context_length
    text = list(prompt)
    window = text[-context:]
    for _ in range(request.max_tokens):
        if len(window) > context:
            window = text[-max(context // 2, 1) :]
        logits = decoder(torch.tensor([window]))[:, -1]
        seen = torch.zeros(1, VOCABULARY, dtype=torch.bool).index_fill(1, torch.tensor(text), value=True)
        text.append(int(penalize(logits, seen, request.repetition_penalty).argmax()))
        window = [*window, text[-1]]
    return text[len(prompt) :]


@examples(40)
@given(
    a=architectures(),
    length=st.integers(1, 30),
    tokens=st.integers(0, 30),
    penalty=st.sampled_from([1.0, 1.5]),
)
@torch.no_grad()
def test_texts_outgrow_the_context(a: Architecture, length: int, tokens: int, penalty: float) -> None:
    decoder = decoder_of(a)
    prompt = tokens_of(length).tolist()
    request = SampleRequest(max_tokens=tokens, temperature=0, repetition_penalty=penalty)

    drawn = generate(decoder, prompt, request, range(2))

    assert drawn.shape == (2, tokens)
    assert drawn.tolist() == [without_cache(decoder, prompt, request)] * 2


@torch.no_grad()
def test_draws_follow_the_probabilities() -> None:
    decoder = decoder_of(architecture())
    request = SampleRequest(max_tokens=1, seed=3, temperature=1.5, top_k=8)
    count = 20_000

    drawn = generate(decoder, [1, 2, 3], request, range(count)).flatten()

    expected = filter_logits(decoder(torch.tensor([[1, 2, 3]]))[:, -1], request).softmax(dim=-1)[0] * count
    counts = torch.bincount(drawn, minlength=VOCABULARY)
    possible = expected > 0
    assert possible.sum() == 8
    assert not counts[~possible].any()
    assert float(expected[possible].min()) > 20, "the approximation needs counts like these"
    # Chi-square with 7 degrees of freedom: below 24.3 with probability 0.999.
    assert float(((counts - expected)[possible] ** 2 / expected[possible]).sum()) < 24.3


@examples(15)
@given(
    end=st.integers(0, VOCABULARY - 1),
    seed=st.integers(0, 99),
    chosen=st.lists(st.integers(0, 9), min_size=1, max_size=5, unique=True),
    tokens=st.integers(0, 20),
)
def test_a_row_ends_with_the_end_of_its_text_and_others_go_on(
    end: int, seed: int, chosen: list[int], tokens: int
) -> None:
    decoder = decoder_of(architecture())
    request = SampleRequest(max_tokens=tokens, seed=seed, temperature=1.5, repetition_penalty=1.2)
    endless = generate(decoder, [1, 2], request, chosen).tolist()

    drawn = generate(decoder, [1, 2], request, chosen, end).tolist()

    own = [row[: row.index(end) + 1] if end in row else row for row in endless]
    longest = max(map(len, own))
    assert drawn == [row + [end] * (longest - len(row)) for row in own]


def test_a_row_depends_on_the_seed_and_its_number_alone() -> None:
    decoder = decoder_of(architecture())
    request = SampleRequest(max_tokens=20, seed=5, temperature=1.0)

    many = generate(decoder, [1], request, range(6))

    for row in range(6):
        assert torch.equal(generate(decoder, [1], request, [row])[0], many[row])
    assert len({tuple(row) for row in many.tolist()}) == 6
    assert torch.equal(generate(decoder, [1], request, range(6)), many)
    assert not torch.equal(generate(decoder, [1], replace(request, seed=6), range(6)), many)


@pytest.mark.parametrize("seed", [0, -1, 2**53 - 1, 2**63])
def test_any_whole_number_is_a_seed(seed: int) -> None:
    request = SampleRequest(max_tokens=3, seed=seed)

    assert generate(decoder_of(architecture()), [1], request, range(2)).shape == (2, 3)


def test_drawing_leaves_the_global_random_state_alone() -> None:
    decoder = decoder_of(architecture())
    before = torch.random.get_rng_state()

    generate(decoder, [1], SampleRequest(max_tokens=3), range(2))

    assert torch.equal(torch.random.get_rng_state(), before)
