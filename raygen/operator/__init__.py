"""Looks after objects of raygen's kinds: a process that knows none of them, and a folder for each."""
