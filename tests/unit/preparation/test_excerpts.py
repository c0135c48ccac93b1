"""What a report and the card show of a record lets people judge whether it was right to change or leave it out."""

from __future__ import annotations

import html
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.jobs import write_images
from tests.prepared import documents, image_job, prepared, text_job, write_lines

BROKEN_SHARE = {"maxBrokenShare": 0.9}


def shown(job: Any, base: Path) -> dict[str, str]:
    """The first example of each filter, each of which stands in the page, too."""
    filters = prepared(job, base).index.counts["cleaning"]["filters"]
    page = html.unescape((base / "prepared" / "card.html").read_text())
    found = {name: each["examples"][0]["excerpt"] for name, each in filters.items() if each["examples"]}
    assert all(f"“{excerpt}”" in page for excerpt in found.values())
    return found


def test_of_masked_texts_the_masked_place(tmp_path: Path) -> None:
    long = "word " * 2000 + "please write to ann@example.org or call, and tell nobody " + "word " * 2000
    write_lines(tmp_path / "lines" / "a.jsonl", [*documents(200), long, "the key: AKIAIOSFODNN7EXAMPLE here"])
    found = shown(text_job(data__cleaning={"text": {"masking": {"patterns": ["Email", "Secret"]}}}), tmp_path)
    assert "please write to [EMAIL] or call, and" in found["masking.Email"]
    assert found["masking.Email"].startswith("…")
    assert found["masking.Secret"] == "the key: [SECRET] here"


@pytest.mark.parametrize("masked", [["Email"], ["Secret"]])
def test_an_excerpt_has_nothing_that_the_job_does_not_mask(tmp_path: Path, masked: list[str]) -> None:
    texts = ["to ann@example.org with AKIAIOSFODNN7EXAMPLE, +49 170 1234567"] * 2
    write_lines(tmp_path / "lines" / "a.jsonl", [*texts, *documents(200)])
    cleaning = {"text": {"masking": {"patterns": masked}, "duplicates": {"type": "Exact"}}}
    for excerpt in shown(text_job(data__cleaning=cleaning), tmp_path).values():
        assert "[EMAIL] with [SECRET], [PHONE]" in excerpt


@pytest.mark.parametrize("kind", ["Exact", "MinHash"])
def test_of_duplicates_the_beginning_of_both(tmp_path: Path, kind: str) -> None:
    texts = [
        "One two three four five six seven eight nine ten.",
        "ONE TWO three four five six seven eight nine ten",
    ]
    write_lines(tmp_path / "lines" / "a.jsonl", [*texts, *documents(200)])
    found = shown(text_job(data__cleaning={"text": {"duplicates": {"type": kind}}}), tmp_path)
    assert found["duplicates"] == f"{texts[1]} / kept: {texts[0]}"


@pytest.mark.parametrize("cleaning", [None, BROKEN_SHARE])
def test_of_broken_texts_the_beginning_without_secrets(tmp_path: Path, cleaning: Any) -> None:
    write_lines(tmp_path / "lines" / "a.jsonl", documents(500))
    with (tmp_path / "lines" / "a.jsonl").open("a") as file:
        file.write('{"x": "to jos\\u00e9@example.org, \\"password\\": \\"hunter2xyzzy99\\""\n')
    found = shown(text_job(**({"data__cleaning": cleaning} if cleaning else {})), tmp_path)
    assert found["readable"] == '{"x": "to [EMAIL], "password": "[SECRET]"'


def test_of_images_their_size(tmp_path: Path) -> None:
    write_images(tmp_path / "images.parquet", 40)
    table = pq.read_table(tmp_path / "images.parquet")
    rows = table.to_pylist()
    name = next(key for key, value in rows[0].items() if isinstance(value, bytes | dict))
    flat = io.BytesIO()
    Image.new("L", (9, 5)).save(flat, format="PNG")
    images = [row[name] if isinstance(row[name], bytes) else row[name]["bytes"] for row in rows]
    label = next(key for key in rows[0] if key != name)
    own = [*images, images[0], flat.getvalue(), b"<!DOCTYPE html>"]
    labels = [*(row[label] for row in rows), rows[0][label], rows[0][label], rows[0][label]]
    pq.write_table(pa.table({name: own, label: labels}), tmp_path / "images.parquet")
    cleaning = BROKEN_SHARE | {"images": {"duplicates": {"type": "Pixels"}}}
    found = shown(image_job(data__cleaning=cleaning, data__images={"size": 8}), tmp_path)
    assert found["readable"] == "15 bytes: <!DOCTYPE html>"
    assert found["uniform"] == f"9x5 pixels, grey, {len(flat.getvalue())} bytes"
    assert found["duplicates"] == f"both: 8x8 grey, label {json.dumps(rows[0][label])}"
