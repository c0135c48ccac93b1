#!/usr/bin/env bash
# merge_and_unload of an adapter on a tied output layer changes the input embedding too.
#
# The adapter was trained to change the logits alone. Merged into a weight that is also the embedding, it changes
# what the model reads: other logits than with the adapter, no warning, and the saved model reloads to the same
# wrong ones, so comparing merged with reloaded shows nothing.
# Versions: peft 0.21.2, transformers 5.23.0, torch 2.13.0.
# Source: PEFT warns of tied weights when an adapter is made for the embedding; for lm_head not at the merge.
# raygen: has no adapters; a merge would have to untie first, or refuse.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages peft==0.21.2 transformers==5.23.0 torch==2.13.0 numpy==2.4.6
look <<'PY'
import torch
from peft import LoraConfig, get_peft_model
from transformers import GPT2Config, GPT2LMHeadModel
from verdict import verdict

torch.manual_seed(0)
tokens = torch.arange(16)[None]
results = {}
for tied in (True, False):
    config = GPT2Config(vocab_size=64, n_positions=32, n_embd=32, n_layer=1, n_head=2, tie_word_embeddings=tied)
    model = get_peft_model(GPT2LMHeadModel(config), LoraConfig(target_modules=["lm_head"], r=4)).eval()
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before = model(tokens).logits
        after = model.merge_and_unload()(tokens).logits
    results[tied] = ((before - after).abs().max() / before.abs().max()).item()
verdict(
    expected="logits as before the merge (to 1e-5), tied or not",
    seen=f"off by {results[True]:.0%} of the largest logit when tied, {results[False]:.0e} when not",
    holds=results[True] > 0.05 and results[False] < 1e-4,
)
PY
