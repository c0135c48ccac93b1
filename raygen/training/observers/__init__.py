"""Events of a run, and those who take them."""
