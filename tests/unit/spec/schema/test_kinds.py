"""Any kind, given its class alone: read, checked in our words, and exported. A small one that nothing else knows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import jsonschema
import pytest
from pydantic import Field

from raygen.errors import ValidationError
from raygen.jobfile import dumps, load_kind, loads_kind, override
from raygen.spec import Fault, Kind, parse_kind
from raygen.spec.schema.base import Count, Name, Rule, Spec
from raygen.spec.schema.crd import Column, CustomResource, SchemaError, definition
from raygen.spec.schema.json_schema import json_schema


class PetMetadata(Spec):
    """Metadata of a pet."""

    name: Name
    """Its name."""


class Toy(Spec):
    """Something to play with."""

    name: Name
    """What it is called."""
    price: Annotated[float, Field(ge=0, le=100)] = 1.0
    """Its price, in euros."""

    list_key: ClassVar[str | None] = "name"


class PetSpec(Spec):
    """What a pet is."""

    species: Literal["Cat", "Dog"]
    """Its species."""
    legs: Annotated[int, Field(ge=0, le=8)] = 4
    """Number of its legs."""
    shoes: Count | None = None
    """Number of its shoes. Default: none."""
    toys: Annotated[tuple[Toy, ...], Field(max_length=4)] = ()
    """Its toys."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            fields=("legs", "shoes"),
            at="shoes",
            holds=lambda self: self.shoes is None or self.shoes <= self.legs,
            rule="must be at most legs ({self.legs})",
            remedy="Give away some shoes.",
            cel="!has(self.shoes) || self.shoes <= (has(self.legs) ? self.legs : 4)",
        ),
    )


class PetStatus(Spec):
    """How a pet is."""

    mood: Annotated[str, Field(max_length=20)] | None = None
    """How it feels."""


class Pet(Kind):
    """An animal that lives with people."""

    api_version: Literal["pets.example/v1"]
    """Version of this format."""
    kind: Literal["Pet"]
    """Kind of this object."""
    metadata: PetMetadata
    """Its name."""
    spec: PetSpec
    """What it is."""

    noun: ClassVar[str] = "pet"


TEXT = """\
apiVersion: pets.example/v1
kind: Pet
metadata:
  name: rex
spec:
  species: Dog
"""
RESOURCE = CustomResource(
    Pet,
    plural="pets",
    short="pt",
    scope="Namespaced",
    columns=(
        Column("Species", "string", ".spec.species"),
        Column("Legs", "integer", ".spec.legs", priority=1),
    ),
    status=PetStatus,
    may_change=lambda path: path != "spec.species",
    cannot_change="cannot change. Pets stay what they are.",
)


def document(**changes: Any) -> dict[str, Any]:
    spec = {"species": "Dog"} | changes
    return {"apiVersion": "pets.example/v1", "kind": "Pet", "metadata": {"name": "rex"}, "spec": spec}


def faults(value: Any) -> list[Fault]:
    with pytest.raises(ValidationError) as caught:
        parse_kind(Pet, value)
    return caught.value.faults


def test_a_file_becomes_an_object_of_its_kind_and_back(tmp_path: Path) -> None:
    path = tmp_path / "pet.yaml"
    path.write_text(TEXT)
    loaded = load_kind(Pet, path)
    assert (loaded.value.spec.species, loaded.value.spec.legs) == ("Dog", 4)
    assert loaded.path == path
    assert dumps(loaded.value) == TEXT


@pytest.mark.parametrize(
    ("value", "path", "rule", "remedy"),
    [
        (document(legs=9), "spec.legs", "must be a whole number from 0 to 8", "Choose a value in this range."),
        (document(shoes=5), "spec.shoes", "must be at most legs (4)", "Give away some shoes."),
        (document(leg=3), "spec.leg", "is not a known key", "Did you mean legs?"),
        (document(price=3), "spec.price", "is not a known key", "It belongs under spec.toys[]."),
        (document(species="Dgo"), "spec.species", "must be one of Cat, Dog", "Did you mean Dog?"),
        (document(toys=[{}]), "spec.toys[0].name", "is missing", "Add name: what it is called."),
        ([], "pet", "must be a Pet", "Write key: value pairs; the keys are apiVersion, kind, metadata, spec."),
    ],
)  # fmt: skip
def test_faults_are_in_our_words_and_of_this_kind(value: Any, path: str, rule: str, remedy: str) -> None:
    (fault,) = faults(value)
    assert (fault.path, fault.rule, fault.remedy) == (path, rule, remedy)


def test_every_fault_is_found_with_its_line() -> None:
    with pytest.raises(ValidationError) as caught:
        loads_kind(Pet, TEXT + "  legs: many\n  shoes: 0\n", "pet.yaml")
    assert [(fault.path, fault.line) for fault in caught.value.faults] == [
        ("spec.legs", 7),
        ("spec.shoes", 8),
    ]
    assert str(caught.value).startswith("pet.yaml: 2 faults in the pet\n")


def test_values_are_set_by_path() -> None:
    loaded = loads_kind(
        Pet, TEXT, "pet.yaml", overrides=["legs=3", "toys[0]={name: ball}", "metadata.name=tom"]
    )
    assert loaded.value.spec.legs == 3
    assert loaded.value.spec.toys[0].name == "ball"
    assert loaded.value.metadata.name == "tom"
    assert override(document(), ["toys[0].price=2"], Pet)["spec"]["toys"] == [{"price": 2}]


def test_an_assignment_at_fault_is_explained_by_the_kinds_own_keys() -> None:
    with pytest.raises(ValidationError) as caught:
        override(document(), ["leg=3", "training.seed=3", "legs"], Pet)
    assert [fault.remedy for fault in caught.value.faults] == [
        "Did you mean legs?",
        "Remove it; the keys here are species, legs, shoes, toys.",
        "Write, for example, metadata.name=mine.",
    ]
    with pytest.raises(ValidationError, match="needs a file that holds a pet"):
        override([], ["legs=3"], Pet)


def test_its_json_schema_has_the_same_verdict() -> None:
    validator = jsonschema.Draft202012Validator(json_schema(Pet))
    validator.validate(document(toys=[{"name": "ball"}]))
    assert json_schema(Pet)["$defs"]["Toy"]["properties"]["price"]["x-unit"] == "euros"
    for wrong in (document(legs=9), document(leg=3), document(species="Dgo"), document(toys=[{}])):
        assert not validator.is_valid(wrong)


def test_it_has_a_custom_resource_definition() -> None:
    made = definition(RESOURCE, "pets.example", "v1")
    assert made["metadata"]["name"] == "pets.pets.example"
    assert made["spec"]["names"]["kind"] == "Pet"
    (version,) = made["spec"]["versions"]
    assert version["subresources"] == {"status": {}}
    assert version["additionalPrinterColumns"][1]["priority"] == 1
    schema = version["schema"]["openAPIV3Schema"]
    assert schema["properties"]["status"]["properties"]["mood"]["maxLength"] == 20
    spec = schema["properties"]["spec"]
    assert spec["properties"]["toys"]["x-kubernetes-list-map-keys"] == ["name"]
    shoes, frozen = spec["x-kubernetes-validations"]
    assert shoes["message"] == "must be at most legs. Give away some shoes."
    assert frozen == {
        "rule": "self.species == oldSelf.species",
        "message": "cannot change. Pets stay what they are.",
        "fieldPath": ".species",
        "reason": "FieldValueForbidden",
    }


def test_a_kind_that_a_structural_schema_cannot_hold_has_none() -> None:
    class Endless(PetSpec):
        """Without a greatest length."""

        words: str = ""
        """As many as there are."""

    class Odd(Pet):
        """A pet of another kind."""

        spec: Endless
        """What it is."""

    with pytest.raises(SchemaError, match=r"spec\.words: text needs a greatest length"):
        definition(CustomResource(Odd, plural="odds", short="od", scope="Cluster"), "pets.example", "v1")
