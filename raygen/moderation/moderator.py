"""Decides by a policy about prompts and outputs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from raygen.data.sensitive.block_list import listed
from raygen.data.sensitive.credentials import Span
from raygen.data.sensitive.kinds import PLACEHOLDERS
from raygen.jobfile import load_kind
from raygen.moderation.decision import Decision, Finding, strictest
from raygen.moderation.filters.classifiers import Classifier
from raygen.moderation.filters.forms import find_kind, find_random
from raygen.moderation.filters.patterns import Patterns
from raygen.moderation.filters.words import Words
from raygen.moderation.policy import (
    CLASSIFIER,
    PATTERNS,
    PERSONAL,
    PERSONAL_DATA,
    WORDS,
    Action,
    Filter,
    Policy,
)

Find = Callable[[str], Sequence[Span]]
"""Where in a text something is, in order and without overlaps; no span is empty."""
_PLACEHOLDERS = {str(kind): placeholder for kind, placeholder in PLACEHOLDERS.items()}


@dataclass(frozen=True)
class _Search:
    """One category that a filter looks for."""

    filter: str
    category: str
    action: Action
    find: Find


@dataclass(frozen=True)
class _Opinion:
    """A classifier, and which of its categories count from which probability on."""

    filter: str
    spec: Filter
    classifier: Classifier


class Moderator:
    """A policy that decides.

    Attributes:
        policy: What it says.
        version: SHA-256 of all that decisions follow from but for the code of classifiers: the policy with the words of its block lists, in
            hexadecimal.

    Args:
        policy: What it says.
        base: Folder that its relative paths start from, and where modules of classifiers are looked for.

    Raises:
        InputError: a pattern is not one of RE2's, or a classifier is not there.
        DataError: a block list cannot be read.
        MissingExtraError: there are patterns, and google-re2 is not installed.
    """

    def __init__(self, policy: Policy, base: Path | None = None) -> None:
        self.policy = policy
        self._opinions: dict[str, list[_Opinion]] = {"prompts": [], "outputs": []}
        self._searches: dict[str, list[_Search]] = {"prompts": [], "outputs": []}
        words: list[list[str]] = []
        for side, filters in (("prompts", policy.prompts), ("outputs", policy.outputs)):
            for number, spec in enumerate(filters):
                name, folder = f"{side}[{number}]", base or Path()
                if spec.type == CLASSIFIER and spec.entrypoint is not None:
                    opinion = _Opinion(name, spec, Classifier(spec.entrypoint, folder))
                    self._opinions[side].append(opinion)
                    continue
                if spec.type == WORDS:
                    words.append(listed(spec.block_list(), folder))
                blocked = words[-1] if spec.type == WORDS else []
                self._searches[side] += _searches(spec, name, blocked)
        self.version = _digest([policy.model_dump(mode="json", by_alias=True), words])
        categories = {one.category for side in self._searches.values() for one in side}
        for opinions in self._opinions.values():
            categories.update(category for one in opinions for category in one.spec.categories or ())
        of_all = {*_PLACEHOLDERS.values(), *map(placeholder_of, categories)}
        self._placeholder = re.compile("|".join(map(re.escape, sorted(of_all))))

    @classmethod
    def of_file(cls, path: str | Path) -> Moderator:
        """The policy of a file, YAML or JSON; its relative paths start from its folder.

        Raises:
            JobFileError: it cannot be read.
            ValidationError: it has faults; holds every one with its line.
        """
        loaded = load_kind(Policy, path)
        return cls(loaded.value, loaded.path.parent)

    def prompt(self, text: str) -> Decision:
        """What is decided about a prompt.

        Raises:
            RunError: a classifier failed.
        """
        return self._decided(text, "prompts")

    def output(self, text: str) -> Decision:
        """What is decided about what a model has written.

        Raises:
            RunError: a classifier failed.
        """
        return self._decided(text, "outputs")

    def _decided(self, text: str, side: str) -> Decision:
        searches = self._searches[side]
        found: list[set[Span]] = [set() for _ in searches]
        # What stands for something is not looked at, so that nothing is masked twice.
        closed = [match.span() for match in self._placeholder.finditer(text)]
        parts = [(part, 0) for part in _between((0, len(text)), closed)]
        masks: list[tuple[Span, str]] = []
        while parts:
            part, first = parts.pop()
            # What is masked can be the border that another piece lacked, as in a row of numbers: the search that masked it goes on before the others.
            for number in dict.fromkeys((first, *range(len(searches)))) if searches else ():
                search = searches[number]
                new = list(_within(text, part, search.find))
                found[number].update(new)
                if new and search.action == "Mask":
                    masks += [(span, placeholder_of(search.category)) for span in new]
                    parts += [(left, number) for left in _between(part, new)]
                    break
        findings = [
            Finding(search.filter, search.category, search.action, tuple(sorted(spans)))
            for search, spans in zip(searches, found, strict=True)
            if spans
        ]
        findings += self._opinions_of(text, _replaced(text, masks), side)
        findings.sort(key=lambda one: int(one.filter.partition("[")[2].rstrip("]")))
        return _decision(text, tuple(findings))

    def _opinions_of(self, text: str, masked: str, side: str) -> Iterator[Finding]:
        if not self._placeholder.sub("", masked).strip():
            return
        for opinion in self._opinions[side]:
            spec = opinion.spec
            for category, probability in opinion.classifier.probabilities(masked).items():
                counts = spec.categories is None or category in spec.categories
                if counts and probability >= (0.5 if spec.threshold is None else spec.threshold):
                    whole = ((0, len(text)),)
                    yield Finding(opinion.filter, category, spec.action, whole, probability)


def placeholder_of(category: str) -> str:
    """What stands for a masked piece of a category: [EMAIL]."""
    return _PLACEHOLDERS.get(category, f"[{category.upper()}]")


def _searches(spec: Filter, name: str, blocked: Sequence[str]) -> Iterator[_Search]:
    """What a filter looks for, a category each."""
    if spec.type == WORDS:
        if blocked:
            yield _Search(name, spec.category or "Blocked", spec.action, Words(blocked).find)
    elif spec.type == PATTERNS:
        patterns = Patterns(spec.patterns or (), f"{name}.patterns")
        yield _Search(name, spec.category or "Matched", spec.action, patterns.find)
    elif spec.type == PERSONAL_DATA:
        # In this order, whatever the policy's is: an account's number holds what may be a phone's.
        for kind in PERSONAL:
            if spec.kinds is None or kind in spec.kinds:
                yield _Search(name, kind, spec.action, partial(find_kind, kind=kind))
    else:
        yield _Search(name, "Secret", spec.action, partial(find_kind, kind="Secret"))
        if spec.random:
            yield _Search(name, "Secret", spec.action, find_random)


def _between(part: Span, spans: Sequence[Span]) -> Iterator[Span]:
    """What of a part lies between some spans of it, which are in order and do not overlap."""
    end = part[0]
    for start, stop in (*spans, (part[1], part[1])):
        if start > end:
            yield end, start
        end = stop


def _within(text: str, part: Span, find: Find) -> Iterator[Span]:
    start, stop = part
    for first, last in find(text[start:stop]):
        yield start + first, start + last


def _decision(text: str, findings: tuple[Finding, ...]) -> Decision:
    def masks(*actions: Action) -> list[tuple[Span, str]]:
        return [
            (span, placeholder_of(one.category))
            for one in findings
            if one.action in actions
            for span in one.spans
        ]

    action = strictest(findings)
    shown = _replaced(text, masks("Log", "Mask", "Drop", "Refuse"))
    return Decision(
        action, findings, None if action in ("Drop", "Refuse") else _replaced(text, masks("Mask")), shown
    )


def _replaced(text: str, masks: Sequence[tuple[Span, str]]) -> str:
    """The text with a placeholder for each span; spans that overlap become one, with the placeholder of the longest that begins first."""
    parts: list[str] = []
    end = 0
    for (start, stop), placeholder in sorted(masks, key=lambda one: (one[0][0], -one[0][1])):
        if start >= end:
            parts += [text[end:start], placeholder]
        end = max(end, stop)
    return "".join([*parts, text[end:]])


def _digest(values: object) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
