"""What a policy says: which filters look at prompts and at outputs, and what is done with what they find."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from raygen.spec.data.cleaning import BlockList
from raygen.spec.schema.base import Entrypoint, Kind, Name, Reason, Rule, Share, Tagged, Text, Uri

Action = Literal["Log", "Mask", "Drop", "Refuse"]
"""What is done with a text in which something was found, from the mildest to the strictest."""
Personal = Literal["Email", "IBAN", "CreditCard", "IPAddress", "Phone"]
PERSONAL: tuple[Personal, ...] = ("Email", "IBAN", "CreditCard", "IPAddress", "Phone")

_Word = Annotated[str, Field(min_length=1, max_length=100)]
_Pattern = Annotated[str, Field(min_length=1, max_length=1000)]

WORDS, PATTERNS, PERSONAL_DATA, SECRETS, CLASSIFIER = (
    "BlockList",
    "Pattern",
    "PersonalData",
    "Secret",
    "Classifier",
)


class Filter(Tagged):
    """What is looked for in a text, and what is done where it is found."""

    type: Literal["BlockList", "Pattern", "PersonalData", "Secret", "Classifier"]
    """BlockList: words and phrases, also where they are disguised. Pattern: regular patterns in RE2's syntax; needs the extra `moderation`.
    PersonalData: what has a form, and right check digits where there are some. Secret: keys, tokens and passwords by their form. Classifier: what
    a function of the user's own says of the whole text."""
    action: Action
    """Log: the decision says it, and the text goes on. Mask: what was found is replaced by its category, such as [EMAIL]. Drop: the text is
    left out. Refuse: it is left out, and a refusal stands for the answer."""
    category: Reason | None = None
    """What is found, in one word. Default: Blocked, or Matched of patterns."""
    words: Annotated[tuple[_Word, ...], Field(min_length=1, max_length=1000)] | None = None
    """Words and phrases, found as whole words."""
    uri: Uri | None = None
    """A file with one of them a line, in UTF-8."""
    patterns: Annotated[tuple[_Pattern, ...], Field(min_length=1, max_length=100)] | None = None
    """Regular patterns; (?i) before one finds it in any case."""
    kinds: Annotated[tuple[Personal, ...], Field(min_length=1, max_length=5)] | None = None
    """Kinds of personal data. Default: all five."""
    random: bool | None = None
    """Whether what looks as random as a key counts as one; digests do too. Default: false."""
    entrypoint: Entrypoint | None = None
    """The classifier as module:function. It takes a list of texts, and gives for each a mapping from categories to probabilities."""
    threshold: Share | None = None
    """Least probability of a category that counts as found. Default: 0.5."""
    categories: Annotated[tuple[Reason, ...], Field(min_length=1, max_length=100)] | None = None
    """Categories of the classifier that count. Default: all."""

    belongs: ClassVar[dict[str, tuple[str, ...]]] = {
        "category": (WORDS, PATTERNS),
        "words": (WORDS,),
        "uri": (WORDS,),
        "patterns": (PATTERNS,),
        "kinds": (PERSONAL_DATA,),
        "random": (SECRETS,),
        "entrypoint": (CLASSIFIER,),
        "threshold": (CLASSIFIER,),
        "categories": (CLASSIFIER,),
    }

    def block_list(self) -> BlockList:
        """The words of a block list, or where they are."""
        return BlockList(words=self.words) if self.words is not None else BlockList(uri=self.uri)


def _needed(name: str, type_: str) -> Rule:
    return Rule(
        fields=("type", name),
        at=name,
        holds=lambda self: self.type != type_ or getattr(self, name) is not None,
        rule=f"must be given with type {type_}",
        remedy=f"Add {name}.",
        cel=f"self.type != '{type_}' || has(self.{name})",
    )


Filter.rules = (
    *Filter.foreign_rules(),
    Rule(
        fields=("type", "words", "uri"),
        at="",
        holds=lambda self: self.type != WORDS or (self.words is None) != (self.uri is None),
        rule="must have exactly one of words, uri with type BlockList",
        remedy="Give one of words, uri.",
        cel="self.type != 'BlockList' || has(self.words) != has(self.uri)",
    ),
    _needed("patterns", PATTERNS),
    _needed("entrypoint", CLASSIFIER),
)

_Filters = Annotated[tuple[Filter, ...], Field(max_length=50)]


class Policy(Kind):
    """Filters of prompts and of outputs. Each sees what those before it have left."""

    kind: Literal["ModerationPolicy"] = "ModerationPolicy"
    """Kind of this object."""
    name: Name
    """Name of the policy."""
    prompts: _Filters = ()
    """Filters of prompts, before the model sees them."""
    outputs: _Filters = ()
    """Filters of what the model has written."""
    refusal: Text = "This request cannot be answered."
    """What stands for an answer that is refused."""

    noun: ClassVar[str] = "policy"
    assignment: ClassVar[str] = "name=mine"
