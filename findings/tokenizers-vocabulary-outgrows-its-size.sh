#!/usr/bin/env bash
# vocab_size of a byte-level BPE trainer is no limit below 257.
#
# Alphabet and special tokens go in first and are not counted against it: asked for 10 entries it makes 257,
# without a word. A model whose embedding has the size that was asked for then reads tokens beyond its end.
# Versions: tokenizers 0.23.3.
# Source: BpeTrainer documents vocab_size as the final size including all tokens and alphabet.
# raygen: sizes the model by the vocabulary that came out, never by the one that was asked for.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages tokenizers==0.23.3
look <<'PY'
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from verdict import verdict

sizes = {}
for asked in (10, 200, 300):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=asked,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([" ".join(f"word{i} and {i * i}" for i in range(500))], trainer)
    sizes[asked] = tokenizer.get_vocab_size()
verdict(
    expected="at most 10, 200 and 300 entries, or an error",
    seen=", ".join(f"{got} for {asked}" for asked, got in sizes.items()),
    holds=sizes == {10: 257, 200: 257, 300: 300},
)
PY
