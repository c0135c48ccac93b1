"""How far generated images are from real ones, from features of both."""
