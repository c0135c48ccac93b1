from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from raygen.models.protocol import Alone, Batch, SampleRequest
from raygen.models.registry import build_family
from raygen.models.transformer.family import TransformerFamily
from raygen.spec import TrainingJob, parse, resolve
from tests.budget import examples
from tests.jobs import job_document
from tests.unit.models.transformer.models import (
    VOCABULARY,
    Letters,
    Recorder,
    architecture,
    batch_of,
    draws_of,
    family_of,
    in_parts,
)


def job(**changes: object) -> TrainingJob:
    return resolve(parse(job_document(**changes)))


def family_of_job(**changes: object) -> TransformerFamily:
    family = build_family(job(**changes), Letters(), torch.device("cpu"))
    assert isinstance(family, TransformerFamily)
    return family


def gradients(
    family: TransformerFamily, batch: dict[str, Tensor], *sizes: int
) -> tuple[float, dict[str, Tensor]]:
    update = Recorder(family.decoder)
    scalars = family.step(in_parts(batch, *sizes), {"model": update}, Alone())
    return float(scalars["loss"]), update.gradients[0]


@examples(25)
@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=5), smoothing=st.sampled_from([0.0, 0.1]))
def test_micro_batches_add_up_to_the_batch(sizes: list[int], smoothing: float) -> None:
    family = family_of(architecture(), label_smoothing=smoothing)
    batch = batch_of(sum(sizes), 12)

    whole_loss, whole = gradients(family, batch, sum(sizes))
    loss, parts = gradients(family, batch, *sizes)

    assert loss == pytest.approx(whole_loss, rel=1e-5)
    assert whole.keys() == dict(family.decoder.named_parameters()).keys()
    for name, gradient in whole.items():
        torch.testing.assert_close(parts[name], gradient, rtol=1e-4, atol=1e-5)


def test_gradients_are_those_of_the_loss() -> None:
    """Against differences of the loss itself, along a random direction for every parameter."""
    family = family_of(architecture(qk_norm=True, kv_heads=1, tie_embeddings=False))
    family.decoder.double()
    family.decoder.compute_type = torch.float64
    batch = batch_of(3, 12)
    _, found = gradients(family, batch, 3)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in family.decoder.named_parameters():
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        losses = []
        for step in (1e-3, -1e-3):
            with torch.no_grad():
                parameter.add_(direction, alpha=step)
                losses.append(loss_of(family, batch))
                parameter.sub_(direction, alpha=step)
        slope = (losses[0] - losses[1]) / 2e-3
        # The loss itself is computed in Float32.
        assert float((found[name] * direction).sum()) == pytest.approx(slope, rel=2e-2, abs=1e-3), name


def test_the_gradient_norm_is_reported() -> None:
    family = family_of(architecture())
    update = Recorder(family.decoder)

    norm = family.step(in_parts(batch_of(4, 12), 2, 2), {"model": update}, Alone())["gradient_norm"]

    assert float(norm) == pytest.approx(
        math.sqrt(sum(float(g.square().sum()) for g in update.gradients[0].values()))
    )


def test_one_batch_can_be_learned_by_heart() -> None:
    family = family_of_job(model__transformer__contextLength=8)
    batch = batch_of(4, 8)
    # Texts that begin alike cannot be told apart by their first token.
    batch["inputs"][:, 0] = torch.arange(4)
    optimizer = torch.optim.AdamW(family.decoder.parameters(), lr=1e-2)

    for _ in range(200):
        optimizer.zero_grad()
        family.loss(batch).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    assert loss_of(family, batch) < 0.02


def smoothed(logits: Tensor, target: int, smoothing: float) -> float:
    """Szegedy et al. 2016, section 7: the target has 1 - s + s/V of the probability, any other token s/V."""
    log_p = logits.double().log_softmax(dim=0)
    return float(-(1 - smoothing) * log_p[target] - smoothing * log_p.mean())


def test_label_smoothing_follows_its_formula() -> None:
    family = family_of(architecture(), label_smoothing=0.2)
    batch = batch_of(2, 5)

    logits = family.decoder(batch["inputs"]).detach().flatten(0, 1)

    targets = batch["targets"].flatten().tolist()
    expected = sum(smoothed(row, t, 0.2) for row, t in zip(logits, targets, strict=True)) / 10
    assert loss_of(family, batch) == pytest.approx(expected, rel=1e-5)


@torch.no_grad()
def loss_of(family: TransformerFamily, batch: Batch) -> float:
    return float(family.loss(batch))


@torch.no_grad()
def test_evaluation_sums_over_the_targets_that_count() -> None:
    family = family_of(architecture(), label_smoothing=0.2)
    batch = batch_of(2, 5) | {"bytes": torch.tensor([7, 4])}
    batch["targets"] = batch["targets"].clone()
    batch["targets"][1, 2:] = -1

    sums = {name: float(value) for name, value in family.evaluate(batch, draws_of(batch)).items()}

    log_p = family.decoder(batch["inputs"]).log_softmax(dim=-1)
    expected = -sum(
        float(log_p[row, place, batch["targets"][row, place]])
        for row, places in ((0, range(5)), (1, range(2)))
        for place in places
    )
    assert sums == {"loss": pytest.approx(expected, rel=1e-5), "count": 7, "bytes": 11}


@torch.no_grad()
def test_evaluation_weighs_the_means_of_the_samples() -> None:
    family = family_of(architecture())
    batch = batch_of(3, 5) | {"bytes": torch.tensor([7, 4, 0])}
    batch["targets"] = batch["targets"].clone()
    batch["targets"][1, 2:] = -1
    batch["targets"][2] = -1
    plain = family.evaluate(batch, draws_of(batch))
    targets = family.evaluate(batch, draws_of(batch), torch.tensor([5.0, 2.0, 0.0]))
    for name, value in plain.items():
        torch.testing.assert_close(targets[name], value.float())

    weighted = family.evaluate(batch, draws_of(batch), torch.tensor([3.0, 0.5, 9.0]))
    (long, short) = (
        family.evaluate({name: tensor[[row]] for name, tensor in batch.items()}, draws_of(batch))
        for row in (0, 1)
    )
    torch.testing.assert_close(weighted["loss"], 3 * long["loss"] / 5 + 0.5 * short["loss"] / 2)
    assert (float(weighted["count"]), float(weighted["bytes"])) == (
        3.5,
        pytest.approx(3 * 7 / 5 + 0.5 * 4 / 2),
    )


def test_the_loss_is_computed_in_float32() -> None:
    exact = family_of(architecture(), std=0.1)
    rounded = family_of(architecture(), std=0.1, kind=torch.bfloat16)
    batch = batch_of(4, 12)

    loss = rounded.loss(batch)

    assert loss.dtype == torch.float32
    assert loss_of(rounded, batch) == pytest.approx(loss_of(exact, batch), rel=0.01)
    _, gradient = gradients(rounded, batch, 4)
    assert all(g.dtype == torch.float32 for g in gradient.values())


def test_parameter_groups_part_all_parameters() -> None:
    family = family_of(architecture(qk_norm=True, tie_embeddings=False))
    everything = dict(family.decoder.named_parameters())

    groups = family.parameter_groups("model")

    assert groups.embeddings.keys() == {"embedding.weight", "output.weight"}
    assert all(p.ndim == 2 for p in groups.matrices.values())
    assert all(p.ndim == 1 for p in groups.vectors.values())
    names = [*groups.matrices, *groups.embeddings, *groups.vectors]
    assert sorted(names) == sorted(everything)
    for group in (groups.matrices, groups.embeddings, groups.vectors):
        assert all(parameter is everything[name] for name, parameter in group.items())


@pytest.mark.parametrize(
    ("prompts", "count", "expected"),
    [
        ((), 2, ["", ""]),
        (("ab",), 3, ["ab", "ab", "ab"]),
        (("ab", "c", ""), 5, ["ab", "c", "", "ab", "c"]),
        (("ab", "c", "d"), 2, ["ab", "c"]),
    ],
)
def test_prompts_are_taken_in_turn(prompts: tuple[str, ...], count: int, expected: list[str]) -> None:
    samples = family_of(architecture()).sample(SampleRequest(prompts=prompts, count=count, max_tokens=4))

    assert [sample.prompt for sample in samples] == expected
    for sample in samples:
        assert sample.text is not None
        assert len(sample.text) < 4 if sample.finished == "EndOfText" else len(sample.text) == 4


def test_a_sample_does_not_depend_on_how_many_there_are() -> None:
    family = family_of(architecture())
    requests = [SampleRequest(prompts=("ab", "c"), count=count, max_tokens=9) for count in (1, 2, 5)]

    one, two, five = map(family.sample, requests)

    assert one == five[:1]
    assert two == five[:2]


def test_a_text_ends_where_the_model_ends_it() -> None:
    family = family_of(architecture())
    request = SampleRequest(prompts=("ab",), count=40, max_tokens=8, temperature=1.5)

    endless = [sample.text or "" for sample in family.sample(replace(request, ignore_end_of_text=True))]
    samples = family.sample(request)

    assert all(len(text) == 8 for text in endless)
    assert [sample.text for sample in samples] == [text.partition(".")[0] for text in endless]
    reasons = [sample.finished for sample in samples]
    assert reasons == ["EndOfText" if "." in text else "MaxTokens" for text in endless]
    assert set(reasons) == {"EndOfText", "MaxTokens"}, "both are tried"


def test_a_text_without_an_end_has_all_its_tokens() -> None:
    family = family_of(architecture())
    family.vocabulary.end_of_text = None
    request = SampleRequest(prompts=("ab",), count=20, max_tokens=8, temperature=1.5)

    samples = family.sample(request)

    assert {len(sample.text or "") for sample in samples} == {8}
    assert {sample.finished for sample in samples} == {"MaxTokens"}
    assert samples == family.sample(replace(request, ignore_end_of_text=True))


def test_an_empty_prompt_starts_after_an_end_of_text() -> None:
    family = family_of(architecture())
    empty = family.sample(SampleRequest(max_tokens=6))
    family.vocabulary.end_of_text = None

    from_zero = family.sample(SampleRequest(max_tokens=6))

    assert from_zero[0].text == family.sample(SampleRequest(prompts=("a",), max_tokens=6))[0].text
    assert from_zero != empty


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("prompt", ["ab", "not letters"])
def test_sampling_leaves_the_mode_as_it_was(prompt: str, training: bool) -> None:
    family = family_of(architecture(dropout=0.5))
    family.decoder.train(training)
    before = family.sample(SampleRequest(prompts=("ab",), max_tokens=6))

    if prompt == "ab":
        assert family.sample(SampleRequest(prompts=("ab",), max_tokens=6)) == before, (
            "no dropout while sampling"
        )
    else:
        with pytest.raises(ValueError, match="substring"):
            family.sample(SampleRequest(prompts=(prompt,)))

    assert family.decoder.training == training


def test_sampling_leaves_training_as_it_was() -> None:
    """Weights that only inference has seen must still take gradients."""
    family = family_of(architecture())
    expected, _ = gradients(family, batch_of(2, 12), 2)
    family.sample(SampleRequest(max_tokens=20))

    loss, found = gradients(family, batch_of(2, 12), 2)

    assert loss == expected
    assert len(found) == len(list(family.decoder.parameters()))


def test_a_family_is_built_as_the_job_says() -> None:
    family = family_of_job(
        model__transformer__qkNorm=True, training__precision="BFloat16", training__labelSmoothing=0.1
    )

    assert family.decoder.architecture.qk_norm
    assert family.decoder.embedding.num_embeddings == VOCABULARY
    assert family.decoder.compute_type == torch.bfloat16
    assert family.label_smoothing == 0.1
    assert family.decoder.training


def test_the_seed_draws_the_weights() -> None:
    torch.manual_seed(123)
    one, again, other = (family_of_job(training__seed=seed).decoder.state_dict() for seed in (1, 1, 2))

    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["embedding.weight"], other["embedding.weight"])
