#!/usr/bin/env bash
# MinHashLSH with a threshold of 0.8 finds four in ten of the pairs whose similarity is 0.8.
#
# The documentation calls threshold "the Jaccard similarity threshold". Bands are chosen so that false positives and false
# negatives weigh least together, over all similarities alike: with 128 permutations 9 bands of 13 values, of which a
# pair at 0.8 shares one with the probability 1 - (1 - 0.8^13)^9 = 0.40. A deduplication that takes the word
# literally keeps most pairs at its threshold, and a third of those at 0.85.
# Versions: datasketch 2.0.0.
# Source: datasketch.lsh._optimal_param.
# raygen: chooses bands with which 99.9 % at the threshold become candidates, and decides about each by the whole
# signature (raygen/data/cleaning/signatures.py).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages datasketch==2.0.0 numpy==2.4.6
look <<'PY'
import numpy as np
from datasketch import MinHash, MinHashLSH
from verdict import verdict

PAIRS, SHARED, OWN = 400, 160, 20  # the similarity is 160 / (160 + 20 + 20) = 0.8

lsh = MinHashLSH(threshold=0.8, num_perm=128)
others = []
for pair in range(PAIRS):
    shingles = [f"{pair} {number}".encode() for number in range(SHARED + 2 * OWN)]
    one, other = (MinHash(num_perm=128, seed=1) for _ in range(2))
    one.update_batch(shingles[: SHARED + OWN])
    other.update_batch(shingles[:SHARED] + shingles[SHARED + OWN :])
    lsh.insert(pair, one)
    others.append(other)
found = np.mean([pair in lsh.query(other) for pair, other in enumerate(others)])
verdict(
    expected="most pairs at the threshold of 0.8 are found",
    seen=f"{found:.0%} of {PAIRS}, with {lsh.b} bands of {lsh.r}",
    holds=found < 0.55,
)
PY
