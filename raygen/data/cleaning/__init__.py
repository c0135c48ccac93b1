"""Cleaning: what is changed in records, which of them are left out and why, and which are there more than once."""
