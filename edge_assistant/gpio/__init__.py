"""Lamps and a button on the pins of a board, for a machine without a screen."""
