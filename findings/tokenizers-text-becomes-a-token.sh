#!/usr/bin/env bash
# A text that spells out a special token loses it in one round through the tokenizer.
#
# encode() takes "<|endoftext|>" inside ordinary text for the token itself, and decode() leaves special tokens
# out, so the characters vanish: an article about tokenizers ends in its middle. The decode() of transformers
# shows them by default: one file, two texts.
# Versions: tokenizers 0.23.3, transformers 5.23.0.
# Source: Tokenizer.encode_special_tokens and the defaults of skip_special_tokens, True in one and False in the
# other.
# raygen: sets encode_special_tokens, so that text stays text (raygen/data/text/tokenizers.py).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages tokenizers==0.23.3 transformers==5.23.0
look <<'PY'
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast
from verdict import verdict

END, TEXT = "<|endoftext|>", "GPT-2 writes <|endoftext|> between documents."
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
trainer = trainers.BpeTrainer(
    special_tokens=[END], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
)
tokenizer.train_from_iterator(["to be or not to be"], trainer)
ids = tokenizer.encode(TEXT).ids
own = tokenizer.decode(ids)
other = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END).decode(ids)
verdict(
    expected=f"{TEXT!r} comes back from both",
    seen=f"tokenizers {own!r}, transformers {other!r}",
    holds=END not in own and END in other and tokenizer.token_to_id(END) in ids,
)
PY
