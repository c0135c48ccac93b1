"""Pipelines of Ray Data: how raygen runs one, and prepared data that one reads ahead."""
