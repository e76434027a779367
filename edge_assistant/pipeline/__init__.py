"""Channels, stages and the assistant that wires the rooms into one process of named threads."""
