"""Finds secrets by their form."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

Span = tuple[int, int]
"""Where a piece begins in a text, and where it ends, in characters."""

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


def secrets(text: str) -> Iterator[Span]:
    """Private keys, tokens of services, passwords in URLs, values of names such as api_key, and what proves who asks in headers of HTTP."""
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
