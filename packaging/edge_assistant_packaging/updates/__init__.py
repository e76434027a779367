"""From one bundle to the next: what there is, whether it is newer, and only what is new of it."""
