"""Verbs that work on this machine, one module each."""
