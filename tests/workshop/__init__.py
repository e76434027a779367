"""The model workshop, on real formats."""
