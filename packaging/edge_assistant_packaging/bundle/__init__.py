"""One file with everything, and nothing in it that is not signed."""
