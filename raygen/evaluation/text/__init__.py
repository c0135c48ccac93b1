"""Metrics of generated texts that need neither a judge nor a model of their own: repetition, what of them is new, how far they are from real ones, how likely texts are."""
