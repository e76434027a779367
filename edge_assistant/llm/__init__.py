"""The language model, its prompt, its history and its sentences."""
