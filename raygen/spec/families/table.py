"""The families that a job file can name. A new one is its block's module beside this one, and a line here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from raygen.spec.families.custom import Custom
from raygen.spec.families.family import Block, Family
from raygen.spec.families.gan import GAN
from raygen.spec.families.transformer import Transformer
from raygen.spec.families.vae import VAE
from raygen.spec.schema.base import Spec
from raygen.spec.schema.fields import fields_of


def _block(block: type[Block]) -> Any:
    """A field that holds a family's block, named as the family is."""
    family = block.family
    return Field(default=None, description=f"{family.summary}; given exactly when `type` is {family.name}.")


class Blocks(Spec):
    """A family's name and its block."""

    type: str
    custom: Custom | None = _block(Custom)
    gan: GAN | None = _block(GAN)
    transformer: Transformer | None = _block(Transformer)
    vae: VAE | None = _block(VAE)


def _blocks() -> dict[str, type[Block]]:
    models = {field.name: field.shape.model for field in fields_of(Blocks).values()}
    return {name: model for name, model in models.items() if model is not None and issubclass(model, Block)}


FAMILIES: dict[str, Family] = {block.family.name: block.family for block in _blocks().values()}
"""Every family by its name."""
FIELDS: dict[str, str] = {block.family.name: name for name, block in _blocks().items()}
"""Python name of the field that holds a family's block, by the family's name."""
NETWORKS: tuple[str, ...] = tuple(dict.fromkeys(name for one in FAMILIES.values() for name in one.networks))
"""Networks that have an optimizer of their own in some family."""


def listed(families: Sequence[str]) -> str:
    """Families in a sentence."""
    return " or ".join(families)


def cel_is(families: Sequence[str]) -> str:
    """CEL: the model of a job's spec is of one of these families."""
    if len(families) == 1:
        return f"self.model.type == '{families[0]}'"
    return "self.model.type in [" + ", ".join(f"'{family}'" for family in families) + "]"


# Pydantic has the names as a literal; type checkers, which know no literal that is computed, have text.
if TYPE_CHECKING:
    FamilyName = str
else:
    FamilyName = Literal[tuple(FAMILIES)]
