#!/usr/bin/env bash
# GPT2Tokenizer reads a tokenizer.json and puts its own rules in place of the file's.
#
# Vocabulary and merges come from the file; normaliser and pre-tokeniser do not, and nothing warns. A GPT-2 whose
# tokenizer splits otherwise gets other tokens than it was trained on. PreTrainedTokenizerFast takes the file as
# it is.
# Versions: transformers 5.23.0, tokenizers 0.23.3.
# Source: not documented; version 5 builds the backend of each model's tokenizer anew.
# raygen: exports tokenizer.json with PreTrainedTokenizerFast as the class.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages transformers==5.23.0 tokenizers==0.23.3
look <<'PY'
import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import GPT2Tokenizer, PreTrainedTokenizerFast
from verdict import verdict

TEXT = "To BE, or not to be: 2026"
tokenizer = Tokenizer(models.BPE())
tokenizer.normalizer = normalizers.Lowercase()
tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
    [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
)
tokenizer.decoder = decoders.ByteLevel()
trainer = trainers.BpeTrainer(
    vocab_size=300,
    special_tokens=["<|endoftext|>"],
    initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    show_progress=False,
)
tokenizer.train_from_iterator(["to be, or not to be: that is the question in 2026"] * 4, trainer)
folder = Path("tokenizer")
folder.mkdir()
tokenizer.save(str(folder / "tokenizer.json"))
(folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|endoftext|>"}))
by_file = tokenizer.encode(TEXT).ids
fast = PreTrainedTokenizerFast.from_pretrained(folder)(TEXT)["input_ids"]
gpt2 = GPT2Tokenizer.from_pretrained(folder)(TEXT)["input_ids"]
verdict(
    expected=f"{len(by_file)} tokens, the same by all three readers of the file",
    seen=f"PreTrainedTokenizerFast equal: {fast == by_file}; GPT2Tokenizer equal: {gpt2 == by_file} ({len(gpt2)} tokens)",
    holds=fast == by_file and gpt2 != by_file,
)
PY
