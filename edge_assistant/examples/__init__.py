"""Programs to read and to copy from; nothing else in the house imports them."""
