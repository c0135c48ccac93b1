"""The data card says what is in the shards, and what became of all else; whoever makes it makes the same."""

from __future__ import annotations
