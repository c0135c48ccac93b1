"""Texts that a judge is trained on: articles and dialogues that packages carry, found on this machine and read without importing them."""

from __future__ import annotations

import bz2
import hashlib
import html
import importlib.util
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from raygen.errors import MissingExtraError
from raygen.evaluation.judge.offline import words

ARTICLES = "test/test_data/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
"""In gensim: a hundred articles of the English Wikipedia of 2016 (CC BY-SA)."""
DIALOGUES = "data/english"
"""In chatterbot-corpus: questions and answers of many fields (BSD)."""
LEAST_SENTENCES, MOST_SENTENCES = 3, 9
_PAGE = re.compile(r"<title>([^<]*)</title>.*?<text[^>]*>(.*?)</text>", re.DOTALL)
_HEADING = re.compile(r"^==+\s*(.*?)\s*==+\s*$", re.MULTILINE)
_ENDS = re.compile(
    r"^(?:see also|references|notes|external links|further reading|bibliography|sources|footnotes|gallery)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Passage:
    """A paragraph of an article.

    Attributes:
        title: The article's.
        section: The section's; empty before the first one.
        sentences: Its sentences.
    """

    title: str
    section: str
    sentences: tuple[str, ...]

    @property
    def text(self) -> str:
        """The sentences as one text."""
        return " ".join(self.sentences)

    @property
    def question(self) -> str:
        """A question that the passage answers."""
        if not self.section:
            return f"What is {self.title}?"
        return f"What is known of {self.title} with regard to {self.section.lower()}?"


@dataclass(frozen=True)
class Exchange:
    """A question and its answer."""

    question: str
    answer: str


@dataclass(frozen=True)
class Corpus:
    """Texts for training.

    Attributes:
        passages: Paragraphs, those of an article together.
        exchanges: Questions with answers.
        sources: SHA-256 of each file that they come from, by its name.
    """

    passages: Sequence[Passage]
    exchanges: Sequence[Exchange]
    sources: Mapping[str, str] = field(default_factory=dict)


def packaged_corpus() -> Corpus:
    """The texts that the packages gensim and chatterbot-corpus carry.

    Raises:
        MissingExtraError: one of them is not installed.
    """
    path = _folder("gensim", "gensim") / ARTICLES
    content = path.read_bytes()
    sources = {path.name: hashlib.sha256(content).hexdigest()}
    passages = list(articles(bz2.decompress(content).decode("utf-8", "replace")))
    exchanges: dict[Exchange, None] = {}
    for file in sorted((_folder("chatterbot_corpus", "chatterbot-corpus") / DIALOGUES).glob("*.yml")):
        text = file.read_text(encoding="utf-8")
        sources[f"chatterbot_corpus/{file.name}"] = hashlib.sha256(text.encode()).hexdigest()
        exchanges.update(dict.fromkeys(dialogues(text)))
    return Corpus(passages, list(exchanges), sources)


def _folder(module: str, package: str) -> Path:
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        raise MissingExtraError(package, "local-judge")
    return Path(found.origin).parent


def articles(dump: str) -> Iterator[Passage]:
    """The paragraphs of a dump of MediaWiki that have a few whole sentences."""
    for title, text in _PAGE.findall(dump):
        if text.startswith("#REDIRECT") or ":" in title:
            continue
        section = ""
        pieces = _HEADING.split(_plain(html.unescape(text)))
        for number, piece in enumerate(pieces):
            if number % 2:
                section = piece.strip("= ")
                continue
            if _ENDS.match(section):
                continue
            for paragraph in piece.split("\n"):
                found = words.sentences(paragraph)
                whole = [one for one in found if _is_prose(one)]
                if len(whole) == len(found) >= LEAST_SENTENCES:
                    yield Passage(html.unescape(title), section, tuple(whole[:MOST_SENTENCES]))


def _is_prose(sentence: str) -> bool:
    count = len(sentence.split())
    return (
        4 <= count <= 60
        and sentence[0].isalnum()
        and sentence[-1] in ".!?\"'"
        and not re.search(r"[{}|<>\[\]=*#]", sentence)
    )


def _plain(text: str) -> str:
    """Text without the marks of MediaWiki."""
    text = re.sub(
        r"<!--.*?-->|<ref[^>/]*/>|<ref[^>]*>.*?</ref>|<(?:math|gallery|table)[^>]*>.*?</(?:math|gallery|table)>",
        "",
        text,
        flags=re.DOTALL | re.IGNORECASE,
    )
    for _ in range(6):
        text, count = re.subn(r"\{\{[^{}]*\}\}|\{\|[^{}]*\|\}", "", text)
        if not count:
            break
    text = re.sub(
        r"\[\[(?:File|Image|Category)(?:[^\[\]]|\[\[[^\[\]]*\]\])*\]\]", "", text, flags=re.IGNORECASE
    )
    text = re.sub(r"\[\[(?:[^\[\]|]*\|)?([^\[\]|]*)\]\]", r"\1", text)
    text = re.sub(r"\[https?:\S*\s?([^\]]*)\]", r"\1", text)
    text = re.sub(r"'{2,}|<[^>]+>", "", text).replace("\xa0", " ").replace("&nbsp;", " ")
    # What stood between these was a template.
    return re.sub(r"\(\s*[;,]?\s*\)| +(?=[,.;])", "", re.sub(r"[ \t]+", " ", text))


def dialogues(text: str) -> Iterator[Exchange]:
    """The first question and the first answer of each conversation of a file of chatterbot-corpus."""
    import yaml

    for conversation in yaml.safe_load(text)["conversations"]:
        if len(conversation) < 2:
            continue
        question, answer = (str(line).strip() for line in conversation[:2])
        if question and answer:
            yield Exchange(question, answer)


def split(corpus: Corpus, share: float, seed: int) -> tuple[Corpus, Corpus]:
    """Two parts of a corpus, of which the second has a share of the articles and of the exchanges; no article is in both."""
    titles = sorted({passage.title for passage in corpus.passages})
    drawn = random.Random(seed)
    drawn.shuffle(titles)
    held = set(titles[: round(share * len(titles))])
    order = list(range(len(corpus.exchanges)))
    drawn.shuffle(order)
    away = set(order[: round(share * len(order))])
    return (
        Corpus(
            [one for one in corpus.passages if one.title not in held],
            [one for number, one in enumerate(corpus.exchanges) if number not in away],
            corpus.sources,
        ),
        Corpus(
            [one for one in corpus.passages if one.title in held],
            [one for number, one in enumerate(corpus.exchanges) if number in away],
            corpus.sources,
        ),
    )
