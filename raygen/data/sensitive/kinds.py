"""The kinds of personal data and secrets that are known by their form, and where each is in a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from raygen.data.sensitive.credentials import Span, secrets
from raygen.data.sensitive.personal import addresses, cards, emails, ibans, phones
from raygen.spec.data.cleaning import PersonalData

PLACEHOLDERS: dict[PersonalData, str] = {
    "Secret": "[SECRET]",
    "Email": "[EMAIL]",
    "IBAN": "[IBAN]",
    "CreditCard": "[CARD]",
    "IPAddress": "[IP]",
    "Phone": "[PHONE]",
}
"""What stands for each kind. No kind has brackets, so that what was masked is not found again; and nothing composes with them."""

_FINDERS: dict[PersonalData, Callable[[str], Iterator[Span]]] = {
    "Secret": secrets,
    "Email": emails,
    "IBAN": ibans,
    "CreditCard": cards,
    "IPAddress": addresses,
    "Phone": phones,
}


def spans(text: str, kind: PersonalData) -> Iterator[Span]:
    """Where pieces of a kind are in a text, in order; of those that overlap the first, which is the longest that begins there."""
    end = 0
    for start, stop in _FINDERS[kind](text):
        if start >= end:
            yield start, stop
            end = stop
