"""Where in a text something is that a policy names: words, patterns, personal data, secrets, and what a classifier says of the whole."""
