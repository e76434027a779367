"""Llama-family checkpoints of Hugging Face to GGUF, and whether both compute the same."""
