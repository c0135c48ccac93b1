"""Asks a classifier of the user's own what a text is about."""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from raygen.errors import InputError, RunError

Classify = Callable[[Sequence[str]], Sequence[Mapping[str, float]]]
"""For each text a probability by category."""


class Classifier:
    """A function of the user's own, by its entry point.

    Args:
        entrypoint: `module:function`. The function takes a list of texts, and gives for each a mapping from categories to probabilities.
        base: Folder of the policy, where modules are looked for first.

    Raises:
        InputError: there is no such function.
    """

    def __init__(self, entrypoint: str, base: Path) -> None:
        self._entrypoint = entrypoint
        self._classify = _function(entrypoint, base)

    def probabilities(self, text: str) -> dict[str, float]:
        """The probability of each category that the classifier knows.

        Raises:
            RunError: it failed, or gave something else.
        """
        try:
            (answer,) = self._classify([text])
            found = {str(category): float(value) for category, value in answer.items()}
        except Exception as error:
            # Its message may show the text.
            raise self._failed(f"it raised {type(error).__name__}") from error
        if not all(math.isfinite(value) and 0 <= value <= 1 for value in found.values()):
            raise self._failed("a probability is not from 0 to 1")
        return found

    def _failed(self, why: str) -> RunError:
        return RunError(
            f"the classifier gave no probabilities: {why}",
            where=self._entrypoint,
            remedy="Let it give one mapping from categories to probabilities for each text.",
        )


def _function(entrypoint: str, base: Path) -> Classify:
    module, _, name = entrypoint.partition(":")
    try:
        with _first_on_the_path(base):
            found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, SyntaxError) as error:
        raise InputError(
            f"there is no such classifier: {error}",
            where=entrypoint,
            remedy="Write module:function, with the module beside the policy or installed.",
        ) from error
    if not callable(found):
        raise InputError(
            "the classifier is not a function", where=entrypoint, remedy="Name a function of the module."
        )
    classify: Classify = found
    return classify


@contextmanager
def _first_on_the_path(folder: Path) -> Iterator[None]:
    entry = str(folder.resolve())
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        sys.path.remove(entry)
