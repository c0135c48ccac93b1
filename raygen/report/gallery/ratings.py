"""Ratings that the page of a blind comparison saved, read back with its key: comparisons of models, and how far raters agree."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from raygen.errors import DataError
from raygen.evaluation.ratings.agreement import Agreement, agreement
from raygen.evaluation.ratings.strength import Comparison
from raygen.report.gallery.blind import KEY_FORMAT, VERSION, Key, PairKey

Choice = Literal["left", "tie", "right"]
Files = str | Path | Sequence[str | Path]

RATINGS_FORMAT = "raygen ratings"
SHARES: dict[Choice, float] = {"left": 1.0, "tie": 0.5, "right": 0.0}
MAX_FILE_BYTES = 16 * 2**20
MAX_NAME = 100


@dataclass(frozen=True)
class Rater:
    """What one person chose.

    Attributes:
        name: As they wrote it.
        answers: The choice for each pair that they rated, by the pair's code.
    """

    name: str
    answers: Mapping[str, Choice]

    @property
    def left_share(self) -> float | None:
        """Share of left ones among what they preferred; far from 0.5 they chose by side. None if all were ties."""
        preferred = [choice for choice in self.answers.values() if choice != "tie"]
        return preferred.count("left") / len(preferred) if preferred else None


def read_ratings(paths: Files, key: Mapping[str, object]) -> list[Comparison]:
    """What all raters chose, as `raygen.evaluation.ratings.strength.strengths` takes it.

    Args:
        paths: One file, or several: of several raters, or of one that saved more than once.
        key: That of the page.

    Raises:
        DataError: as `read_raters` does, or nobody has rated anything.
    """
    raters = read_raters(paths, key)
    pairs = {pair["pair"]: pair for pair in checked_key(key)["pairs"]}
    found = [
        Comparison(pairs[code]["left"], pairs[code]["right"], SHARES[choice])
        for rater in raters
        for code, choice in rater.answers.items()
    ]
    if not found:
        raise DataError("the ratings are empty", where="ratings", remedy="Rate at least one pair.")
    return found


def read_raters(paths: Files, key: Mapping[str, object]) -> list[Rater]:
    """What each rater chose, by name; answers in the order of the page.

    Files of the same name are of the same rater, and an answer that stands in several of them counts once.

    Args:
        paths: One file or several.
        key: That of the page.

    Raises:
        DataError: a file cannot be read, is damaged, is not a file of ratings, is of another page, or names a pair twice or one that the page does not
            have; two files of one rater differ about a pair; or the key is not a key.
    """
    known = checked_key(key)
    order = {pair["pair"]: place for place, pair in enumerate(known["pairs"])}
    found: dict[str, dict[str, Choice]] = {}
    for path in [paths] if isinstance(paths, str | Path) else paths:
        name, answers = _read_file(Path(path), known["page"], order)
        mine = found.setdefault(name, {})
        for code, choice in answers.items():
            if mine.setdefault(code, choice) != choice:
                raise DataError(
                    f"{name!r} rated pair {code} twice, as {mine[code]} and as {choice}",
                    where=str(path),
                    remedy="Give the newest file of each rater alone, and two raters of one name two names.",
                )
    return [
        Rater(name, dict(sorted(answers.items(), key=lambda one: order[one[0]])))
        for name, answers in sorted(found.items())
    ]


def rater_agreement(
    raters: Sequence[Rater], *, seed: int = 0, resamples: int = 2000
) -> dict[tuple[str, str], Agreement]:
    """How far each two raters agree on pairs that both rated.

    The left one counts 1, neither 0 and the right one -1: `exact` is the share of the same choice, `within_one` that of choices that are not opposite, and the correlations are 0 where raters agree
    by chance alone.

    Args:
        raters: As `read_raters` gives them.
        seed: Of the intervals.
        resamples: Draws for the intervals.

    Raises:
        MissingExtraError: SciPy is not installed.
    """
    return {
        (one.name, other.name): agreement(
            *_columns(one, other),
            seed=seed,
            resamples=resamples,
        )
        for one, other in itertools.combinations(raters, 2)
    }


def read_key(path: str | Path) -> Key:
    """A key that was written as JSON.

    Raises:
        DataError: the file cannot be read, or is not a key.
    """
    return checked_key(_json(Path(path)), str(path))


def checked_key(key: object, where: str = "key") -> Key:
    """A key, if it is one of this version and whole; DataError if not."""

    def wrong(what: str) -> DataError:
        return DataError(what, where=where, remedy="Give the key that blind_page returned with the page.")

    found = _record(key, KEY_FORMAT, {"format", "version", "page", "pairs"})
    if found is None:
        raise wrong("this is not the key of a blind comparison, or is one of another version")
    pairs = found["pairs"]
    if not isinstance(found["page"], str) or not isinstance(pairs, list) or not pairs:
        raise wrong("the key names no page or no pairs")
    codes = set()
    for pair in pairs:
        if not isinstance(pair, Mapping) or pair.keys() != PairKey.__required_keys__:
            raise wrong("a pair of the key is not whole")
        texts, sample = [pair["pair"], pair["left"], pair["right"]], pair["sample"]
        if not all(isinstance(text, str) for text in texts) or type(sample) is not int:
            raise wrong("a pair of the key has values of other types")
        if pair["left"] == pair["right"] or pair["pair"] in codes:
            raise wrong(f"pair {pair['pair']!r} of the key is there twice, or compares a model with itself")
        codes.add(pair["pair"])
    return cast("Key", found)


def _columns(one: Rater, other: Rater) -> tuple[list[float | None], list[float | None]]:
    codes = list(dict.fromkeys([*one.answers, *other.answers]))
    first, second = (
        [2 * SHARES[rater.answers[code]] - 1 if code in rater.answers else None for code in codes]
        for rater in (one, other)
    )
    return first, second


def _read_file(path: Path, page: str, pairs: Mapping[str, int]) -> tuple[str, dict[str, Choice]]:
    """Name of the rater and answers of one file."""

    def wrong(what: str, remedy: str = "Save the ratings again from the page.") -> DataError:
        return DataError(what, where=str(path), remedy=remedy)

    document = _record(_json(path), RATINGS_FORMAT, {"format", "version", "page", "rater", "answers"})
    if document is None:
        raise wrong("this is not a file of ratings, or is one of another version")
    name, listed = document["rater"], document["answers"]
    if document["page"] != page:
        raise wrong("these ratings are of another page", "Give the key of the page that was rated.")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= MAX_NAME:
        raise wrong(f"the name of the rater is not a text of 1 to {MAX_NAME} characters")
    if not isinstance(listed, list):
        raise wrong("the answers are not a list")
    answers: dict[str, Choice] = {}
    for number, answer in enumerate(listed):
        if not isinstance(answer, dict) or answer.keys() != {"pair", "choice"}:
            raise wrong(f"answer {number} is not a pair and a choice")
        code, choice = answer["pair"], answer["choice"]
        if not isinstance(code, str) or code not in pairs:
            raise wrong(f"answer {number} is about a pair that the page does not have: {code!r:.60}")
        if not isinstance(choice, str) or choice not in SHARES:
            raise wrong(f"answer {number} is not left, tie or right: {choice!r:.60}")
        if code in answers:
            raise wrong(f"pair {code} is answered twice")
        answers[code] = choice
    return name.strip(), answers


def _record(value: object, form: str, keys: set[str]) -> Mapping[str, object] | None:
    """The value, if it is a record of this format and version with these keys."""
    if not isinstance(value, Mapping) or value.keys() != keys or value["format"] != form:
        return None
    return value if type(value["version"]) is int and value["version"] == VERSION else None


def _json(path: Path) -> object:
    """JSON of a file from elsewhere: of bounded size, and with no key twice."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise DataError(
                f"the file has more than {MAX_FILE_BYTES:,} bytes",
                where=str(path),
                remedy="Give a file that the page saved.",
            )
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(
            f"the file cannot be read: {error.strerror}", where=str(path), remedy="Check the path."
        ) from error
    except UnicodeDecodeError as error:
        raise _not_json(path) from error
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise _not_json(path) from error


def _not_json(path: Path) -> DataError:
    return DataError(
        "the file is not JSON, or is cut off", where=str(path), remedy="Save it again from the page."
    )


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found
