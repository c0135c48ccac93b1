"""Finds personal data by its form; where a number has check digits they must be right."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address, IPv6Network

from raygen.data.sensitive.credentials import Span

_LOCAL = frozenset(".+%'-_")
_DOMAIN = re.compile(r"@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![\w-])")


def emails(text: str) -> Iterator[Span]:
    """Addresses of mail."""
    at = text.find("@")
    while at >= 0:
        domain = _DOMAIN.match(text, at)
        if domain is not None:
            start = at
            while start > max(at - 64, 0) and (text[start - 1].isalnum() or text[start - 1] in _LOCAL):
                start -= 1
            if start < at:
                yield start, domain.end()
        at = text.find("@", at + 1)


_RUN = re.compile(r"[0-9][0-9 .()+-]{5,}[0-9]")
"""What every number of a card or phone, and every IPv4 address is but for a sign before it."""


def _in_runs(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """What `pattern` finds in a whole text, if all but two signs before its matches is a run."""
    for start, stop in _runs(text):
        # One more at the end, for what must not follow.
        yield from pattern.finditer(text, max(start - 2, 0), stop + 1)


@lru_cache(maxsize=1)
def _runs(text: str) -> tuple[Span, ...]:
    """Kept, since three kinds look at the same text one after the other."""
    return tuple(found.span() for found in _RUN.finditer(text))


_CARD = re.compile(r"(?<![A-Za-z0-9])(?:[0-9][ -]?){12,18}[0-9](?![A-Za-z0-9])")
_CARD_ISSUERS = re.compile(r"4|5[1-5]|2[2-7]|3[47]|3[068]|6(?:011|4[4-9]|5|2)|35")


def cards(text: str) -> Iterator[Span]:
    """Numbers of cards of known issuers whose check digit is right (ISO/IEC 7812-1)."""
    for found in _in_runs(_CARD, text):
        digits = re.sub("[ -]", "", found[0])
        if _CARD_ISSUERS.match(digits) and _luhn(digits):
            yield found.span()


def _luhn(digits: str) -> bool:
    """Whether the last digit checks the others (ISO/IEC 7812-1)."""
    doubled = [int(digit) * 2 for digit in digits[-2::-2]]
    return (sum(map(int, digits[-1::-2])) + sum(number // 10 + number % 10 for number in doubled)) % 10 == 0


_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}(?<![A-Za-z0-9]....) ?(?=[A-Z0-9]{4})", re.DOTALL)
_IBAN_LENGTHS = {
    15: "NO",
    16: "BE",
    18: "DK FI FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
_IBAN_LENGTH = {country: length for length, codes in _IBAN_LENGTHS.items() for country in codes.split()}
"""Characters of an account number by its country (ISO 13616, registry of SWIFT)."""


def ibans(text: str) -> Iterator[Span]:
    """Numbers of accounts whose country has their length and whose check digits are right (ISO 13616)."""
    for found in _IBAN.finditer(text):
        left, stop = _IBAN_LENGTH.get(found[0][:2], 0), found.start()
        characters: list[str] = []
        while left and stop < len(text):
            character = text[stop]
            if character == " " and characters and text[stop - 1] != " ":
                stop += 1
                continue
            if not (character.isascii() and (character.isdigit() or character.isupper())):
                break
            characters.append(character)
            left -= 1
            stop += 1
        ends = stop == len(text) or not (text[stop].isascii() and text[stop].isalnum())
        if characters and not left and ends and _mod_97("".join(characters)) == 1:
            yield found.start(), stop


def _mod_97(iban: str) -> int:
    """The remainder that is 1 where the check digits are right (ISO 7064)."""
    return int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97


_IPV4 = re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?!\w|\.[0-9])")
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:])")
_COLONS = re.compile(r":[0-9A-Fa-f]{0,4}:")
_PUBLIC_IPV6 = IPv6Network("2000::/3")


def addresses(text: str) -> Iterator[Span]:
    """Addresses of the public Internet, IPv4 and IPv6."""
    for found in _in_runs(_IPV4, text):
        try:
            if IPv4Address(found[0]).is_global:
                yield found.span()
        except AddressValueError:
            continue
    if _COLONS.search(text):
        for found in _IPV6.finditer(text):
            try:
                if IPv6Address(found[0]) in _PUBLIC_IPV6:
                    yield found.span()
            except AddressValueError:
                continue


_PHONES = (
    re.compile(
        r"(?<![\w.+])\+[1-9][0-9]{0,2}[ .-]?(?:\([0-9]{1,4}\)[ .-]?)?[0-9](?:[ .-]?[0-9]){5,12}(?![0-9A-Za-z])"
    ),
    re.compile(
        r"(?<![\w.+-])(?:1[ .-])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}(?![\w-])"
    ),
)
"""With a country code (ITU-T E.164), and as North America writes them."""


def phones(text: str) -> Iterator[Span]:
    """Numbers of phones with a country code (ITU-T E.164), and as North America writes them."""
    yield from sorted(found.span() for pattern in _PHONES for found in _in_runs(pattern, text))
