from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.data.cleaning.cleaner import Cleaner, Rejected
from raygen.data.cleaning.report import CleaningReport
from raygen.data.records.record import BrokenRecord, Record
from raygen.errors import DataError
from raygen.spec import parse, resolve
from tests.budget import examples
from tests.jobs import job_document
from tests.unit.data.cleaning.test_rules import PROSE

EVERYTHING = {
    "fixEncoding": True,
    "unicode": "NFKC",
    "masking": {},
    "ruleSets": ["GopherRepetition", "C4"],
    "minCharacters": 3,
    "maxCharacters": 2000,
    "minWords": 2,
    "maxWords": 300,
    "scripts": ["Latin", "Greek"],
    "scriptShare": 0.6,
    "languages": ["en", "unknown"],
    "blockList": {"words": ["swear word"]},
}


def cleaner(base: Path | None = None, **text: Any) -> Cleaner:
    spec = resolve(
        parse(job_document(data__cleaning={"text": text}, preparation={"uri": "prepared"}))
    ).spec.data.cleaning
    assert spec is not None
    return Cleaner(spec, "text", base)


def cleaned(text: str, **fields: Any) -> str | tuple[str, str]:
    """The text that is kept, or the filter that left it out and why."""
    result = cleaner(**fields).clean(Record("a#1", "a, line 1", text))
    return (result.filter, result.reason) if isinstance(result, Rejected) else str(result.content)


@pytest.mark.parametrize(
    ("text", "fields", "result"),
    [
        ("a\r\nb\rc\x0cd\u2028e", {}, "a\nb\nc\nd\ne"),
        ("\ufeffa\x00b\x1b\x7f\x9fc\ufffe\U0001ffffd\te", {}, "abcd\te"),
        ("a\x00b", {"controlCharacters": "Keep"}, "a\x00b"),
        ("e\u0301 ﬁ ²", {}, "é ﬁ ²"),
        ("e\u0301 ﬁ ²", {"unicode": "NFKC"}, "é fi 2"),
        ("e\u0301", {"unicode": "Keep"}, "e\u0301"),
        ("schÃ¶n â€œquotedâ€\x9d", {"fixEncoding": True}, "schön “quoted”"),
        ("mail me@example.org", {"masking": {}}, "mail [EMAIL]"),
        ("mail me@example.org", {"masking": {"patterns": ["Phone"]}}, "mail me@example.org"),
        ("  \n ", {}, ("minCharacters", "it has 0 characters, and at least 1 are asked for")),
        ("...", {}, ("minWords", "it has 0 words, and at least 1 are asked for")),
        ("abcd", {"maxCharacters": 3}, ("maxCharacters", "it has 4 characters, and at most 3 are allowed")),
        ("a b c", {"maxWords": 2}, ("maxWords", "it has 3 words, and at most 2 are allowed")),
        ("日本語", {"minWords": 3}, "日本語"),
        ("word " * 1000, {"minWords": 1001}, ("minWords", "it has 1,000 words, and at least 1,001 are asked for")),
        ("word " * 1000, {"minWords": 10}, "word " * 1000),
        ("abc где", {"scripts": ["Latin"]}, ("scripts", "50% of its letters are Latin, and at least 80% are asked for")),
        ("abc где", {"scripts": ["Latin", "Cyrillic"]}, "abc где"),
        ("ｆｕｌｌ 漢字かな カナ", {"scripts": ["Latin", "Han", "Hiragana", "Katakana"]}, "ｆｕｌｌ 漢字かな カナ"),
        ("1234", {"scripts": ["Thai"]}, "1234"),
        (PROSE, {"languages": ["en"]}, PROSE),
        ("Dies ist ein deutscher Satz mit genug Buchstaben.", {"languages": ["en"]}, ("languages", "its language is de")),
        ("a red car", {"languages": ["en"]}, ("languages", "its language is unknown")),
        ("a red car", {"languages": ["en", "unknown"]}, "a red car"),
        ("It Has\n a Swear  WORD!", {"blockList": {"words": ["swear word"]}}, ("blockList", "it has a word of the block list")),
        ("It has swear words.", {"blockList": {"words": ["swear word"]}}, "It has swear words."),
        ("ha " * 40, {"ruleSets": ["GopherRepetition"]}, ("ruleSets.GopherRepetition", "the most common run of 2 words has 100% (at most 20%) of its characters")),
        ("No code { }", {"ruleSets": ["C4"]}, ("ruleSets.C4", "it has 0 sentences, and at least 3 are asked for")),
        (PROSE + "\nMenu", {"ruleSets": ["C4"]}, PROSE),
    ],
)  # fmt: skip
def test_each_filter(text: str, fields: dict[str, Any], result: str | tuple[str, str]) -> None:
    assert cleaned(text, **fields) == result


def test_what_is_not_changed_comes_back_as_it_is() -> None:
    record = Record("a#1", "a, line 1", PROSE, label=3)
    assert cleaner().clean(record) is record
    changed = cleaner(masking={}).clean(Record("a#1", "w", "to a@b.org", label=3))
    assert changed == Record("a#1", "w", "to [EMAIL]", label=3)


def test_a_block_list_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("first\n\n second phrase \n", encoding="utf-8")
    clean = cleaner(tmp_path, blockList={"uri": "words.txt"}).clean
    assert isinstance(clean(Record("a", "a", "The SECOND\nphrase.")), Rejected)
    assert isinstance(clean(Record("a", "a", "The second phrases.")), Record)
    with pytest.raises(DataError, match="no such file"):
        cleaner(tmp_path, blockList={"uri": "nothing.txt"})
    (tmp_path / "empty.txt").write_text("\n")
    assert isinstance(cleaner(tmp_path, blockList={"uri": "empty.txt"}).clean(Record("a", "a", "x")), Record)


def test_broken_records_are_counted_apart() -> None:
    made = cleaner()
    result = made.clean(BrokenRecord("a#2", "a, line 2", "it is cut off"))
    assert result == Rejected("a#2", "a, line 2", "readable", "it is cut off", broken=True)
    assert made.clean(Record("a#3", "a, line 3", b"\x00")) == Rejected(
        "a#3", "a, line 3", "readable", "it is not text", broken=True
    )
    assert (made.report.records, made.report.broken, made.report.dropped, made.report.kept) == (2, 2, 0, 0)


def test_the_report_counts_every_filter_and_shows_no_secret() -> None:
    made = cleaner(masking={}, ruleSets=["C4"], minWords=3)
    piece = "hunter2hunter2"
    texts = [
        f"It has the password: {piece} in it.\x00 " + PROSE,
        PROSE,
        PROSE + "\nMenu",
        f"api_key={piece}",
    ]
    for number, text in enumerate(texts):
        made.clean(Record(f"a#{number}", f"a, line {number + 1}", text))
    report = made.report
    assert (report.records, report.changed, report.dropped, report.kept) == (4, 2, 1, 3)
    counts = {name: (part.seen, part.changed, part.dropped) for name, part in report.filters.items()}
    assert counts == {
        "readable": (4, 0, 0),
        "controlCharacters": (4, 1, 0),
        "unicode": (4, 0, 0),
        "masking.Secret": (4, 2, 0),
        **{f"masking.{kind}": (4, 0, 0) for kind in ("Email", "IBAN", "CreditCard", "IPAddress", "Phone")},
        "ruleSets.C4": (4, 2, 1),
        "minCharacters": (3, 0, 0),
        "minWords": (3, 0, 0),
    }
    assert piece not in str(report.to_json())
    assert report.of("masking.Secret").examples[0].where == "a, line 1"
    dropped = next(example for example in report.of("ruleSets.C4").examples if example.key == "a#3")
    assert dropped.reason == "it has 0 sentences, and at least 3 are asked for"


WORDS = st.sampled_from([*PROSE.split(), "\n", "\n\n", "\r", "\x00", "e\u0301", "ﬁ", "8.8.8.8", "a@b.org", "Ã¶", "password=abc12345", "где", "[1]", "{", "漢字", "ha ha ha", "swear word", "4111111111111111", "\u0338"])  # fmt: skip
TEXTS = st.one_of(st.lists(WORDS, max_size=60).map(" ".join), st.text(max_size=40), st.just(PROSE))


@examples(150)
@given(TEXTS)
def test_cleaning_again_changes_nothing(text: str) -> None:
    once = EVERY.clean(Record("a", "a", text))
    if isinstance(once, Record):
        assert EVERY.clean(once) == once


@examples(30)
@given(st.lists(TEXTS, max_size=12), st.randoms(use_true_random=False))
def test_neither_order_nor_batches_change_anything(texts: list[str], chance: random.Random) -> None:
    records = [Record(f"a#{number}", "a", text) for number, text in enumerate(texts)]
    whole = cleaner(masking={}, ruleSets=["C4"])
    expected = {record.key: whole.clean(record) for record in records}
    several = [cleaner(masking={}, ruleSets=["C4"]) for _ in range(3)]
    for record in chance.sample(records, len(records)):
        assert chance.choice(several).clean(record) == expected[record.key]
    report = CleaningReport()
    for part in chance.sample(several, 3):
        report = report.merged(part.report)
    assert report == whole.report


EVERY = cleaner(**EVERYTHING)
