"""Prepared data from sources: cleaned, tokenized or resized, shuffled and written as shards, here or as a pipeline of Ray Data."""
