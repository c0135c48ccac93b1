"""What chooses the values of a new trial, from what is known of the others."""
