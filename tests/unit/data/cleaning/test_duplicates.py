from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.data.cleaning.duplicates import Duplicates, alike_in_training, certificate, find_duplicates
from raygen.data.cleaning.signatures import Signatures, TextLikeness, jaccard, signatures, version
from raygen.spec.data.cleaning import ExactTexts, MinHash
from tests.budget import examples
from tests.unit.data.cleaning.texts import document, edited, vocabulary

NEAR = MinHash(type="MinHash")
LIKENESS = TextLikeness(NEAR.threshold)


def found(texts: list[str], order: list[int] | None = None, **options: object) -> dict[int, int]:
    """Which record is left out for which."""
    numbers = np.array(order if order is not None else range(len(texts)), dtype=np.int64)
    result = find_duplicates(numbers, signatures(texts, NEAR), LIKENESS, **options)
    return dict(zip(result.dropped.tolist(), result.kept.tolist(), strict=True))


def same(one: Duplicates, other: Duplicates) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in ("dropped", "kept", "similarity")
    )


@pytest.fixture(scope="module")
def corpus() -> tuple[list[str], dict[int, int], list[str]]:
    """Texts, those among them that are copies by their source, and words."""
    generator = random.Random(7)
    words = vocabulary(generator)
    texts = [document(generator, words, generator.randint(60, 400)) for _ in range(1500)]
    copies = {}
    for source in generator.sample(range(len(texts)), 500):
        length = len(texts[source].split())
        copies[len(texts)] = source
        texts.append(edited(generator, words, texts[source], generator.randint(0, length // 100)))
    return texts, copies, words


def test_planted_copies_are_found_and_nothing_else(
    corpus: tuple[list[str], dict[int, int], list[str]],
) -> None:
    texts, copies, _ = corpus
    dropped = found(texts)
    planted = {
        copy: source for copy, source in copies.items() if jaccard(texts[copy], texts[source], 5) >= 0.85
    }
    hit = sum(dropped.get(copy) == source for copy, source in planted.items())
    assert hit >= 0.99 * len(planted)
    assert len(set(dropped) - set(copies)) == 0


def test_the_first_is_kept_and_those_that_come_first_before_others() -> None:
    text = "One two three four five six seven eight nine ten."
    texts = [text, text.upper(), "something quite different", text + "!"]
    assert found(texts) == {1: 0, 3: 0}
    assert found(texts, [3, 2, 1, 0]) == {2: 0, 3: 0}
    assert found(texts, first=np.array([False, False, False, True])) == {0: 3, 1: 3}


def test_chains_of_small_changes_leave_out_only_what_is_like_what_stays() -> None:
    generator = random.Random(3)
    words = vocabulary(generator)
    chain = [document(generator, words, 200)]
    for _ in range(40):
        chain.append(edited(generator, words, chain[-1], 2))
    dropped = found(chain)
    kept = [number for number in range(len(chain)) if number not in dropped]
    assert 1 < len(kept) < 20
    for copy, source in dropped.items():
        assert source in kept
        assert source < copy
        assert jaccard(chain[copy], chain[source], 5) > NEAR.threshold - 0.08
    assert all(jaccard(chain[a], chain[b], 5) < NEAR.threshold + 0.08 for a, b in pairwise(kept))


def test_equal_copies_of_a_near_duplicate_go_to_what_stays() -> None:
    generator = random.Random(5)
    words = vocabulary(generator)
    text = document(generator, words, 300)
    near = edited(generator, words, text, 2)
    assert found([text, near, near.lower(), text.lower()]) == {1: 0, 2: 0, 3: 0}


def random_signatures(seed: int, count: int, values: int = 256) -> Signatures:
    """Random ones with clusters: some alike, some half alike, some equal."""
    generator = np.random.default_rng(seed)
    sketches = generator.integers(0, 1 << 16, (count, values), dtype=np.uint16)
    exact = generator.integers(0, 1 << 40, (count, 2)).astype(np.uint64)
    for share in (0.97, 0.85, 0.8, 0.7):
        rows = generator.permutation(count)[: count // 4]
        same = generator.random((len(rows), values)) < share
        sketches[rows] = np.where(same, sketches[rows[0]], sketches[rows])
    equal = generator.permutation(count)[: count // 10]
    exact[equal], sketches[equal] = exact[equal[0]], sketches[equal[0]]
    return Signatures(exact, sketches)


def by_loop(
    order: np.ndarray, table: Signatures, likeness: TextLikeness, validation: np.ndarray
) -> dict[int, int]:
    """The same by comparing everything with everything that is kept."""
    kept: list[int] = []
    dropped = {}
    assert table.sketches is not None
    for row in np.lexsort((order, ~validation)).tolist():
        equal = [k for k in kept if (table.exact[k] == table.exact[row]).all()]
        near = [k for k in kept if (table.sketches[k] == table.sketches[row]).mean() >= likeness.threshold]
        if equal or near:
            dropped[int(order[row])] = int(order[(equal or near)[0]])
        else:
            kept.append(row)
    return dropped


@pytest.mark.parametrize("few", [4, 1024])
@examples(6)
@given(st.integers(0, 1000), st.integers(40, 160))
def test_it_is_what_comparing_everything_gives(few: int, seed: int, count: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("raygen.data.cleaning.duplicates._FEW", few)
        patch.setattr("raygen.data.cleaning.duplicates._PAIRS", 100)
        table = random_signatures(seed, count)
        generator = np.random.default_rng(seed)
        order = generator.permutation(count)
        validation = generator.random(count) < 0.2
        result = find_duplicates(order, table, LIKENESS, validation)
    expected = by_loop(order, table, LIKENESS, validation)
    # Bands lose one pair at the threshold in a thousand; with this many there are none.
    assert dict(zip(result.dropped.tolist(), result.kept.tolist(), strict=True)) == expected
    assert result.unlooked == 0


@examples(20)
@given(st.integers(0, 1000), st.randoms(use_true_random=False))
def test_neither_the_order_of_rows_nor_cuts_change_anything(seed: int, chance: random.Random) -> None:
    table = random_signatures(seed, 120)
    order = np.arange(120)
    whole = find_duplicates(order, table, LIKENESS)
    rows = np.array(chance.sample(range(120), 120))
    assert same(whole, find_duplicates(order[rows], table.taken(rows), LIKENESS))
    cut = sorted(chance.sample(range(1, 120), 3))
    parts = [table.taken(part) for part in np.split(order, cut)]
    assert same(whole, find_duplicates(order, Signatures.joined(parts), LIKENESS))


@examples(20)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=12), st.integers(1, 5))
def test_a_signature_depends_on_its_text_alone(texts: list[str], cut: int) -> None:
    whole = signatures(texts, NEAR)
    parts = Signatures.joined([signatures(texts[at : at + cut], NEAR) for at in range(0, len(texts), cut)])
    assert np.array_equal(whole.exact, parts.exact)
    assert np.array_equal(whole.sketches, parts.sketches)


def test_signatures_are_the_same_on_every_machine() -> None:
    texts = ["The quick brown fox jumps over the lazy dog.", "", "…", "日本語のテキスト"]
    table = signatures(texts, NEAR)
    assert table.sketches is not None
    assert version(NEAR).endswith(" rensa-2 256x16 shingles-5")
    digest = (
        np.bitwise_xor.reduce(table.exact.ravel()),
        np.bitwise_xor.reduce(table.sketches.astype("u8").ravel()),
    )
    assert [int(value) for value in digest] == GOLDEN


GOLDEN = [15638282638527896053, 37079]
"""All numbers of both columns, each combined by exclusive or."""


def test_signatures_go_into_columns_and_back() -> None:
    table = signatures(["a b c", "d", ""], NEAR)
    columns = pa.table(table.columns())
    assert [str(field.type) for field in columns.schema] == [
        "fixed_size_binary[16]",
        "fixed_size_binary[512]",
    ]
    several = pa.concat_tables([columns.slice(0, 1), columns.slice(1)])
    back = Signatures.of_columns(several)
    assert np.array_equal(back.exact, table.exact)
    assert np.array_equal(back.sketches, table.sketches)
    exact = signatures(["a b c"], ExactTexts(type="Exact"))
    assert Signatures.of_columns(pa.table(exact.columns())).sketches is None


def test_texts_without_words_are_alike_only_if_equal() -> None:
    assert found(["...", "!!!", "...", "", "a"]) == {2: 0}


def test_the_certificate_finds_what_is_left(corpus: tuple[list[str], dict[int, int], list[str]]) -> None:
    texts, _, _ = corpus
    order, table = np.arange(len(texts)), signatures(texts, NEAR)
    validation = order % 10 == 0
    before = certificate(order, table, validation, LIKENESS)
    assert not before.holds
    assert before.highest > 0.9
    assert before.pair is not None
    assert jaccard(texts[before.pair[0]], texts[before.pair[1]], 5) > 0.8
    assert validation[before.pair[0]]
    kept = ~np.isin(order, find_duplicates(order, table, LIKENESS, validation).dropped)
    after = certificate(order[kept], table.taken(kept), validation[kept], LIKENESS)
    assert after.holds
    assert after.validation + after.training == kept.sum()
    nothing = certificate(order[:0], table.taken(order[:0]), validation[:0], LIKENESS)
    assert (nothing.holds, nothing.pair, nothing.candidates) == (True, None, 0)


def test_without_what_is_alike_in_training_the_certificate_holds(
    corpus: tuple[list[str], dict[int, int], list[str]],
) -> None:
    texts, _, _ = corpus
    order, table = np.arange(len(texts)), signatures(texts, NEAR)
    validation = order % 10 == 0
    late = alike_in_training(order, table, validation, LIKENESS)
    assert 0 < len(late) < len(order) / 2
    assert not validation[late].any()
    kept = ~np.isin(order, late)
    assert certificate(order[kept], table.taken(kept), validation[kept], LIKENESS).holds
    assert not len(alike_in_training(order[kept], table.taken(kept), validation[kept], LIKENESS))


def test_near_the_threshold_the_texts_decide() -> None:
    generator = random.Random(11)
    words = vocabulary(generator)
    texts = []
    for _ in range(60):
        texts.append(document(generator, words, 200))
        texts.append(edited(generator, words, texts[-1], 4))

    def exactly(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        return np.array([jaccard(texts[a], texts[b], 5) for a, b in zip(left, right, strict=True)])

    dropped = found(texts, exactly=exactly)
    for copy in range(1, len(texts), 2):
        assert (copy in dropped) == (jaccard(texts[copy - 1], texts[copy], 5) >= NEAR.threshold)


@pytest.mark.parametrize("threshold", [0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
def test_bands_find_what_is_at_the_threshold(threshold: float) -> None:
    count, rows = TextLikeness(threshold).bands()
    assert count * rows <= 256
    assert (1 - threshold**rows) ** count <= 0.001
    sketches = np.random.default_rng(0).integers(0, 1 << 16, (4000, 256), dtype=np.uint16)
    copies = np.where(np.random.default_rng(1).random(sketches.shape) < threshold, sketches, sketches + 1)
    pairs = zip(TextLikeness(threshold).keys(sketches), TextLikeness(threshold).keys(copies), strict=True)
    hit = np.any([one == other for one, other in pairs], axis=0)
    assert hit.mean() >= 0.998
