"""Pages for people: what a model made, and which of two models made the better one, without a word of which is which."""
