"""An exported folder in the hands of `transformers` itself, without a network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import raygen
from raygen.errors import ExportError, OutputError
from raygen.inference.run import Run
from raygen.models.protocol import SampleRequest
from raygen.models.transformer.family import TransformerFamily
from tests.jobs import job_document

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "Llama, grouped queries": {"heads": 4, "kvHeads": 2, "hiddenSize": 32},
    "Llama, untied": {"tieEmbeddings": False, "ropeTheta": 500.0, "feedForwardSize": 24},
    "Qwen3": {"heads": 4, "kvHeads": 1, "hiddenSize": 32, "qkNorm": True, "normEpsilon": 1e-3},
    "Qwen3, untied": {"qkNorm": True, "tieEmbeddings": False},
}
TOKENIZERS: dict[str, dict[str, Any]] = {
    "Character": {"type": "Character"},
    "Byte": {"type": "Byte"},
    "BPE": {"type": "BPE", "vocabularySize": 300},
}
TEXT = "12 the quick brown fox\n"


@pytest.fixture(scope="module")
def transformers() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        import transformers

        yield transformers


def trained(base: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Run:
    """A run of a few steps, at a rate that moves the weights far from their start."""
    monkeypatch.chdir(base)
    document = job_document(
        evaluation=None,
        training__duration={"steps": 30},
        training__optimizer={"type": "AdamW", "learningRate": 3e-2},
        **changes,
    )
    raygen.train(document, base=base, device="cpu")
    return Run.open("runs/tiny")


def decoder_logits(run: Run, tokens: torch.Tensor) -> torch.Tensor:
    family = run.family(device="cpu")
    assert isinstance(family, TransformerFamily)
    with torch.no_grad():
        logits: torch.Tensor = family.decoder(tokens)
    return logits


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_transformers_computes_the_same_logits(
    name: str, base: Path, monkeypatch: pytest.MonkeyPatch, transformers: Any
) -> None:
    architecture = {"layers": 2, "heads": 2, "hiddenSize": 16, "contextLength": 16} | ARCHITECTURES[name]
    run = trained(base, monkeypatch, model__transformer=architecture)
    run.export_huggingface(base / "exported")

    model = transformers.AutoModelForCausalLM.from_pretrained(base / "exported", local_files_only=True)

    assert type(model).__name__ == f"{name.split(',')[0]}ForCausalLM"
    tokens = torch.randint(run.domain().size, (4, 16), generator=torch.Generator().manual_seed(0))
    expected = decoder_logits(run, tokens)
    assert float(expected.std()) > 0.5, "weights near zero would hide a difference"
    torch.testing.assert_close(model(tokens).logits.detach(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_transformers_reads_the_same_tokens_and_writes_the_same_text(
    name: str, base: Path, monkeypatch: pytest.MonkeyPatch, transformers: Any
) -> None:
    run = trained(base, monkeypatch, data__tokenizer=TOKENIZERS[name])
    run.export_huggingface(base / "exported")

    tokenizer = transformers.AutoTokenizer.from_pretrained(base / "exported", local_files_only=True)
    model = transformers.AutoModelForCausalLM.from_pretrained(base / "exported", local_files_only=True)

    ids = tokenizer(TEXT)["input_ids"]
    assert ids == list(run.domain().encode(TEXT))
    assert tokenizer.decode(ids) == TEXT
    prompt = tokenizer("the ", return_tensors="pt")
    # As many tokens as fit into the context, since the two go on from there in different ways.
    room = 16 - prompt["input_ids"].shape[1]
    drawn = model.generate(**prompt, max_new_tokens=room, do_sample=False, pad_token_id=0)
    text = tokenizer.decode(drawn[0], skip_special_tokens=True)
    (sample,) = run.sample(SampleRequest(prompts=("the ",), temperature=0, max_tokens=room), device="cpu")
    assert text == "the " + (sample.text or "")


def test_the_folder_names_the_end_of_text(
    base: Path, monkeypatch: pytest.MonkeyPatch, transformers: Any
) -> None:
    run = trained(base, monkeypatch, data__tokenizer={"type": "Byte"})
    written = run.export_huggingface(base / "exported")

    tokenizer = transformers.AutoTokenizer.from_pretrained(base / "exported", local_files_only=True)

    assert sorted(path.name for path in written) == sorted(
        path.name for path in (base / "exported").iterdir()
    )
    assert tokenizer.eos_token_id == run.domain().end_of_text == 256
    assert json.loads((base / "exported" / "generation_config.json").read_text())["eos_token_id"] == 256


def test_gelu_is_refused_and_leaves_no_folder(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained(base, monkeypatch, model__transformer__activation="GELU")

    with pytest.raises(ExportError, match="no Hugging Face architecture") as caught:
        run.export_huggingface(base / "exported")

    assert caught.value.remedy
    assert not (base / "exported").exists()


def test_a_folder_with_something_in_it_is_left_alone(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained(base, monkeypatch)
    kept = base / "exported" / "mine.txt"
    kept.parent.mkdir()
    kept.write_text("mine")

    with pytest.raises(OutputError, match="not an empty folder"):
        run.export_huggingface(base / "exported")

    assert [path.name for path in kept.parent.iterdir()] == ["mine.txt"]
