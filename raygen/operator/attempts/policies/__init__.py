"""Policies of what is done in attempts, one module each."""
