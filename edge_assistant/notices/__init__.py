"""What is said when something is wrong: fixed phrases, recorded beforehand, for when no model
works."""
