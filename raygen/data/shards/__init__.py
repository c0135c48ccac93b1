"""Prepared data: shards of samples with an index, streamed in an order that anyone can recompute."""
