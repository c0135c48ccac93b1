#!/usr/bin/env bash
# The same tensors and the same metadata give another safetensors file each time.
#
# Metadata goes through a hash table with random order, so the header's bytes differ from call to call as soon as
# there are two entries, and with them the file's SHA-256. Whoever tells checkpoints apart by digest sees a change
# where there is none.
# Versions: safetensors 0.8.0.
# Source: the format leaves the order of the header open.
# raygen: writes its shards' headers itself, sorted (raygen/checkpoint/shards.py), and exports with one entry of
# metadata.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages safetensors==0.8.0 numpy==2.4.6
look <<'PY'
import hashlib

import numpy as np
from safetensors.numpy import save
from verdict import verdict

tensors = {"weight": np.ones((2, 2), np.float32)}
metadata = {"format": "pt", "step": "100", "run": "first", "seed": "7"}
with_metadata = {hashlib.sha256(save(tensors, metadata)).hexdigest() for _ in range(20)}
without = {hashlib.sha256(save(tensors)).hexdigest() for _ in range(20)}
verdict(
    expected="20 calls with equal arguments give one digest",
    seen=f"{len(with_metadata)} digests with four entries of metadata, {len(without)} without",
    holds=len(with_metadata) > 1 and len(without) == 1,
)
PY
