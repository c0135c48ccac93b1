"""Replaces what Presidio finds: kinds that it knows by their form, and with a model of the language names of people and places."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from raygen.errors import DataError, MissingExtraError
from raygen.spec.data.cleaning import Masking
from raygen.spec.schema.messages import nearest

_LANGUAGE = "en"
_CHARACTERS = 100_000
"""Longest part that is looked at at once: what spaCy needs grows with it, and beyond a million it refuses."""
_MODEL_RECOGNIZER = "SpacyRecognizer"

Replace = Callable[[str], tuple[str, dict[str, int]]]


def entities(spec: Masking) -> Replace:
    """What puts [NAME] for each piece of the kinds in `spec.entities`, and counts them.

    Raises:
        MissingExtraError: Presidio is not installed.
        DataError: A kind is not known, or the model is not installed.
    """
    analyzer = _analyzer(spec.entity_model)
    known = sorted(analyzer.get_supported_entities(_LANGUAGE))
    for name in spec.entities:
        if name not in known:
            close = nearest(name, known)
            meant = f"Did you mean {close}? " if close is not None else ""
            remedy = "Kinds such as PERSON need entityModel." if spec.entity_model is None else ""
            raise DataError(
                f"Presidio has no kind {name}; it has {', '.join(known)}",
                where="spec.data.cleaning.text.masking.entities",
                remedy=f"{meant}{remedy}".strip() or "Name one of these.",
            )

    def replace(text: str) -> tuple[str, dict[str, int]]:
        counts: dict[str, int] = {}
        parts = [_masked(analyzer, spec, part, counts) for part in _parts(text)]
        return "".join(parts), counts

    return replace


def _masked(analyzer: Any, spec: Masking, text: str, counts: dict[str, int]) -> str:
    found = analyzer.analyze(
        text=text, language=_LANGUAGE, entities=list(spec.entities), score_threshold=spec.entity_threshold
    )
    # Of those that overlap the surest, then the longest; and of equal ones always the same.
    found.sort(key=lambda one: (-one.score, one.start - one.end, one.start, one.entity_type))
    chosen: list[Any] = []
    for one in found:
        if all(one.end <= other.start or other.end <= one.start for other in chosen):
            chosen.append(one)
    end, parts = 0, []
    for one in sorted(chosen, key=lambda one: one.start):
        parts += [text[end : one.start], f"[{one.entity_type}]"]
        counts[one.entity_type] = counts.get(one.entity_type, 0) + 1
        end = one.end
    return "".join([*parts, text[end:]])


def _parts(text: str) -> Iterator[str]:
    """The text in parts that end with a line, or where one is too long with a blank."""
    start = 0
    while len(text) - start > _CHARACTERS:
        limit = start + _CHARACTERS
        end = (text.rfind("\n", start, limit) + 1) or (text.rfind(" ", start, limit) + 1)
        end = end if end > start else limit
        yield text[start:end]
        start = end
    yield text[start:]


def _analyzer(model: str | None) -> Any:
    try:
        import spacy
        from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
        from presidio_analyzer.nlp_engine import SpacyNlpEngine
    except ImportError as error:
        raise MissingExtraError("presidio-analyzer", "presidio") from error
    if model is not None and not spacy.util.is_package(model):
        raise DataError(
            f"spaCy's model {model} is not installed",
            where="spec.data.cleaning.text.masking.entityModel",
            remedy=f"Install it with: python -m spacy download {re.sub(r'[^A-Za-z0-9_.-]', '', model)}",
        )
    # Loaded here: Presidio would download a model that is missing.
    engine: Any = SpacyNlpEngine(models=[{"lang_code": _LANGUAGE, "model_name": model or "blank"}])
    engine.nlp = {_LANGUAGE: spacy.blank(_LANGUAGE) if model is None else spacy.load(model)}
    registry = RecognizerRegistry(supported_languages=[_LANGUAGE])
    registry.load_predefined_recognizers(languages=[_LANGUAGE], nlp_engine=engine)
    if model is None:
        # It would find nothing, and say of none of its kinds that it cannot.
        registry.remove_recognizer(_MODEL_RECOGNIZER)
    return AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=[_LANGUAGE])
