"""The data card: what a prepared data set holds, what was left out of it, and how anyone can check it."""
