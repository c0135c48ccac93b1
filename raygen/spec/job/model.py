"""The model: its family, and one block with that family's architecture."""

from __future__ import annotations

from typing import ClassVar

from pydantic.alias_generators import to_camel

from raygen.spec.families.family import Block, Family
from raygen.spec.families.table import FAMILIES, FIELDS, Blocks, FamilyName
from raygen.spec.schema.base import Rule


def _block(kind: str, name: str) -> Rule:
    alias = to_camel(name)
    return Rule(
        fields=("type", name),
        at=alias,
        holds=lambda self: (self.type == kind) == (getattr(self, name) is not None),
        rule=f"must be given exactly when type is {kind}",
        remedy="Give the block that has the name of the type, and no other.",
        cel=f"(self.type == '{kind}') == has(self.{alias})",
    )


class Model(Blocks):
    """What is trained."""

    type: FamilyName
    """Model family; the block of the same name holds its architecture."""

    rules: ClassVar[tuple[Rule, ...]] = tuple(_block(*item) for item in FIELDS.items())

    @property
    def family(self) -> Family:
        """What is so for every model of this family."""
        return FAMILIES[self.type]

    @property
    def block(self) -> Block:
        """The block of the family."""
        block = getattr(self, FIELDS[self.type])
        if not isinstance(block, Block):
            raise ValueError(f"the job has no block {FIELDS[self.type]}")  # noqa: TRY004
        return block

    def resolved(self) -> Model:
        """The model with every default of its block written out."""
        return self.model_copy(update={FIELDS[self.type]: self.block.resolved()})
