"""The actions of `raygen sweep`."""
