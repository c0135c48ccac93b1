"""The families by the name that `model.type` gives them. A new family is one folder and one line here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    import torch

    from raygen.models.protocol import Family, Vocabulary
    from raygen.spec import TrainingJob


@dataclass(frozen=True)
class Entry:
    """Where a family is.

    Attributes:
        module: Has `build`, which makes the family.
        data: Module that reads its data; has `open_data` and `open_vocabulary`.
    """

    module: str
    data: str


FAMILIES: dict[str, Entry] = {
    "Transformer": Entry("raygen.models.transformer.family", data="raygen.data.text"),
}


class Build(Protocol):
    """Makes a family's networks, with initial weights drawn from the job's seed."""

    def __call__(self, job: TrainingJob, vocabulary: Vocabulary, device: torch.device) -> Family:
        """Makes them on a device."""


def build_family(job: TrainingJob, vocabulary: Vocabulary, device: torch.device) -> Family:
    """Makes the family that `model.type` names.

    Args:
        job: A resolved job.
        vocabulary: The data's tokens.
        device: Where the networks are.
    """
    build = cast("Build", import_module(FAMILIES[job.spec.model.type].module).build)
    return build(job, vocabulary, device)
