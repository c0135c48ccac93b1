"""Sources, tokenizers, and batches whose order is a pure function of (seed, position)."""
