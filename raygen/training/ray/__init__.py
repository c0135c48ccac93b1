"""Training on Ray's workers: what needs Ray."""
