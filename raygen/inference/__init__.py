"""A trained model in use: loaded from a run, sampled, exported."""
