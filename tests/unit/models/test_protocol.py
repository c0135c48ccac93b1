from __future__ import annotations

from torch import nn

from raygen.models.protocol import sort_parameters


class Mixed(nn.Module):
    """Everything that a network of a family may hold."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        self.tied = nn.Linear(4, 5)
        self.tied.weight = self.embedding.weight
        self.convolution = nn.Conv2d(3, 4, 3)
        self.norm = nn.LayerNorm(4)
        self.scale = nn.Parameter(nn.Linear(1, 1).weight[0])


def test_parameters_are_sorted_by_owner_and_dimensions() -> None:
    network = Mixed()

    groups = sort_parameters(network)

    assert groups.embeddings.keys() == {"embedding.weight"}
    assert groups.matrices.keys() == {"convolution.weight"}
    assert groups.vectors.keys() == {"tied.bias", "convolution.bias", "norm.weight", "norm.bias", "scale"}
    assert groups.matrices["convolution.weight"] is network.convolution.weight
