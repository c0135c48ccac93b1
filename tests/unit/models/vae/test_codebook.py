from __future__ import annotations

import torch

from raygen.models.draws import Draws
from raygen.models.protocol import Alone
from raygen.models.vae.codebook import Codebook
from raygen.spec import Codebook as Settings

CPU = torch.device("cpu")


def codebook(**settings: float) -> Codebook:
    torch.manual_seed(0)
    return Codebook(Settings.model_validate({"size": 4, **settings}), 2)


def test_each_place_gets_its_nearest_code_and_passes_the_gradient_straight_through() -> None:
    book = codebook()
    encoded = torch.randn(3, 2, 2, 2, requires_grad=True)
    codes, commitment, chosen = book(encoded)
    vectors = encoded.detach().movedim(1, -1).reshape(-1, 2)
    nearest = torch.cdist(vectors, book.codes).argmin(dim=1)
    assert torch.equal(chosen, nearest)
    torch.testing.assert_close(codes.detach().movedim(1, -1).reshape(-1, 2), book.codes[nearest])
    torch.testing.assert_close(commitment.mean(), (vectors - book.codes[nearest]).square().sum(dim=1).mean())
    torch.autograd.backward((codes * 3).sum())
    assert encoded.grad is not None
    assert torch.equal(encoded.grad, torch.full_like(encoded, 3))


def test_codes_are_moving_averages_of_the_places_that_took_them() -> None:
    book = codebook(decay=0.9, reviveBelow=0.0)
    counts, sums = book.counts.clone(), book.sums.clone()
    encoded = torch.randn(5, 2, 1, 1)
    _, _, chosen = book(encoded)
    book.update([book.usage(encoded, chosen, Draws((0,), range(5), CPU), 5)], Alone())
    for code in range(4):
        taken = encoded[chosen == code].reshape(-1, 2)
        counts[code] = 0.9 * counts[code] + 0.1 * len(taken)
        sums[code] = 0.9 * sums[code] + 0.1 * taken.sum(dim=0)
    torch.testing.assert_close(book.counts, counts)
    torch.testing.assert_close(book.codes, sums / counts[:, None], rtol=1e-3, atol=1e-3)


def test_a_code_that_nobody_takes_becomes_a_place_of_the_batch() -> None:
    book = codebook(decay=0.5, reviveBelow=0.9)
    book.codes[3] = 1e3
    encoded = torch.randn(8, 2, 1, 1)
    for _ in range(5):
        _, _, chosen = book(encoded)
        perplexity = book.update([book.usage(encoded, chosen, Draws((0,), range(8), CPU), 8)], Alone())
    distances = torch.cdist(book.codes[3:], encoded.reshape(8, 2)).min()
    assert float(distances) < 1.5
    assert 1 <= float(perplexity) <= 4
