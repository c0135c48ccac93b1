"""Prompt templates: what stands around a prompt when a model gets it."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from raygen.jobfile import load_kind
from raygen.moderation.filters.folding import plain
from raygen.spec.schema.base import Kind, Name, Rule, Spec

PROMPT, OUTPUT = "{prompt}", "{output}"
QUOTE = "> "
"""What stands before lines of a prompt that begin like a line of the template."""

_Words = Annotated[str, Field(max_length=100_000)]


class Shot(Spec):
    """An example of what is asked for."""

    input: _Words
    """A prompt."""
    output: _Words
    """What a good model writes for it."""


class PromptTemplate(Kind):
    """System text, instructions, examples, and last the prompt in its form."""

    kind: Literal["PromptTemplate"] = "PromptTemplate"
    """Kind of this object."""
    name: Name
    """Name of the template."""
    system: _Words = ""
    """Who the model is to be. Default: nothing."""
    instructions: _Words = ""
    """What it is to do. Default: nothing."""
    examples: Annotated[tuple[Shot, ...], Field(max_length=100)] = ()
    """Prompts with good outputs, in the same form as the prompt."""
    form: Annotated[str, Field(min_length=1, max_length=10_000)] = PROMPT
    """How a prompt and its output are written: {prompt} is the place of the one, {output} of the other. What the model gets ends before
    {output}, without blanks there."""
    separator: Annotated[str, Field(max_length=100)] = "\n\n"
    """What is between the parts."""

    noun: ClassVar[str] = "template"
    assignment: ClassVar[str] = "name=mine"
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            fields=("form",),
            at="form",
            holds=lambda self: _has_places(self.form),
            rule="must have {{prompt}} once, and {{output}} at most once and after it",
            remedy="Write, for example, 'Question: {prompt}\\nAnswer: {output}'.",
            cel=r"self.form.matches('^[^{]*[{]prompt[}][^{]*([{]output[}][^{]*)?$')",
        ),
        Rule(
            fields=("form", "examples"),
            at="form",
            holds=lambda self: not self.examples or OUTPUT in self.form,
            rule="must have {{output}} where there are examples",
            remedy="Add {output}, or leave the examples out.",
            cel="!has(self.examples) || self.form.contains('{output}')",
        ),
    )

    @classmethod
    def of_file(cls, path: str | Path) -> PromptTemplate:
        """The template of a file, YAML or JSON.

        Raises:
            JobFileError: it cannot be read.
            ValidationError: it has faults; holds every one with its line.
        """
        return load_kind(cls, path).value

    @cached_property
    def version(self) -> str:
        """SHA-256 of the whole template with its defaults, in hexadecimal: a changed word is another template, whose samples do not compare."""
        content = json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def render(self, prompt: str) -> str:
        """What the model gets.

        The prompt is put into its place as it is: braces in it are braces. Only lines that begin like a line of the form or the separator, as a
        prompt does that wants to go on with a turn of its own, have `QUOTE` before them.
        """
        before, after = self._sides
        shots = [
            before + self._inside(shot.input) + after + shot.output + self._tail for shot in self.examples
        ]
        asked = before + self._inside(prompt) + (after.rstrip(" ") if OUTPUT in self.form else after)
        parts = [self.system, self.instructions, *shots, asked]
        return self.separator.join(part for part in parts if part)

    def answer(self, text: str) -> str:
        """What a model has written, up to where it begins with a turn of its own."""
        first, *rest = text.splitlines(keepends=True) or [""]
        kept = [first]
        for line in rest:
            if self._begins_turn(line):
                return "".join(kept).rstrip()
            kept.append(line)
        return text

    @cached_property
    def _sides(self) -> tuple[str, str]:
        """What of the form is before the prompt, and what between prompt and output."""
        before, _, rest = self.form.partition(PROMPT)
        return before, rest.partition(OUTPUT)[0]

    @property
    def _tail(self) -> str:
        return self.form.partition(OUTPUT)[2]

    @cached_property
    def _marks(self) -> tuple[str, ...]:
        """How lines of the form and the separator begin, as they read."""
        lines = [*self.form.splitlines(), *self.separator.splitlines()]
        begun = (line.partition(PROMPT)[0].partition(OUTPUT)[0] for line in lines)
        return tuple({mark for line in begun if (mark := _read(line))})

    def _inside(self, prompt: str) -> str:
        lines = prompt.splitlines(keepends=True)
        return "".join(QUOTE + line if self._begins_turn(line) else line for line in lines)

    def _begins_turn(self, line: str) -> bool:
        return _read(line).startswith(self._marks) if self._marks else False


def _read(line: str) -> str:
    """A line as it reads, without blanks around it and between its signs."""
    return "".join(plain(line).text.split())


def _has_places(form: str) -> bool:
    return form.count(PROMPT) == 1 and form.count(OUTPUT) <= 1 and OUTPUT not in form.partition(PROMPT)[0]
