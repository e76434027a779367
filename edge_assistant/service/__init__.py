"""Life as a service: telling systemd how it is, and not looping when it keeps crashing."""
