from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.data.cleaning.masking import excerpt, mask
from raygen.data.sensitive.kinds import PLACEHOLDERS
from raygen.spec.data.cleaning import PersonalData
from tests.budget import examples

LONG = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0"
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nq83f\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("kind", "piece"),
    [
        ("Secret", KEY),
        ("Secret", "AKIAIOSFODNN7EXAMPLE"),
        ("Secret", f"ghp_{LONG[:36]}"),
        ("Secret", f"github_pat_{LONG}"),
        ("Secret", f"glpat-{LONG[:20]}"),
        ("Secret", f"xoxb-{LONG[:24]}"),
        ("Secret", f"AIza{LONG[:35]}"),
        ("Secret", f"sk-proj-{LONG}"),
        ("Secret", f"sk_live_{LONG[:24]}"),
        ("Secret", f"hf_{LONG[:34]}"),
        ("Secret", f"npm_{LONG[:36]}"),
        ("Secret", f"pypi-{LONG}{LONG}"),
        ("Secret", f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.{LONG}"),
        ("Email", "jane.doe+news@mail.example.org"),
        ("Email", "jürgen@müller.de"),
        ("IBAN", "GB82WEST12345698765432"),
        ("IBAN", "DE89 3704 0044 0532 0130 00"),
        ("IBAN", "MT84MALT011000012345MTLCAST001S"),
        ("CreditCard", "4111111111111111"),
        ("CreditCard", "5500 0055 5555 5559"),
        ("CreditCard", "3714-496353-98431"),
        ("IPAddress", "8.8.8.8"),
        ("IPAddress", "2001:4860:4860::8888"),
        ("Phone", "+49 30 1234567"),
        ("Phone", "+1 (555) 867-5309"),
        ("Phone", "(212) 555-0123"),
        ("Phone", "212-555-0123"),
    ],
)  # fmt: skip
def test_what_is_known_by_its_form_is_masked(kind: PersonalData, piece: str) -> None:
    for before, after in (
        ("", ""),
        ("Write to ", ", or do not."),
        ("(", ")"),
        ("\n", "\n"),
        ("é ", ". Next"),
    ):
        assert mask(before + piece + after) == (before + PLACEHOLDERS[kind] + after, {kind: 1})
        assert mask(before + piece + after, [k for k in PLACEHOLDERS if k != kind])[1].get(kind) is None


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgres://me:hunter2@db/x", "postgres://[SECRET]@db/x"),
        ('api_key = "q8w7e6r5t4"', 'api_key = "[SECRET]"'),
        ("PASSWORD: hunter22", "PASSWORD: [SECRET]"),
        ("'client_secret' => 'abc12345'", "'client_secret' => '[SECRET]'"),
        (KEY.partition("\n-----END")[0] + "\nThe next line.", "[SECRET]\nThe next line."),
        (KEY.replace("\n", "\\n"), "[SECRET]"),
        ("Authorization: Bearer abcdefghijklmnop", "Authorization: Bearer [SECRET]"),
        ("authorization: bearer k7.x-9_~+/q==\r\nHost: x", "authorization: bearer [SECRET]\r\nHost: x"),
        ("Authorization: Basic YTpi", "Authorization: Basic [SECRET]"),
        ("Authorization: Basic dXNlcjpwYXNzd29yZA==", "Authorization: Basic [SECRET]"),
        ("Proxy-Authorization: Basic dXNlcjpwYXNz", "Proxy-Authorization: Basic [SECRET]"),
        ("HTTP_AUTHORIZATION=Basic dXNlcjpwYXNz", "HTTP_AUTHORIZATION=Basic [SECRET]"),
        ("Authorization: 0123456789abcdef", "Authorization: [SECRET]"),
        ('{"Authorization": "Bearer abc12345"}', '{"Authorization": "Bearer [SECRET]"}'),
        ("{'Proxy-Authorization': 'Basic dTpw'}", "{'Proxy-Authorization': 'Basic [SECRET]'}"),
        (r'"{\"Authorization\": \"Bearer abc12345\"}"', r'"{\"Authorization\": \"Bearer [SECRET]\"}"'),
        ('headers["Authorization"] = "Token abc12345"', 'headers["Authorization"] = "Token [SECRET]"'),
        ('set("Authorization", "Bearer abc12345");', 'set("Authorization", "Bearer [SECRET]");'),
        (
            "curl -H 'Authorization: Bearer abc12345' https://x.org",
            "curl -H 'Authorization: Bearer [SECRET]' https://x.org",
        ),
        ('curl -H "Authorization:Basic dTpw" x', 'curl -H "Authorization:Basic [SECRET]" x'),
        (
            'Authorization: Digest username="me", uri="/", response="6629fae4"\nHost: x',
            "Authorization: Digest [SECRET]\nHost: x",
        ),
        (
            "Authorization: AWS4-HMAC-SHA256 Credential=abc/20130524, Signature=fe5f80\n",
            "Authorization: AWS4-HMAC-SHA256 [SECRET]\n",
        ),
    ],
)
def test_secrets_are_masked_with_nothing_beside_them(text: str, masked: str) -> None:
    assert mask(text) == (masked, {"Secret": 1})


@pytest.mark.parametrize(
    "text",
    [
        "Version 1.2.3.4.5 of 2026-11-29 12:30:45, see section 4.1.2.",
        "192.168.0.1 and 127.0.0.1 are nobody's, and ::1 neither; std::vector<a::b>.",
        "The order 1234567890123456 and the sum 4111111111111112 have wrong check digits.",
        "GB82WEST12345698765433 has them, too, and ZZ82WEST12345698765432 is of no country.",
        "A secret: nobody reads the password policy. Key: value. token=short",
        "decorators such as @property and a@b are no addresses, and 3 @ 4 neither.",
        "pi is 3.14159265358979, and 1,234,567,890 is large; 2024-2025-2026 are years.",
        "https://example.org/a:b@c",
        "task-oriented sk-learn, xoxo, hf_ and eyJ",
        "Authorization: Bearer $TOKEN, Authorization: Bearer {token}, 'Authorization': 'Basic <credentials>'",
        "Authorization: Basic authentication (RFC 7617). Proxy-Authorization: Bearer tokens. Authorization, 2024-05-06: none.",
        "Authorization: AWS4-HMAC-SHA256 is a scheme.",
    ],
)
def test_harmless_text_stays(text: str) -> None:
    assert mask(text) == (text, {})


PIECES = st.one_of(
    st.sampled_from(["8.8.8.8", "a@b.org", "4111111111111111", "GB82WEST12345698765432", "+49 30 1234567", KEY, "://u:p1@h", "[", "]", "@", "AKIAIOSFODNN7EXAMPLE", "password=abc12345", "Authorization: Basic ", "dTpw", "authorization=AWS4-HMAC-SHA256 ", "\u0338", "\u0301"]),
    st.text(string.printable, max_size=12),
)  # fmt: skip


@examples(250)
@given(st.lists(PIECES, max_size=8).map("".join))
def test_masking_again_changes_nothing(text: str) -> None:
    masked, _ = mask(text)
    assert mask(masked) == (masked, {})


@examples(200)
@given(
    st.text(string.ascii_letters + " .,\n", max_size=30),
    st.sampled_from([f"ghp_{LONG[:36]}", "jane@example.org", "8.8.4.4", "5500005555555559", "GB82 WEST 1234 5698 7654 32", "+4930123456789"]),
    st.text(string.ascii_letters + " .,\n", max_size=200),
)  # fmt: skip
def test_no_excerpt_has_a_secret(before: str, piece: str, after: str) -> None:
    text = f"{before} {piece} {after}"
    assert piece not in mask(text)[0]
    shown = excerpt(text)
    assert len(shown) <= 80
    assert "\n" not in shown
    assert not any(part in shown for part in (piece, piece[:12]) if len(part) > 6)


def test_a_text_that_is_made_to_be_slow_is_not() -> None:
    for text in ("a" * 200_000 + "@", "1 " * 100_000, "@a." * 60_000, "A1" * 100_000, "1." * 100_000, ":" * 200_000, "://" * 60_000 + "@", "password" * 20_000, "Authorization: " * 12_000, "Authorization: Digest " + "a=b, " * 30_000, "authorization: " + "a" * 200_000, "-----BEGIN PRIVATE KEY-----" * 4000):  # fmt: skip
        mask(text)
