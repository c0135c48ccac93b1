"""Verbs that talk to a cluster, one module each."""
