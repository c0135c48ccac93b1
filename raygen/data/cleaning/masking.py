"""Replaces personal data and secrets that are known by their form; where a number has check digits they must be right."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address, IPv6Network

from raygen.spec.data.cleaning import PERSONAL_DATA, PersonalData

PLACEHOLDERS: dict[PersonalData, str] = {
    "Secret": "[SECRET]",
    "Email": "[EMAIL]",
    "IBAN": "[IBAN]",
    "CreditCard": "[CARD]",
    "IPAddress": "[IP]",
    "Phone": "[PHONE]",
}
"""What stands for each kind. No kind has brackets, so that what was masked is not found again; and nothing composes with them."""

Span = tuple[int, int]
_EXCERPT = 4096
"""Characters of a text that are masked to make an excerpt of it."""


def mask(text: str, kinds: Sequence[PersonalData] = PERSONAL_DATA) -> tuple[str, dict[PersonalData, int]]:
    """The text with a placeholder for each piece of these kinds, and how many of each there were."""
    counts: dict[PersonalData, int] = {}
    while True:
        before = text
        for kind in PERSONAL_DATA:
            if kind in kinds:
                text, found = _masked(text, kind)
                if found:
                    counts[kind] = counts.get(kind, 0) + found
        # What is masked can be the border that another one lacked.
        if text == before:
            return text, counts


def excerpt(text: str, length: int = 80) -> str:
    """The beginning of a text on one line, all personal data and secrets masked, whatever the job asks for."""
    # Masked first: what is cut through has no form to be known by.
    masked, _ = mask(text[:_EXCERPT])
    line = " ".join(masked.split())
    return line if len(line) <= length and len(text) <= _EXCERPT else line[: length - 1].rstrip() + "…"


def excerpt_around(text: str, placeholder: str, length: int = 80) -> str:
    """What is around the first placeholder of a masked text, as `excerpt` gives a beginning; the beginning if there is none."""
    at = text.find(placeholder)
    masked, _ = mask(text[max(at - _EXCERPT, 0) : at + _EXCERPT]) if at >= 0 else ("", {})
    at = masked.find(placeholder)
    if at < 0:
        return excerpt(text, length)
    side = (length - len(placeholder)) // 2 - 1
    start, stop = max(at - side, 0), at + len(placeholder) + side
    line = " ".join(masked[start:stop].split())
    return f"{'…' if start else ''}{line}{'…' if stop < len(masked) else ''}"


_ESCAPES = re.compile(r'(?:\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))+')
"""Several at once, since two can stand for one character."""
_QUOTES = re.compile('"{2,}')


def unescaped(text: str) -> str:
    """What is between a file and the text in it undone: escapes of JSON, and the doubled quotes of separated values.

    Next to them and with them among its characters nothing has the form that it is known by.
    """
    plain = _ESCAPES.sub(lambda found: str(json.loads(f'"{found[0]}"')), text)
    # Half of a pair stands for nothing.
    return _QUOTES.sub('"', plain).encode("utf-8", "replace").decode()


def _masked(text: str, kind: PersonalData) -> tuple[str, int]:
    parts, end, count = [], 0, 0
    for start, stop in _FINDERS[kind](text):
        if start >= end:
            parts += [text[end:start], PLACEHOLDERS[kind]]
            end = stop
            count += 1
    return ("".join([*parts, text[end:]]), count) if count else (text, 0)


_TOKENS = {
    "AKIA": r"[A-Z0-9]{16}",
    "ASIA": r"[A-Z0-9]{16}",
    "AIza": r"[\w-]{35}",
    **dict.fromkeys(("gho_", "ghp_", "ghr_", "ghs_", "ghu_"), r"[A-Za-z0-9]{36,255}"),
    "github_pat_": r"\w{22,255}",
    "glpat-": r"[\w-]{20,255}",
    "xox": r"[abeoprs]-[A-Za-z0-9-]{10,255}",
    "sk-": r"[\w-]{20,255}",
    **dict.fromkeys(("sk_live_", "sk_test_", "rk_live_", "rk_test_"), r"[A-Za-z0-9]{16,255}"),
    "hf_": r"[A-Za-z0-9]{30,255}",
    "npm_": r"[A-Za-z0-9]{36}",
    "pypi-": r"[\w-]{50,1000}",
    "eyJ": r"[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}",
}
"""Tokens of services: how each begins, which is looked for first since that is quick, and goes on. In this order: AWS, Google, GitHub, GitLab,
Slack, OpenAI and Anthropic, Stripe, Hugging Face, npm, PyPI, JSON Web Tokens."""
# What is not before a token stands behind its beginning, so that searches can go by the beginning.
_TOKEN_PATTERNS = {
    begin: re.compile(rf"{begin}(?<![A-Za-z0-9]{begin}){rest}", re.ASCII) for begin, rest in _TOKENS.items()
}
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----"
    r"(?:.{0,10000}?-----END [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----|(?:\r?\n[A-Za-z0-9+/=]{1,100}(?![^\r\n]))*)",
    re.DOTALL,
)
"""Up to its end, or where that was cut off, the lines of base 64."""
_IN_URL = re.compile(r"(?<=://)[^\s/@:\[\]]{0,128}:[^\s/@\[\]]{1,256}(?=@)")
_VALUE = re.compile(
    r"[=:][=>]?[ \t]{0,8}[\"']?(?![\s\"'\[\],;:=])(?P<value>(?=[^\s\"'\[\]]{0,255}[0-9])[^\s\"'\[\],;]{8,256})"
)
_NAME = re.compile(
    r"(?:(?:api|access|secret|private|auth|account|encryption|session)[_ -]?(?:key|token)|secret|token|passw(?:or)?d"
    r"|passwd|credentials?)[\"']?[ \t]{0,8}\Z",
    re.IGNORECASE,
)
_NAME_LENGTH = 40
"""A value of 8 characters or more with a digit among them, assigned to a name that says what it is. Signs of assignment are rarer than
letters, so they are looked for, and then the name before them."""


def _assigned(text: str) -> Iterator[Span]:
    found = _VALUE.search(text)
    while found is not None:
        start = found.start()
        if _NAME.search(text[max(start - _NAME_LENGTH, 0) : start]):
            yield found.span("value")
            start = found.end() - 1
        # What no name is before may hold another assignment.
        found = _VALUE.search(text, start + 1)


_SCHEMES = "Basic|Bearer|Digest|DPoP|Hawk|Negotiate|NTLM|OAuth|Token|PrivateToken|Api-?Key|Key|JWT|AWS|AWS4-HMAC-SHA256|SCRAM-SHA-1|SCRAM-SHA-256"
_SCHEME = re.compile(_SCHEMES, re.IGNORECASE)
_HEADER = re.compile(
    # Of JSON, tables and calls of functions too, whose quotes may be escaped.
    r"uthorization(?:[\\\"']{0,4})\]?[ \t]{0,8}(?:[:=]>?|,(?=[ \t]{0,8}[\\\"'rbf]{1,5}))[ \t]{0,8}(?:[rbf]{0,2}[\\\"']{1,4})?"
    rf"(?:(?P<scheme>{_SCHEMES})[ \t]{{1,8}})?"
    r"(?:(?P<pairs>[\w-]{1,40}=(?:\\?\"[^\"\r\n]{0,1000}\"?|[^\s,\"'=]{1,1000})(?:[ \t]{0,4},[ \t]{0,8}[\w-]{1,40}="
    r"(?:\\?\"[^\"\r\n]{0,1000}\"?|[^\s,\"']{1,1000})){0,30})(?![^\s,\"'\\])|(?P<value>[\w.~+/:=-]{4,8192}))",
    re.IGNORECASE | re.ASCII,
)
"""What proves who asks in headers of HTTP, Authorization and Proxy-Authorization (RFC 9110, section 11.6.2): one value, or several with names."""
_SHORT_VALUE, _LONG_VALUE = 8, 16
"""Characters of a value of a header at least, and those from which on one that names its scheme needs no digit."""


def _authorizations(text: str) -> Iterator[Span]:
    for found in _HEADER.finditer(text):
        scheme = (found["scheme"] or "").lower()
        if found["pairs"] is not None:
            # Without a scheme this may be any sentence about authorization.
            if scheme:
                yield found.span("pairs")
        elif not _SCHEME.fullmatch(found["value"]) and _proves(scheme, found["value"]):
            yield found.span("value")


def _proves(scheme: str, value: str) -> bool:
    """Whether this may be what proves who asks, and not a word of a text about it."""
    if scheme == "basic":
        try:
            return b":" in base64.b64decode(value, validate=True)
        except ValueError:
            pass
    has_digit = any(character.isdigit() for character in value)
    return (has_digit and len(value) >= _SHORT_VALUE) or (bool(scheme) and len(value) >= _LONG_VALUE)


def _secrets(text: str) -> Iterator[Span]:
    spans: list[Span] = []
    if "PRIVATE KEY" in text:
        spans += [found.span() for found in _PRIVATE_KEY.finditer(text)]
    for known, pattern in _TOKEN_PATTERNS.items():
        if known in text:
            spans += [found.span() for found in pattern.finditer(text)]
    if "://" in text and "@" in text:
        spans += [found.span() for found in _IN_URL.finditer(text)]
    if "uthorization" in text or "UTHORIZATION" in text:
        spans += _authorizations(text)
    spans += _assigned(text)
    yield from sorted(spans, key=lambda span: (span[0], -span[1]))


_LOCAL = frozenset(".+%'-_")
_DOMAIN = re.compile(r"@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![\w-])")


def _emails(text: str) -> Iterator[Span]:
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


def _cards(text: str) -> Iterator[Span]:
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


def _ibans(text: str) -> Iterator[Span]:
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


def _addresses(text: str) -> Iterator[Span]:
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


def _phones(text: str) -> Iterator[Span]:
    yield from sorted(found.span() for pattern in _PHONES for found in _in_runs(pattern, text))


_FINDERS: dict[PersonalData, Callable[[str], Iterator[Span]]] = {
    "Secret": _secrets,
    "Email": _emails,
    "IBAN": _ibans,
    "CreditCard": _cards,
    "IPAddress": _addresses,
    "Phone": _phones,
}
