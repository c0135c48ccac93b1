"""Evaluations of a run: when it is due, what is kept of them, and the gates at the end."""
