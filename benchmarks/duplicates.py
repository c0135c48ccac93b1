"""Near duplicates of texts: how well labelled pairs and planted copies are told, and how fast, beside datatrove.

    python benchmarks/duplicates.py                              # pairs, and speed on 100 MB
    python benchmarks/duplicates.py --megabytes 50 --large 1000 --datatrove DIR/bin/python   # beside datatrove, in an environment of its own

The pairs are made by this script from the lines of one text: copies with small edits of six kinds, and other texts that share up to
half of their lines, or a frame, with the first. What is said of a pair is what the whole search of all texts says: the second is
left out for the first.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from harness import ROOT, TEXT, write_result

from raygen.data.cleaning.duplicates import find_duplicates
from raygen.data.cleaning.signatures import Signatures, TextLikeness, signatures
from raygen.spec.data.cleaning import MinHash

PAIRS = 20_000
SEED = 20
WORKERS = 2
PEER = ROOT / "benchmarks" / "peers" / "datatrove_minhash.py"


@dataclass(frozen=True)
class Pair:
    """Two texts, whether the second is a copy of the first, and of which kind."""

    first: str
    second: str
    copy: bool
    kind: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--megabytes", type=int, default=100, help="of the text whose speed is measured")
    parser.add_argument(
        "--large", type=int, default=0, help="megabytes of a text that raygen alone takes, too"
    )
    parser.add_argument("--thresholds", nargs="*", type=float, default=[0.8, 0.7])
    parser.add_argument("--datatrove", help="a Python that has datatrove, for the comparison")
    parser.add_argument("--out", help="where the result goes (default: results/)")
    arguments = parser.parse_args()
    pairs = make_pairs(arguments.pairs)
    results: dict[str, Any] = {
        "pairs": {str(t): judged(pairs, t) for t in arguments.thresholds},
        "speed": speed(arguments.megabytes, arguments.datatrove),
    }
    if arguments.large:
        results["large"] = speed(arguments.large, None)
    write_result("duplicates", {"seed": SEED, **results}, arguments.out and ROOT / arguments.out)


def make_pairs(count: int) -> list[Pair]:
    """Half of them copies; always the same."""
    generator = random.Random(SEED)
    lines = [line for line in TEXT.read_text().split("\n") if len(line.split()) > 3]
    made = []
    for number in range(count):
        first = generator.sample(lines, generator.randint(12, 60))
        if number % 2:
            kind = generator.choice([*UNLIKE])
            second = UNLIKE[kind](generator, first, lines)
        else:
            kind = generator.choice([*EDITS])
            second = EDITS[kind](generator, first, lines)
        made.append(Pair("\n".join(first), "\n".join(second), not number % 2, kind))
    return made


Make = Callable[[random.Random, list[str], list[str]], list[str]]


def _words(generator: random.Random, first: list[str], lines: list[str]) -> list[str]:
    """One word in seventy is another one."""
    words = " ".join(first).split(" ")
    others = " ".join(generator.sample(lines, 5)).split(" ")
    for at in generator.sample(range(len(words)), max(len(words) // 70, 1)):
        words[at] = generator.choice(others)
    return [" ".join(words)]


def _letters(generator: random.Random, first: list[str], lines: list[str]) -> list[str]:  # noqa: ARG001
    """One letter in four hundred is another one."""
    text = list("\n".join(first))
    for at in generator.sample(range(len(text)), max(len(text) // 400, 1)):
        text[at] = generator.choice("abcdefghijklmnopqrstuvwxyz")
    return ["".join(text)]


def _signs(generator: random.Random, first: list[str], lines: list[str]) -> list[str]:  # noqa: ARG001
    """Other case, blanks and signs."""
    return [line.upper().replace(",", " -").replace(" ", "  ") for line in first]


def _dropped(generator: random.Random, first: list[str], lines: list[str]) -> list[str]:  # noqa: ARG001
    """One line in twelve is not there."""
    left = sorted(generator.sample(range(len(first)), len(first) - len(first) // 12))
    return [first[at] for at in left]


def _framed(generator: random.Random, first: list[str], lines: list[str]) -> list[str]:
    """With a line more before and after."""
    before, after = generator.sample(lines, 2)
    return [before, *first, after] if len(first) > 24 else [*first, after]


def _cut(generator: random.Random, first: list[str], lines: list[str]) -> list[str]:  # noqa: ARG001
    """Without a tenth at the end."""
    return first[: len(first) - len(first) // 10]


EDITS: dict[str, Make] = {
    "words": _words,
    "letters": _letters,
    "signs": _signs,
    "dropped": _dropped,
    "framed": _framed,
    "cut": _cut,
}


def _other(generator: random.Random, first: list[str], lines: list[str]) -> list[str]:
    """As long, of other lines."""
    return generator.sample(lines, len(first))


def _half(generator: random.Random, first: list[str], lines: list[str]) -> list[str]:
    """Up to half of the lines are those of the first."""
    shared = generator.randint(1, len(first) // 2)
    return first[:shared] + generator.sample(lines, len(first) - shared)


def _reordered(generator: random.Random, first: list[str], lines: list[str]) -> list[str]:
    """Every second line is another one."""
    others = generator.sample(lines, len(first))
    return [line if at % 2 else other for at, (line, other) in enumerate(zip(first, others, strict=True))]


UNLIKE: dict[str, Make] = {"other": _other, "half": _half, "every second": _reordered}


def judged(pairs: Sequence[Pair], threshold: float) -> dict[str, Any]:
    """Recall by kind, false removals, and F1 of both classes."""
    texts = [text for pair in pairs for text in (pair.first, pair.second)]
    found = find_duplicates(
        np.arange(len(texts)),
        signatures(texts, MinHash(type="MinHash", threshold=threshold)),
        TextLikeness(threshold),
    )
    kept = dict(zip(found.dropped.tolist(), found.kept.tolist(), strict=True))
    said = [kept.get(2 * number + 1) == 2 * number for number in range(len(pairs))]
    counts = {
        (copy, answer): sum(
            pair.copy is copy and one is answer for pair, one in zip(pairs, said, strict=True)
        )
        for copy in (True, False)
        for answer in (True, False)
    }
    scores = [
        2 * counts[c, c] / (2 * counts[c, c] + counts[c, not c] + counts[not c, c]) for c in (True, False)
    ]
    wrong = set(kept) - {2 * number + 1 for number, pair in enumerate(pairs) if pair.copy}
    recall = {
        kind: round(
            float(
                np.mean(
                    [one for pair, one in zip(pairs, said, strict=True) if pair.kind == kind and pair.copy]
                )
            ),
            4,
        )
        for kind in EDITS
    }
    return {
        "macro_f1": round(sum(scores) / 2, 4),
        "found": round(counts[True, True] / max(sum(pair.copy for pair in pairs), 1), 4),
        "false_removals": round(len(wrong) / len(texts), 5),
        "found_by_kind": recall,
    }


def make_corpus(megabytes: int) -> tuple[list[str], dict[int, int]]:
    """Texts, and for the planted copies among them, one in ten, what they are copies of."""
    generator = random.Random(SEED)
    lines = [line for line in TEXT.read_text().split("\n") if len(line.split()) > 3]
    texts: list[str] = []
    copies: dict[int, int] = {}
    size = 0
    while size < megabytes * 1_000_000:
        if texts and generator.random() < 0.1:
            source = generator.randrange(len(texts))
            copies[len(texts)] = source
            # With a word changed in a hundred: the similarity is some 0.9.
            words = texts[source].split(" ")
            for at in generator.sample(range(len(words)), max(len(words) // 100, 1)):
                words[at] = "another"
            texts.append(" ".join(words))
        else:
            # Numbers, so that lines which are there often do not make texts alike.
            texts.append(
                "\n".join(
                    f"{line} {generator.getrandbits(30)}"
                    for line in generator.sample(lines, generator.randint(20, 120))
                )
            )
        size += len(texts[-1])
    return texts, copies


def _part(texts: Sequence[str]) -> Signatures:
    return signatures(texts, MinHash(type="MinHash"))


def speed(megabytes: int, python: str | None) -> dict[str, Any]:
    """Megabytes a second from texts in JSON lines to the numbers of those that are left, with two processes."""
    texts, copies = make_corpus(megabytes)
    size = sum(map(len, texts)) / 1e6
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "lines"
        lines.mkdir()
        for number in range(WORKERS):
            with (lines / f"{number}.jsonl").open("w") as file:
                for at in range(number, len(texts), WORKERS):
                    file.write(json.dumps({"id": str(at), "text": texts[at]}) + "\n")
        result = {"megabytes": round(size, 1), "documents": len(texts), "raygen": ours(lines, size, copies)}
        if python is not None:
            work = Path(folder) / "work"
            work.mkdir()
            subprocess.run([python, str(PEER), str(lines), str(work)], check=True, capture_output=True)
            peer = json.loads((work / "result.json").read_text())
            removed = set(range(len(texts))) - {int(one) for one in peer["kept"]}
            seconds = sum(peer["seconds"].values())
            result["datatrove"] = told(size, seconds, removed, copies) | {"seconds": peer["seconds"]}
            result["ratio"] = round(
                result["raygen"]["mb_per_second"] / result["datatrove"]["mb_per_second"], 2
            )
    return result


def _read(path: Path) -> tuple[list[int], Signatures]:
    rows = [json.loads(line) for line in path.open()]
    return [int(row["id"]) for row in rows], _part([row["text"] for row in rows])


def _kept(job: tuple[Path, set[int]]) -> None:
    path, dropped = job
    rows = (json.loads(line) for line in path.open())
    kept = [json.dumps(row) for row in rows if int(row["id"]) not in dropped]
    path.with_suffix(".kept").write_text("\n".join(kept))


def ours(lines: Path, size: float, copies: dict[int, int]) -> dict[str, Any]:
    """The same stages as the peer's: lines are read, signed, compared, read again, and those that are left are written."""
    with ProcessPoolExecutor(WORKERS) as workers:
        # Tables and imports are no part of the speed; the peer's processes start in its stages, as they must.
        list(workers.map(_part, [["warm"]] * WORKERS))
        start = time.perf_counter()
        parts = list(workers.map(_read, sorted(lines.glob("*.jsonl"))))
        signed = time.perf_counter()
        order = np.concatenate([np.array(numbers) for numbers, _ in parts])
        found = find_duplicates(order, Signatures.joined([part for _, part in parts]), TextLikeness(0.8))
        compared = time.perf_counter()
        dropped = set(found.dropped.tolist())
        list(workers.map(_kept, [(path, dropped) for path in sorted(lines.glob("*.jsonl"))]))
        end = time.perf_counter()
    stages = {"signatures": signed - start, "duplicates": compared - signed, "filter": end - compared}
    return told(size, end - start, dropped, copies) | {"seconds": stages}


def told(size: float, seconds: float, removed: set[int], copies: dict[int, int]) -> dict[str, Any]:
    """Speed, planted pairs of which one was removed, and texts that were removed without being in one."""
    planted = {*copies, *copies.values()}
    return {
        "mb_per_second": round(size / seconds, 2),
        "found": round(sum(c in removed or s in removed for c, s in copies.items()) / len(copies), 5),
        "false_removals": len(removed - planted),
    }


if __name__ == "__main__":
    main()
