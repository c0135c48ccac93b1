"""Trains a job: prepares, drives one attempt after another, and reports how the run ended."""
