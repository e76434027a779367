"""The command line: one file a verb, and `main` around them."""
