"""Text of an answer that is addressed to its judge: it is found by what it says, and left out before anything is scored.

A judge that is a language model can be talked to, and this one cannot: no text is an instruction for it. But words that are no part of the answer
would still count as irrelevant ones or as repetitions. A sentence is left out when it names a score, a judge or instructions as only talk to a
judge does, when it has the marks of chats and prompts, or hides characters. Sentences that would be harmless alone ("Please.") are left out beside
one of these.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from raygen.evaluation.text.embeddings import Encoded, Vectors

_SCORE = r"(?:scores?|scoring|ratings?|grades?|marks?|points?|stars?)\b"
_MARKS = re.compile(
    r"<\|?/?\s*(?:system|im_start|im_end|user|assistant|instructions?|data|answer|question|context|prompt|endoftext|s|inst|sys)\b[^<>\n]{0,40}>"
    r"|<\|[^|\n]{1,40}\|>|\[/?\s*(?:INST|SYS|SYSTEM|ASSISTANT|USER)\s*\]|<<+\s*/?\s*[A-Z][^<>\n]{0,80}>>+|#{2,}\s*(?:system|instructions?|assistant|user)\b"
    r"|\b(?:END|BEGIN|START)\s+OF\s+(?:THE\s+)?(?:DATA|ANSWER|PROMPT|INSTRUCTIONS?|CONTEXT|TEXT|INPUT)\b"
    r"|[{,]\s*[\"']?(?:score|rating|grade|explanation)[\"']?\s*:"
    r"|(?:^|[\s\r])(?:system|assistant|developer)(?:\s+(?:prompt|message|note))?\s*:",
    re.IGNORECASE | re.MULTILINE,
)
_TALK = re.compile(
    # Who reads it.
    r"\b(?:ai|llm|the|a|an|this|dear|fair|generous|strict)\s+(?:ai\s+|llm\s+|fair\s+|kind\s+|generous\s+)?(?:judge|grader|evaluator|rater|scorer)\b(?=.{0,80}\b(?:you|must|should|please|[1-5]|"
    + _SCORE
    + r"|note|rated?|kind|generous|give|ignore)\b)"
    r"|\b(?:note|message|instructions?|memo|hint)\s+(?:to|for)\s+(?:the\s+|all\s+|any\s+)?(?:ai\b|judges?|graders?|evaluators?|raters?|reviewers?|models?|assistants?)"
    r"|\byou(?:\s+are|'re)\s+(?:now\s+)?(?:a|an|the)\s+(?:\w+\s+){0,2}(?:judge|grader|evaluator|rater|scorer|language\s+model|ai|assistant)\b"
    r"|\bif\s+you\s+are\s+(?:a|an)\s+(?:\w+\s+)?(?:language\s+model|ai|llm|judge|grader|evaluator|bot)\b"
    # What is to be ignored or obeyed.
    r"|\b(?:ignore|disregard|forget|override|bypass|discard)\s+(?:\w+\s+){0,3}(?:instructions?|rules?|rubrics?|prompts?|guidelines?|criteria|above|previous|directions?)\b"
    r"|\b(?:the|your|new|these|those)\s+(?:rules|rubrics?|instructions|criteria|guidelines)\b.{0,60}\b(?:changed|count|now|score|always|is|are|apply|rate)\b.{0,40}\b(?:[1-5]|five|"
    + _SCORE
    + r"|obey|instructions?)\b"
    r"|\bnew\s+(?:rubric|instructions?|rules?|system\s+prompt)\s*:"
    r"|\bfrom\s+(?:here|now)\s+on\b.{0,60}\b(?:instructions?|score|rate|judge|[1-5])\b"
    r"|\b(?:decode|obey)\b.{0,30}\b(?:obey|decode|follow|it|this)\b|\bbase64\b.{0,60}\b(?:must|do|decode|obey|follow)\b"
    # The score itself.
    r"|\b(?:score|rate|grade|judge|mark|assign|award|give|reply|respond|answer|output|return|print|say|write)\b[^.!?\n]{0,60}?\b(?:a\s+|an\s+|with\s+|as\s+|of\s+|at\s+)?"
    r"(?:(?:full|top|highest|maximum|perfect|best|good|high|great)\s+(?:possible\s+)?"
    + _SCORE
    + r"|"
    + _SCORE
    + r"\s*(?:of|is|=|:|as)?\s*\"?[1-5]\b(?:/5)?|[1-5]\s*(?:/\s*5|out\s+of\s+(?:5|five)\b))"
    r"|\b(?:always\s+)?(?:reply|respond|answer|output|return|say|print)\s+(?:only\s+)?(?:with\s+)?(?:only\s+)?(?:the\s+)?(?:number\s+|digit\s+)?\"?(?:5|five)\b\"?\s*(?=[.!;,\[<\n]|$)"
    r"|\b(?:this|the|my|that)\s+(?:answer|response|reply|summary|text|one)\b[^.!?\n]{0,40}\b(?:deserves?|merits?|earns?|is\s+worth|should\s+(?:get|be|have|receive)|must\s+(?:get|be|have|receive)|rated|gets?|scores?)\b"
    r"[^.!?\n]{0,40}\b(?:[1-5]\b|five|full|top|highest|maximum|perfect)"
    r"|\b(?:score|rating|grade)\b\s*(?:is|=|:|must\s+be|should\s+be|of)\s*(?:always\s+|exactly\s+|at\s+least\s+)?\"?(?:[1-5]\b(?!\s*(?:-|–|to|:|[.,]\d))|five\b|perfect)"
    r"|\bsystem\s*:\s*\S|\bscore\s+[1-5]\s*(?:[.!]|$)"
    r"|\b(?:judge|score|rate|evaluate|grade)\s+(?:the|this|my)\s+(?:answer|response|reply|summary)\b"
    r"|\b(?:gets?|receives?|is\s+given|scores?)\s+(?:less|lower|fewer|anything\s+(?:less|lower|below))\s+than\s+(?:a\s+)?(?:[1-5]|five)\b(?!\s*(?:%|percent|million|billion|votes|minutes|years|goals|points|of\b))"
    r"|\bthe\s+evaluation\s+(?:is|has|was)\b.{0,20}\b(?:complete|over|finished|ended|done)\b",
    re.IGNORECASE,
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
_BESIDE = re.compile(
    r"^\s*(?:please|thank(?:s| you)|decode|obey|comply|do\s+(?:it|so)|next\s+answer|user\s*:|human\s*:|end\b|now\b)"
    r"|\b(?:tag|fence|instructions?|rules|rubric|decode|obey|kindness|generous|next\s+answer|score|rating|grade)\b"
    r"|\bmeans?\s+\"?(?:[1-5]|five)\b",
    re.IGNORECASE,
)
MOST_TAILS, MOST_CUTS = 3, 16
"""Ends of any sentence that are looked at, and places where one that is suspected may be cut."""
_CAPITAL = re.compile(r"(?<=\w )[^\W\d_a-z]")
BESIDE = 0.75
"""The share of the limit that is enough beside a sentence that is addressed to a judge."""
RIDGE, RATE, STEPS = 1e-5, 2.0, 1500
_BESIDE_WORDS = 12
"""Longest text, in words, that is taken to belong to what stands beside it."""
_BEGINS = re.compile(
    r"(?<=\s)(?:(?=[A-Z])(?:A|An|And|Actually|Always|As|Assign|Assume|Award|Be|Because|But|Dear|Disregard|Evaluate|For|Forget|From|Give|Grade|Hey"
    r"|Hi|Hello|However|I|If|Ignore|Important|In|It|Judge|My|New|Note|Now|Obey|On|Output|Override|Please|Print|Rate|Remember|Reply|Respond|Return|Say"
    r"|Score|Since|So|The|Act|Forget|Grader?|Human|Imagine|Pretend|Remember|Repeat|Skip|Stop|Translate|This|To|User|We|When|Write|You|Your)\b|(?=\S*\d)(?=\S*[a-z])(?=\S*[A-Z])\S{16,})"
)
"""With what a sentence may begin behind one that has no mark at its end."""
# Lines are units of their own; the marks of a sentence's end need not be followed by a capital letter here.
_UNITS = re.compile(r"[^.!?\n]*(?:[.!?]+[\"'”’)\]}]*(?=\s|$)|\n|$|[.!?]+)")

NEVER = 0.0005
"""The share of other sentences that the recognizer may take for ones addressed to a judge, at most."""


@dataclass(frozen=True)
class Recognizer:
    """A logistic model on a sentence's embedding that tells whether it is addressed to a judge; it finds what no pattern was written for.

    Attributes:
        weights: (width,).
        limit: The least sum that is taken for such a sentence.
    """

    weights: Vectors
    limit: float

    def hears(self, encoded: Encoded) -> bool:
        """Whether a sentence is addressed to a judge."""
        return self.sum(encoded.vector) > self.limit

    def may_hear(self, encoded: Encoded) -> bool:
        """Whether it is, beside one that is."""
        return self.sum(encoded.vector) > BESIDE * self.limit

    def sum(self, vector: Vectors) -> float:
        """The model's sum for a sentence's embedding."""
        return float((vector * self.weights).sum(dtype=np.float64))


def trained_recognizer(
    addressed: Sequence[Vectors], about: Sequence[Vectors], others: Sequence[Vectors]
) -> Recognizer:
    """Fits the model by gradient descent with momentum in float64; both sides have the same weight.

    Args:
        addressed: Embeddings of sentences that are addressed to a judge, (width,) each.
        about: Those of sentences that have the same words and are not.
        others: Those of any sentences. Every fifth one is held out, and the limit is chosen on those.
    """
    fitted_on = [*about, *(one for number, one in enumerate(others) if number % 5)]
    vectors = np.stack([*addressed, *fitted_on]).astype(np.float64)
    signs = np.array([1.0] * len(addressed) + [-1.0] * len(fitted_on))
    shares = np.array([0.5 / len(addressed)] * len(addressed) + [0.5 / len(fitted_on)] * len(fitted_on))
    weights, bias = np.zeros(vectors.shape[1]), 0.0
    last, last_bias = weights, bias
    for step in range(STEPS):
        ahead = step / (step + 3)
        at, at_bias = weights + ahead * (weights - last), bias + ahead * (bias - last_bias)
        slope = (
            -signs * shares / (1 + np.exp(np.clip(signs * ((vectors * at).sum(axis=1) + at_bias), -50, 50)))
        )
        last, last_bias = weights, bias
        weights = at - RATE * ((vectors * slope[:, None]).sum(axis=0) + RIDGE * at)
        bias = at_bias - RATE * float(slope.sum())
    model = Recognizer(weights.astype(np.float32), 0.0)
    sums = sorted(model.sum(one) for one in others[::5])
    place = min(int((1 - NEVER) * len(sums)), len(sums) - 1)
    # A sum of 0 with the bias is where both are as likely.
    return Recognizer(model.weights, max(sums[place], -bias))


@dataclass(frozen=True)
class Cleaned:
    """An answer without what is addressed to its judge.

    Attributes:
        text: What is scored.
        left_out: The parts that were taken out, in their order.
    """

    text: str
    left_out: tuple[str, ...]


def cleaned(text: str) -> Cleaned:
    """Takes out what is addressed to the judge, and characters that cannot be seen.

    An answer in which nothing is found is returned as it is, but for space at its ends.
    """
    if not (_MARKS.search(text) or _TALK.search(text) or _CONTROL.search(text)):
        return Cleaned(text.strip(), ())
    units = [unit for unit in _split(text) if unit]
    # A unit's marks may need the space before it.
    drop = [
        bool(unit.strip() and (_MARKS.search(unit) or _TALK.search(unit) or _CONTROL.search(unit)))
        for unit in units
    ]
    for order in (range(1, len(units)), range(len(units) - 2, -1, -1)):
        step = -1 if order.step > 0 else 1
        for place in order:
            near = place + step
            # Empty lines are passed over.
            while 0 <= near < len(units) and not units[near].strip():
                near += step
            if 0 <= near < len(units) and drop[near] and not drop[place] and _belongs(units[place]):
                drop[place] = True
    kept = "".join(
        "\n" if dropped and unit.endswith("\n") else "" if dropped else unit
        for unit, dropped in zip(units, drop, strict=True)
    )
    return Cleaned(
        re.sub(r"\n{2,}$", "\n", kept).strip(),
        tuple(unit.strip() for unit, dropped in zip(units, drop, strict=True) if dropped),
    )


def tails(sentence: str) -> list[str]:
    """Ends of a sentence that may be sentences of their own, behind one without a mark at its end; the longest first."""
    return [
        sentence[match.start() :]
        for match in _BEGINS.finditer(sentence)
        if sentence[: match.start()].rstrip()[-1:].isalnum() and len(sentence[match.start() :].split()) > 2
    ][:MOST_TAILS]


def suspected(sentence: str, recognizer: Recognizer, encoded: Mapping[str, Encoded]) -> bool:
    """Whether a sentence, or an end of it, is taken for one that is addressed to the judge."""
    return any(recognizer.hears(encoded[part]) for part in (sentence, *tails(sentence)))


def cuts(sentence: str) -> list[tuple[str, str]]:
    """A sentence in two, at each capital letter that no mark stands before; the longest second part first."""
    return [
        (sentence[: match.start()].rstrip(), sentence[match.start() :])
        for match in _CAPITAL.finditer(sentence)
        if len(sentence[match.start() :].split()) > 1
    ][-MOST_CUTS:]


def without(
    found: Cleaned, sentences: Sequence[str], recognizer: Recognizer, encoded: Mapping[str, Encoded]
) -> Cleaned:
    """Takes out the sentences that a recognizer takes for ones addressed to the judge.

    Args:
        found: What the patterns have left.
        sentences: The sentences of its text, in their order.
        recognizer: The model.
        encoded: What the encoder has made of the sentences and of their `tails`, and of the `cuts` of those that are suspected.
    """
    parts: list[str] = []
    for sentence in sentences:
        listed = cuts(sentence) if suspected(sentence, recognizer, encoded) else []
        whole = (
            (head, tail)
            for head, tail in listed
            if recognizer.hears(encoded[tail]) and not recognizer.may_hear(encoded[head])
        )
        parts += next(whole, (sentence,))
    drop = [recognizer.hears(encoded[part]) for part in parts]
    for place in (*range(len(parts)), *reversed(range(len(parts)))):
        beside = any(drop[near] for near in (place - 1, place + 1) if 0 <= near < len(parts))
        if beside and recognizer.may_hear(encoded[parts[place]]):
            drop[place] = True
    out = [part for part, dropped in zip(parts, drop, strict=True) if dropped]
    text = found.text
    # What is appended comes last, so that of equal sentences the last one goes.
    for part in reversed(out):
        before, _, behind = text.rpartition(part)
        text = f"{before.rstrip()} {behind.lstrip()}".strip()
    return Cleaned(text, (*found.left_out, *out)) if out else found


def _split(text: str) -> list[str]:
    """Sentences and lines with all of their characters, so that joined they are the text; cut where something addressed to a judge begins."""
    found = []
    for unit in _UNITS.findall(text):
        begins = [match.start() for match in (_MARKS.search(unit), _CONTROL.search(unit)) if match]
        talk = _TALK.search(unit) or _BESIDE.search(unit)
        if not begins and talk is not None:
            starts = [match.start() for match in _BEGINS.finditer(unit) if match.start() <= talk.start()]
            begins = [start for start in starts if unit[:start].strip()][-1:]
        at = min(begins, default=0)
        found += [unit[:at], unit[at:]] if unit[:at].strip() else [unit]
    return found


def _belongs(unit: str) -> bool:
    words = unit.split()
    return (
        not any(map(str.isalnum, unit))
        or unit.lstrip().startswith("```")
        or (len(words) <= _BESIDE_WORDS and bool(_BESIDE.search(unit)))
    )
