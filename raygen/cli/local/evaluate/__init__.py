"""The actions of `raygen evaluate`, and `raygen compare`."""
