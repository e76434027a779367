"""Whose work is in a bundle, and on what terms: the report, the texts, the bill of materials."""
