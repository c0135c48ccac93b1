"""What the rest of raygen must know of a model family, without PyTorch and without its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from raygen.spec.schema.base import Spec

Content = Literal["text", "images"]
"""What data holds."""


@dataclass(frozen=True)
class Family:
    """What is so for every model of a family.

    Attributes:
        name: Its name in `model.type`; the block of the same name holds the architecture.
        summary: What the block holds, as the beginning of a sentence.
        module: Module whose `build` makes the model; see `raygen.models.registry`.
        contents: What its data may hold.
        networks: Networks that have an optimizer each in `training.optimizers`, the one that the schedule's last learning
            rate is that of first; none where `training.optimizer` is that of all.
        metrics: Types of metrics that it can be measured by.
        guards: Types of guards that it has the numbers for.
        usual_guards: Guards of a job that names none: the first stops, the others warn.
        smooths_labels: Whether its loss knows `training.labelSmoothing`.
        loss_unit: Unit of its loss; empty where it has none.
        compiles: Whether `compile: Auto` compiles it on a CUDA device.
        is_repeatable: Whether all of its kernels give the same bits each time.
        learns_mixtures: Whether images may be mixed in training (`data.augmentation.mixing`): a model of images that draws them
            from noise would learn to draw mixtures.
        shows_validation: Whether samples show images of the validation split that `evaluate` has seen.
    """

    name: str
    summary: str
    module: str
    contents: tuple[Content, ...]
    networks: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    guards: tuple[str, ...] = ("NonFiniteLoss", "LossSpike")
    usual_guards: tuple[str, ...] = ("NonFiniteLoss",)
    smooths_labels: bool = False
    loss_unit: str = ""
    compiles: bool = True
    is_repeatable: bool = True
    learns_mixtures: bool = False
    shows_validation: bool = False


class Block(Spec):
    """Base of the blocks, each of which holds what a job says of its model's architecture.

    Attributes:
        family: What is so for every such model.
    """

    family: ClassVar[Family]

    def resolved(self) -> Block:
        """The block with every default written out that follows from its other fields."""
        return self

    @property
    def tokens(self) -> int | None:
        """Length of a sample of text, in tokens; None for models of images."""
        return None

    @property
    def takes_classes(self) -> bool:
        """Whether the model may be told the classes of images."""
        return False

    @property
    def usual_guards(self) -> tuple[str, ...]:
        """Guards of a job that names none: the first stops, the others warn."""
        return self.family.usual_guards

    def notices(self) -> tuple[str, ...]:
        """One sentence, from the field's name below the block, for each part whose result depends on how a batch is cut
        into micro-batches and workers.
        """
        return ()
